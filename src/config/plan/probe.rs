//! What is asked of backends to see whether they can do their work.

use http::HeaderValue;
use http::uri::PathAndQuery;

/// What a probe does, and what it must find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeCheck {
    /// It connects.
    Tcp,
    /// It asks with a GET.
    Http {
        /// For what.
        request: ProbeRequest,
        /// The statuses that pass.
        status: Vec<u16>,
        /// What the answer's body must contain.
        body: Option<TextMatch>,
    },
    /// It opens a WebSocket.
    WebSocket {
        /// By which handshake.
        request: ProbeRequest,
        /// Whether a ping must be answered.
        pong: bool,
        /// What the first message must contain.
        message: Option<TextMatch>,
    },
}

/// What a probe asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeRequest {
    /// Path and query.
    pub target: PathAndQuery,
    /// `Host`; the backend's address when `None`.
    pub host: Option<HeaderValue>,
}

/// What a text must contain.
#[derive(Clone, Debug)]
pub enum TextMatch {
    /// These bytes.
    Part(Box<str>),
    /// A match of this regex. Compared by its source.
    Regex(regex::bytes::Regex),
}

impl TextMatch {
    /// Whether it is there.
    pub fn is_in(&self, text: &[u8]) -> bool {
        match self {
            TextMatch::Part(part) => contains(text, part.as_bytes()),
            TextMatch::Regex(regex) => regex.is_match(text),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

impl PartialEq for TextMatch {
    fn eq(&self, other: &TextMatch) -> bool {
        match (self, other) {
            (TextMatch::Part(one), TextMatch::Part(other)) => one == other,
            (TextMatch::Regex(one), TextMatch::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for TextMatch {}
