//! Why a client's handshake is refused before anything is asked of a backend.

use std::fmt;

use crate::base::label::Label;
use http::StatusCode;

/// A handshake that tidegate itself refuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HandshakeRefusal {
    /// An extended CONNECT for another protocol than WebSocket (RFC 8441 §4).
    Protocol,
    /// The method is not GET (RFC 6455 §4.2.1).
    Method,
    /// The request announces a body, whose bytes could not be told from frames.
    Body,
    /// `Sec-WebSocket-Version` is missing or not 13 (RFC 6455 §4.2.2, §4.4).
    Version,
    /// `Sec-WebSocket-Key` is missing, doubled or not 16 bytes in base64.
    Key,
    /// `Origin` is not among the route's `allowed_origins`.
    Origin,
}

impl HandshakeRefusal {
    /// The answer's status.
    pub const fn status(self) -> StatusCode {
        match self {
            // As RFC 9220 §3 says it for HTTP/3.
            HandshakeRefusal::Protocol => StatusCode::NOT_IMPLEMENTED,
            HandshakeRefusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            HandshakeRefusal::Body | HandshakeRefusal::Key => StatusCode::BAD_REQUEST,
            HandshakeRefusal::Version => StatusCode::UPGRADE_REQUIRED,
            HandshakeRefusal::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Label for HandshakeRefusal {
    fn label(&self) -> &'static str {
        match self {
            HandshakeRefusal::Protocol => "protocol",
            HandshakeRefusal::Method => "method",
            HandshakeRefusal::Body => "body",
            HandshakeRefusal::Version => "version",
            HandshakeRefusal::Key => "key",
            HandshakeRefusal::Origin => "origin",
        }
    }
}

impl fmt::Display for HandshakeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandshakeRefusal::Protocol => "only `websocket` is spoken inside CONNECT here",
            HandshakeRefusal::Method => "a WebSocket is opened with GET",
            HandshakeRefusal::Body => "a WebSocket handshake has no body",
            HandshakeRefusal::Version => "the WebSocket version spoken here is 13",
            HandshakeRefusal::Key => {
                "the handshake needs exactly one `Sec-WebSocket-Key` of 16 bytes"
            }
            HandshakeRefusal::Origin => "this origin may not open a WebSocket here",
        })
    }
}

impl std::error::Error for HandshakeRefusal {}
