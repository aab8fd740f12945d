//! Why no backend gave a request or a handshake an answer that can be passed on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::ext::ReasonPhrase;

use super::ask::NoBackend;
use super::busy::Busy;
use super::error::{Blame, DialError};
use super::health::Evidence;
use crate::base::body::BoxError;
use crate::base::label::Label;
use crate::config::plan::ANSWER_HEAD_BYTES_MAX;
use crate::wire::framing::FramingError;
use crate::wire::head;
use crate::wire::upgrade::BadAnswer;

/// One attempt's failure; the last one is what the client reads.
#[derive(Debug)]
pub enum UpstreamError {
    /// No backend is left to try.
    NoBackend {
        /// When one may be back.
        retry_after: Duration,
        /// Why the one tried last could not be reached.
        last: Option<Arc<DialError>>,
    },
    /// Every backend has as many sessions as `sessions_max` allows.
    Full {
        /// When to come again.
        retry_after: Duration,
    },
    /// The backend had as many handshakes under way, or begun, as it may, for too long.
    Busy(Busy),
    /// The backend could not be reached.
    Dial(Arc<DialError>),
    /// The backend closed before it had answered.
    Closed(BoxError),
    /// The backend's answer cannot be read.
    Garbled(BoxError),
    /// The head of the backend's answer has more bytes than `ANSWER_HEAD_BYTES_MAX`, or more fields
    /// than `ANSWER_HEADERS_MAX`.
    HeadTooLarge,
    /// What the backend's answer says of its length cannot be true.
    Framing(FramingError),
    /// The backend did not answer in time: `handshake_timeout`, `response_timeout`.
    Timeout,
    /// The backend's 101 is not an answer to this handshake.
    Handshake(BadAnswer),
    /// The backend answered 101 to a request that asked for no upgrade.
    Unasked,
    /// The client stopped sending the request's body for `response_timeout`.
    BodyStalled,
    /// The request's body ended early, or is not what its framing says.
    BodyBroken,
    /// The request's body is longer than its route lets it be.
    BodyTooLarge,
}

impl UpstreamError {
    /// Whether an answer's head is within its limit: hyper knows that only of one that it reads in
    /// many pieces.
    ///
    /// # Errors
    /// [`UpstreamError::HeadTooLarge`].
    pub fn check_head<B>(answer: &Response<B>) -> Result<(), UpstreamError> {
        let own = answer.extensions().get::<ReasonPhrase>();
        let usual = || answer.status().canonical_reason().unwrap_or_default().len();
        let reason = own.map_or_else(usual, |own| own.as_bytes().len());
        match head::answer_bytes(reason, answer.headers()) > ANSWER_HEAD_BYTES_MAX {
            true => Err(UpstreamError::HeadTooLarge),
            false => Ok(()),
        }
    }

    /// Whether another backend may do better, where nothing that may not be repeated was sent. One
    /// that is silent may be at work on it, and has used up the time the client was ready to wait;
    /// one that answers wrongly would rather be seen than hidden.
    pub fn is_retryable(&self) -> bool {
        match self {
            UpstreamError::Dial(error) => error.retryable(),
            UpstreamError::Busy(_) | UpstreamError::Closed(_) => true,
            _ => false,
        }
    }

    /// What it tells of its backend's health.
    pub fn evidence(&self) -> Evidence {
        match self {
            UpstreamError::Dial(error) if error.fault() == Blame::Backend => Evidence::Unreachable,
            UpstreamError::Closed(_)
            | UpstreamError::Garbled(_)
            | UpstreamError::HeadTooLarge
            | UpstreamError::Framing(_)
            | UpstreamError::Timeout
            | UpstreamError::Handshake(_)
            | UpstreamError::Unasked => Evidence::Suspect,
            UpstreamError::Dial(_)
            | UpstreamError::NoBackend { .. }
            | UpstreamError::Full { .. }
            | UpstreamError::Busy(_)
            | UpstreamError::BodyStalled
            | UpstreamError::BodyBroken
            | UpstreamError::BodyTooLarge => Evidence::Unknown,
        }
    }

    /// That no backend is left, where the last one tried could not be reached.
    pub(super) fn none(none: NoBackend, last: Option<Arc<DialError>>) -> UpstreamError {
        let NoBackend { is_full, retry_after } = none;
        match is_full {
            true => UpstreamError::Full { retry_after },
            false => UpstreamError::NoBackend { retry_after, last },
        }
    }

    /// When it may be worth trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            UpstreamError::NoBackend { retry_after, .. } | UpstreamError::Full { retry_after } => {
                Some(*retry_after)
            }
            UpstreamError::Busy(_) | UpstreamError::Dial(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl Label for UpstreamError {
    fn label(&self) -> &'static str {
        match self {
            UpstreamError::NoBackend { last: Some(error), .. } => error.label(),
            UpstreamError::NoBackend { .. } => "no_backend",
            UpstreamError::Full { .. } => "full",
            UpstreamError::Busy(_) => "busy",
            UpstreamError::Dial(error) => error.label(),
            UpstreamError::Closed(_) => "closed",
            UpstreamError::Garbled(_) => "garbled",
            UpstreamError::HeadTooLarge => "head_too_large",
            UpstreamError::Framing(_) => "framing",
            UpstreamError::Timeout => "timeout",
            UpstreamError::Handshake(_) => "wrong",
            UpstreamError::Unasked => "unasked",
            UpstreamError::BodyStalled => "stalled",
            UpstreamError::BodyBroken => "spoilt",
            UpstreamError::BodyTooLarge => "body_too_large",
        }
    }
}

impl From<DialError> for UpstreamError {
    fn from(error: DialError) -> UpstreamError {
        UpstreamError::Dial(Arc::new(error))
    }
}

impl fmt::Display for UpstreamError {
    /// For the client, which does not learn which backend it was, nor where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UpstreamError::NoBackend { .. } => "no backend is available",
            UpstreamError::Full { .. } => "every backend has all the sessions it may have",
            UpstreamError::Busy(_) => "every backend is busy with handshakes",
            UpstreamError::Dial(_) => "no backend could be reached",
            UpstreamError::Closed(_) => "the backend closed without an answer",
            UpstreamError::Garbled(_) => "the backend's answer cannot be read",
            UpstreamError::HeadTooLarge => "the head of the backend's answer is too large",
            UpstreamError::Framing(_) => "the backend's answer has no clear length",
            UpstreamError::Timeout => "the backend did not answer in time",
            UpstreamError::Handshake(bad) => {
                return write!(f, "the backend's answer is wrong: {bad}");
            }
            UpstreamError::Unasked => "the backend switched protocols unasked",
            UpstreamError::BodyStalled => "the request's body did not arrive in time",
            UpstreamError::BodyBroken => "the request's body cannot be read",
            UpstreamError::BodyTooLarge => "the request's body is too large",
        })
    }
}

impl std::error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            UpstreamError::Dial(error) | UpstreamError::NoBackend { last: Some(error), .. } => {
                Some(&**error)
            }
            UpstreamError::Busy(error) => Some(error),
            UpstreamError::Framing(error) => Some(error),
            UpstreamError::Closed(error) | UpstreamError::Garbled(error) => Some(&**error),
            _ => None,
        }
    }
}
