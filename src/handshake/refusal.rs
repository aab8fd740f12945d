//! Why a client's handshake is refused before anything is asked of a backend.

use std::fmt;

use crate::base::label::Label;
use http::StatusCode;

/// A handshake that tidegate itself refuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
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

impl Refusal {
    /// The answer's status.
    pub const fn status(self) -> StatusCode {
        match self {
            // As RFC 9220 §3 says it for HTTP/3.
            Refusal::Protocol => StatusCode::NOT_IMPLEMENTED,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Body | Refusal::Key => StatusCode::BAD_REQUEST,
            Refusal::Version => StatusCode::UPGRADE_REQUIRED,
            Refusal::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Label for Refusal {
    fn label(&self) -> &'static str {
        match self {
            Refusal::Protocol => "protocol",
            Refusal::Method => "method",
            Refusal::Body => "body",
            Refusal::Version => "version",
            Refusal::Key => "key",
            Refusal::Origin => "origin",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Protocol => "only `websocket` is spoken inside CONNECT here",
            Refusal::Method => "a WebSocket is opened with GET",
            Refusal::Body => "a WebSocket handshake has no body",
            Refusal::Version => "the WebSocket version spoken here is 13",
            Refusal::Key => "the handshake needs exactly one `Sec-WebSocket-Key` of 16 bytes",
            Refusal::Origin => "this origin may not open a WebSocket here",
        })
    }
}

impl std::error::Error for Refusal {}
