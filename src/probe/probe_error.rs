//! Why a probe was not passed.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::base::label::Label;
use crate::pool::{Blame, DialError, UpstreamError};
use crate::wire::frame::Violation;

/// Bytes of an answer's body, or of a WebSocket's first messages, that are read at most.
pub const PROBE_BYTES_MAX: usize = 64 << 10;

/// Why a probe was not passed.
#[derive(Debug)]
pub enum ProbeError {
    /// There is no connection.
    Dial(DialError),
    /// It took longer than it may.
    Timeout(Duration),
    /// There was no right answer to the handshake.
    Handshake(UpstreamError),
    /// The connection broke.
    Broken(io::Error),
    /// What came is no HTTP.
    Http(hyper::Error),
    /// The answer has this status.
    Status(u16),
    /// The answer's body, as far as it is read, does not contain what it must.
    Body,
    /// The WebSocket was closed, with this code.
    Closed(u16),
    /// A frame breaks RFC 6455.
    Frame(Violation),
    /// The first message does not contain what it must.
    Message,
    /// What was waited for did not come within [`PROBE_BYTES_MAX`].
    TooLarge,
}

impl ProbeError {
    /// Whether it is our own fault, and tells nothing of the backend.
    pub fn is_ours(&self) -> bool {
        matches!(self, ProbeError::Dial(error) if error.fault() == Blame::Ours)
    }

    /// Whether the backend was not reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, ProbeError::Dial(_))
    }
}

impl Label for ProbeError {
    fn label(&self) -> &'static str {
        match self {
            ProbeError::Dial(error) => error.label(),
            ProbeError::Timeout(_) => "timeout",
            ProbeError::Handshake(_) => "handshake",
            ProbeError::Broken(_) | ProbeError::Http(_) => "broken",
            ProbeError::Status(_) => "status",
            ProbeError::Body => "body",
            ProbeError::Closed(_) => "closed",
            ProbeError::Frame(_) => "frame",
            ProbeError::Message => "message",
            ProbeError::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeError::Dial(error) => error.fmt(f),
            ProbeError::Timeout(limit) => write!(f, "not done within {limit:?}"),
            ProbeError::Handshake(error) => error.fmt(f),
            ProbeError::Broken(error) => write!(f, "the connection broke: {error}"),
            ProbeError::Http(error) => write!(f, "no answer: {error}"),
            ProbeError::Status(status) => write!(f, "the answer's status is {status}"),
            ProbeError::Body => f.write_str("the answer does not contain what `body` wants"),
            ProbeError::Closed(code) => write!(f, "it closed the WebSocket with {code}"),
            ProbeError::Frame(violation) => write!(f, "a frame is wrong: {violation:?}"),
            ProbeError::Message => {
                f.write_str("the first message does not contain what `message` wants")
            }
            ProbeError::TooLarge => {
                write!(f, "{} KiB came without what was waited for", PROBE_BYTES_MAX >> 10)
            }
        }
    }
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> ProbeError {
        ProbeError::Broken(error)
    }
}
