//! Formats that are read and written: RFC 6455 frames and handshake fields, PROXY header,
//! Forwarded, credentials, files of users, keys of tokens, lists, hosts, paths, media types,
//! content codings, ranges, preconditions and the fields that frame a body.
//!
//! **In:** bytes and header values. **Out:** values. **Never here:** sockets, clocks, tidegate's
//! policies.
//!
//! Serves RFC 6455 §4, §5, §9.1; RFC 7517; RFC 7617; RFC 9110 §5.6, §7.6.1, §11, §13, §14; RFC 9112
//! §6; RFC 6265 §4.2; RFC 7239; RFC 3986 §3.2; the PROXY protocol's text, versions 1 and 2.

pub mod accept_key;
pub mod answer;
pub mod byte_order_mark;
pub mod client_cert;
pub mod conditional;
pub mod content_coding;
pub mod control;
pub mod cookie;
pub mod credentials;
pub mod extension;
pub mod fields;
pub mod forwarded;
pub mod frame;
pub mod framing;
pub mod head;
pub mod host;
pub mod htpasswd;
pub mod iso_time;
pub mod label;
pub mod list;
pub mod media_type;
pub mod message;
pub mod path;
pub mod pem;
pub mod proxy;
pub mod query;
pub mod range;
pub mod request_id;
pub mod request_line;
pub mod resume;
pub mod template;
pub mod token_keys;
pub mod token_list;
pub mod trailers;
pub mod upgrade;
pub mod upgrade_request;
pub mod via;
pub mod x509;
pub mod x509_name;

/// Random bytes from the system, which cannot be predicted (RFC 6455 §5.3, §10.3).
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // cannot fail: the system's source is there once a process runs; TLS stands on it too.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
