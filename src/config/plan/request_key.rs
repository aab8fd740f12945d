//! What requests are told apart by: for `hash`, and for limits.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use crate::wire::client_cert::CertificatePart;

/// What of a request tells it apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RequestKey {
    /// Who asks: the IPv4 address, or the first half of the IPv6 address.
    Client,
    /// The value of a header field's first line.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(Arc<str>),
    /// A query parameter's value, as it is written.
    Query(Arc<str>),
    /// The path as routes match it.
    Path,
    /// The canonical host, without a port.
    Host,
    /// What the client's token claims by this name.
    Claim(Arc<str>),
    /// A part of the certificate that the client has shown.
    ClientCert(CertificatePart),
    /// The value of a label that the route gives.
    Label(Arc<str>),
}

impl RequestKey {
    /// Whether a client has as many values of it as it likes: what it writes is not proven.
    pub const fn is_made_up(&self) -> bool {
        match self {
            RequestKey::Client | RequestKey::Claim(_) | RequestKey::ClientCert(_) => false,
            RequestKey::Header(_)
            | RequestKey::Cookie(_)
            | RequestKey::Query(_)
            | RequestKey::Path
            | RequestKey::Host
            | RequestKey::Label(_) => true,
        }
    }
}

/// As it is written.
impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestKey::Client => f.write_str("client"),
            RequestKey::Header(name) => write!(f, "header:{name}"),
            RequestKey::Cookie(name) => write!(f, "cookie:{name}"),
            RequestKey::Query(name) => write!(f, "query:{name}"),
            RequestKey::Path => f.write_str("path"),
            RequestKey::Host => f.write_str("host"),
            RequestKey::Claim(name) => write!(f, "claim:{name}"),
            RequestKey::ClientCert(part) => write!(f, "client_cert:{part}"),
            RequestKey::Label(name) => write!(f, "label:{name}"),
        }
    }
}
