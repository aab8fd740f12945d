//! Why no backend gave a handshake an answer that can be passed on.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::verify::BadAnswer;
use crate::pool::{Busy, DialError, Fault};
use crate::wire::framing::FramingError;

/// One attempt's failure; the last one is what the client is told.
#[derive(Debug)]
pub enum Failure {
    /// No backend is left to try.
    NoBackend {
        /// When one may be back.
        retry_after: Duration,
    },
    /// Every backend has as many sessions as `sessions_max` allows.
    Full {
        /// When to come again.
        retry_after: Duration,
    },
    /// The backend had as many handshakes under way, or begun, as it may, for too long.
    Busy(Busy),
    /// The backend could not be reached.
    Dial(DialError),
    /// The backend closed before it had answered.
    Vanished(hyper::Error),
    /// The backend's answer cannot be read.
    Garbled(hyper::Error),
    /// What the backend's answer says of its length cannot be true.
    Framing(FramingError),
    /// The backend did not answer within `handshake_timeout`.
    Silent,
    /// The backend's 101 is not an answer to this handshake.
    Wrong(BadAnswer),
}

impl Failure {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Failure::NoBackend { .. } | Failure::Full { .. } | Failure::Busy(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Failure::Silent => StatusCode::GATEWAY_TIMEOUT,
            Failure::Dial(DialError::Timeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether another backend may be tried. One that is silent may be at work on the handshake,
    /// and has used up the time the client was ready to wait; one that answers wrongly would
    /// rather be seen than hidden.
    pub fn is_retryable(&self) -> bool {
        match self {
            Failure::Dial(error) => error.retryable(),
            Failure::Busy(_) | Failure::Vanished(_) => true,
            _ => false,
        }
    }

    /// Whether no backend was up, or free: it may be otherwise in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Failure::NoBackend { .. } | Failure::Busy(_) | Failure::Vanished(_) => true,
            Failure::Dial(error) => error.retryable(),
            Failure::Full { .. } | Failure::Silent | Failure::Wrong(_) => false,
            Failure::Garbled(_) | Failure::Framing(_) => false,
        }
    }

    /// Whether the backend is to blame, for its health.
    pub fn is_backends_fault(&self) -> bool {
        match self {
            Failure::Dial(error) => error.fault() == Fault::Backend,
            Failure::NoBackend { .. } | Failure::Full { .. } | Failure::Busy(_) => false,
            _ => true,
        }
    }

    /// When it may be worth trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::NoBackend { retry_after } | Failure::Full { retry_after } => {
                Some(*retry_after)
            }
            Failure::Busy(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The failure's word in logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Failure::NoBackend { .. } => "no_backend",
            Failure::Full { .. } => "full",
            Failure::Busy(_) => "busy",
            Failure::Dial(error) => error.word(),
            Failure::Vanished(_) => "vanished",
            Failure::Garbled(_) => "garbled",
            Failure::Framing(_) => "framing",
            Failure::Silent => "silent",
            Failure::Wrong(_) => "wrong",
        }
    }
}

impl fmt::Display for Failure {
    /// For the client, which is not told which backend, nor where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoBackend { .. } => f.write_str("no backend is available"),
            Failure::Full { .. } => f.write_str("every backend has all the sessions it may have"),
            Failure::Busy(_) => f.write_str("every backend is busy with handshakes"),
            Failure::Dial(_) => f.write_str("no backend could be reached"),
            Failure::Vanished(_) => f.write_str("the backend closed without an answer"),
            Failure::Garbled(_) => f.write_str("the backend's answer cannot be read"),
            Failure::Framing(_) => f.write_str("the backend's answer has no clear length"),
            Failure::Silent => f.write_str("the backend did not answer in time"),
            Failure::Wrong(bad) => write!(f, "the backend's answer is wrong: {bad}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::Dial(error) => Some(error),
            Failure::Busy(error) => Some(error),
            Failure::Framing(error) => Some(error),
            Failure::Vanished(error) | Failure::Garbled(error) => Some(error),
            _ => None,
        }
    }
}
