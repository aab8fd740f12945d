//! What can go wrong: when TLS is set up, and when a client's handshake is taken.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::AlertDescription;

use super::tickets::NoTicketKey;
use crate::base::label::Label;
use crate::base::socket::Socket;

/// A part of the plan from which no TLS can be made.
#[derive(Clone, PartialEq, Debug)]
pub enum TlsError {
    /// A listener without a certificate.
    NoCertificate,
    /// The system has no certificate authorities, or none that can be read.
    NoSystemRoots(String),
    /// Not a DNS name and not an IP address.
    ServerName(Arc<str>),
    /// A certificate of our own cannot be made.
    NotMade(String),
    /// rustls refused, or the system gave no randomness.
    Refused(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::NoCertificate => f.write_str("a TLS listener needs a certificate"),
            TlsError::NoSystemRoots(why) => write!(
                f,
                "the system has no certificate authorities (install `ca-certificates`, or name \
                 a file as `ca`): {why}"
            ),
            TlsError::ServerName(name) => {
                write!(f, "`server_name` is neither a DNS name nor an address: {name}")
            }
            TlsError::NotMade(why) => write!(f, "no certificate can be made: {why}"),
            TlsError::Refused(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl From<NoTicketKey> for TlsError {
    fn from(_: NoTicketKey) -> TlsError {
        TlsError::Refused(rustls::Error::FailedToGetRandomBytes)
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> TlsError {
        TlsError::Refused(error)
    }
}

/// Why a client's TLS handshake came to nothing.
#[derive(Debug)]
pub enum AcceptError {
    /// The client speaks plain HTTP: it is owed an answer in clear text, so the socket is given
    /// back. What it had sent so far is consumed.
    PlainHttp(Socket),
    /// The client closed before the handshake's end: port checks do.
    Eof,
    /// The client refused us: it does not trust the certificate, say.
    Alert(AlertDescription),
    /// We refused the client, and sent it an alert: garbage, no common version or protocol.
    Refused(rustls::Error),
    /// The transport failed.
    Io(io::Error),
    /// The handshake took longer than the listener's `tls_handshake_timeout`.
    Timeout,
}

impl Label for AcceptError {
    fn label(&self) -> &'static str {
        match self {
            AcceptError::PlainHttp(_) => "plain_http",
            AcceptError::Eof => "eof",
            AcceptError::Alert(_) => "alert",
            AcceptError::Refused(_) => "refused",
            AcceptError::Io(_) => "io",
            AcceptError::Timeout => "timeout",
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::PlainHttp(_) => f.write_str("plain HTTP was sent to a TLS listener"),
            AcceptError::Eof => f.write_str("the client closed during the TLS handshake"),
            AcceptError::Alert(alert) => {
                write!(f, "the client refused the TLS handshake: {alert:?}")
            }
            AcceptError::Refused(error) => write!(f, "the TLS handshake was refused: {error}"),
            AcceptError::Timeout => f.write_str("the TLS handshake took too long"),
            AcceptError::Io(error) => {
                write!(f, "the connection failed during the TLS handshake: {error}")
            }
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<rustls::Error> for AcceptError {
    fn from(error: rustls::Error) -> AcceptError {
        match error {
            rustls::Error::AlertReceived(alert) => AcceptError::Alert(alert),
            error => AcceptError::Refused(error),
        }
    }
}
