//! Why an action could not be done.

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;
use hyper_util::client::legacy::Error;

use super::clients::dial_error;
use crate::pool::{DialError, Fault};
use crate::wire::framing::FramingError;

/// An action that came to nothing; nothing of an answer was sent.
#[derive(Debug)]
pub enum Failure {
    /// A redirect's target names the host, and the request does not.
    NoHost,
    /// Files are read with GET and HEAD only.
    Method,
    /// There is no such file.
    NoFile,
    /// The file cannot be read.
    File(io::Error),
    /// No backend is left to try.
    NoBackend {
        /// When one may be back.
        retry_after: Duration,
    },
    /// The backend could not be reached within `connect_timeout`.
    Dial(Error),
    /// The backend closed, or answered what cannot be read, before the answer's head was complete.
    Broken(Error),
    /// The backend did not answer within `response_timeout`.
    Silent,
    /// The client stopped sending the body for `response_timeout`.
    Stalled,
    /// The client's body ended early, or is not what its framing says.
    Spoilt,
    /// What the backend's answer says of its length cannot be true.
    Framing(FramingError),
    /// The backend answered 101 to a request that asked for no upgrade.
    Unasked,
}

impl Failure {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Failure::NoHost => StatusCode::BAD_REQUEST,
            Failure::Method => StatusCode::METHOD_NOT_ALLOWED,
            Failure::NoFile => StatusCode::NOT_FOUND,
            Failure::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Failure::NoBackend { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Dial(error)
                if matches!(dial_error(error), Some(DialError::Timeout { .. })) =>
            {
                StatusCode::GATEWAY_TIMEOUT
            }
            Failure::Dial(_) | Failure::Broken(_) | Failure::Framing(_) | Failure::Unasked => {
                StatusCode::BAD_GATEWAY
            }
            Failure::Silent => StatusCode::GATEWAY_TIMEOUT,
            Failure::Stalled => StatusCode::REQUEST_TIMEOUT,
            Failure::Spoilt => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the backend is to blame, for its health.
    pub(super) fn is_backends_fault(&self) -> bool {
        match self {
            Failure::Dial(error) => {
                dial_error(error).is_some_and(|error| error.fault() == Fault::Backend)
            }
            Failure::Broken(_) | Failure::Silent | Failure::Framing(_) | Failure::Unasked => true,
            _ => false,
        }
    }

    /// Whether another backend may do better, where nothing was sent yet.
    pub(super) fn is_worth_another(&self) -> bool {
        match self {
            Failure::Dial(error) => dial_error(error).is_none_or(DialError::retryable),
            Failure::Broken(_) => true,
            _ => false,
        }
    }

    /// When it may be worth trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::NoBackend { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The failure's word in logs.
    pub fn word(&self) -> &'static str {
        match self {
            Failure::NoHost => "no_host",
            Failure::Method => "method",
            Failure::NoFile => "no_file",
            Failure::File(_) => "file",
            Failure::NoBackend { .. } => "no_backend",
            Failure::Dial(_) => "dial",
            Failure::Broken(_) => "broken",
            Failure::Silent => "silent",
            Failure::Stalled => "stalled",
            Failure::Spoilt => "spoilt",
            Failure::Framing(_) => "framing",
            Failure::Unasked => "unasked",
        }
    }
}

impl fmt::Display for Failure {
    /// For the client, which is not told which backend, nor where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NoHost => "the redirect needs a `Host`",
            Failure::Method => "files are read with GET and HEAD",
            Failure::NoFile => "there is no such file",
            Failure::File(_) => "the file cannot be read",
            Failure::NoBackend { .. } => "no backend is available",
            Failure::Dial(_) => "no backend could be reached",
            Failure::Broken(_) => "the backend closed without an answer",
            Failure::Silent => "the backend did not answer in time",
            Failure::Stalled => "the request's body did not arrive in time",
            Failure::Spoilt => "the request's body cannot be read",
            Failure::Framing(_) => "the backend's answer has no clear length",
            Failure::Unasked => "the backend switched protocols unasked",
        })
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::File(error) => Some(error),
            Failure::Framing(error) => Some(error),
            Failure::Dial(error) | Failure::Broken(error) => Some(error),
            _ => None,
        }
    }
}
