//! The field pair by which HTTP/1.1 becomes a WebSocket (RFC 6455 §4.1, §4.2.2), and what can be
//! wrong with a 101.

use std::fmt;

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};

/// `Upgrade: websocket` and `Connection: Upgrade`: asked for, granted, or offered by a 426
/// (RFC 9110 §15.5.22).
static WEBSOCKET: [(HeaderName, HeaderValue); 2] = [
    (UPGRADE, HeaderValue::from_static("websocket")),
    (CONNECTION, HeaderValue::from_static("Upgrade")),
];

/// Says both in place of what was said of upgrades.
pub fn insert(headers: &mut HeaderMap) {
    for (name, value) in &WEBSOCKET {
        headers.insert(name, value.clone());
    }
}

/// Why a 101 is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadAnswer {
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, doubled, or not the key's.
    Accept,
    /// A subprotocol that was not offered, or several.
    Protocol,
    /// An extension that was not offered, or a field that cannot be read.
    Extension,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadAnswer::Upgrade => "its `Upgrade` is not `websocket`",
            BadAnswer::Connection => "its `Connection` does not list `upgrade`",
            BadAnswer::Accept => "its `Sec-WebSocket-Accept` does not answer the key",
            BadAnswer::Protocol => "it chose a subprotocol that was not offered",
            BadAnswer::Extension => "it chose an extension that was not offered",
        })
    }
}
