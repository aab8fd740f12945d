//! The TLS engine, certificates, and a connection's transport.
//!
//! **In:** the plan's certificates and trust, and connected sockets. **Out:** a [`Transport`],
//! plain or TLS, read and written alike. **Never here:** HTTP, frames, timeouts, retries.
//!
//! Towards clients the module has its own [`Engine`] (rustls without I/O) and [`ServerStream`]: a
//! client is idle most of its life, and there may be half a million of them. Towards backends
//! tokio-rustls does. RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 §3 (SNI), RFC 7301 (ALPN).

mod accept;
mod challenge;
mod connect;
mod development;
mod engine;
mod error;
mod issued;
mod resolver;
mod server_stream;
mod tickets;
mod transport;
mod verify;
mod wear;

pub use accept::{Acceptor, Alpn, Greeting, HTTP_1_1, HTTP_2, client_hello};
pub use challenge::challenged_name;
pub use connect::Connector;
pub use development::{DevelopmentAuthority, Keeping, MadeCertificate};
pub use engine::{Engine, HANDSHAKE_BYTES_MAX, RECORD_BYTES_MAX, SEAL_OVERHEAD_MAX};
pub use error::{AcceptError, TlsError};
pub use issued::IssuedCertificates;
pub use server_stream::{READ_BYTES_MAX, SEAL_BYTES_MAX, ServerStream};
pub use tickets::{KEY_TIME, NoTicketKey, TicketSecrets, take_ticket_secrets, ticket_secrets};
pub use transport::Transport;

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

/// aws-lc-rs, the post-quantum X25519MLKEM768 before all other key exchanges.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

#[cfg(test)]
pub(crate) mod tests;
