//! A limit of a route that has nothing left.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::base::label::Label;

/// How soon a client may look whether one of its sessions has ended.
const SESSIONS_RETRY: Duration = Duration::from_secs(1);

/// Which limit of a route has nothing left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LimitRefusal {
    /// `handshakes` or `requests`; there is one again after this time.
    Rate(Duration),
    /// `sessions`.
    Sessions,
    /// `body_bytes_max`.
    Body,
}

impl LimitRefusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            LimitRefusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            LimitRefusal::Rate(_) | LimitRefusal::Sessions => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn retry_after(self) -> Option<Duration> {
        match self {
            LimitRefusal::Rate(wait) => Some(wait),
            LimitRefusal::Sessions => Some(SESSIONS_RETRY),
            LimitRefusal::Body => None,
        }
    }
}

impl Label for LimitRefusal {
    fn label(&self) -> &'static str {
        match self {
            LimitRefusal::Rate(_) => "rate_limit",
            LimitRefusal::Sessions => "session_limit",
            LimitRefusal::Body => "body_too_large",
        }
    }
}

impl fmt::Display for LimitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitRefusal::Rate(_) => "too many requests",
            LimitRefusal::Sessions => "too many WebSockets",
            LimitRefusal::Body => "the request's body is too large",
        })
    }
}
