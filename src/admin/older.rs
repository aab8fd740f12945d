//! What a command asks of the processes before this one, and what they answer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long an older process may take to answer: it asks its workers, and has little to do.
pub const OLDER_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an older process's answer.
pub const OLDER_ANSWER_BYTES_MAX: usize = 16 << 20;

/// A command that goes to the older processes too: an operator's, or a caller's of the API.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub struct OlderQuestion {
    /// The command's path.
    pub path: String,
    /// Its body, in JSON.
    pub body: String,
    /// The number of the drain that it begins in every process.
    pub drain: Option<u64>,
}

/// What a process answers the one after it.
#[derive(Clone, PartialEq, Debug)]
pub struct OlderAnswer {
    /// The HTTP status an operator would have read.
    pub status: u16,
    /// The answer for programs.
    pub json: Value,
}

/// What came of asking an older process.
#[derive(Clone, PartialEq, Debug)]
pub struct OlderReport {
    /// Which.
    pub pid: u32,
    /// Sessions it had when it last said so; none where it has not said yet.
    pub sessions: Option<usize>,
    /// Its answer.
    pub answer: Result<OlderAnswer, NoAnswer>,
}

/// Why an older process has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAnswer {
    /// It is of a version that takes no commands from the process after it.
    Version,
    /// Too many questions wait for it.
    Busy,
    /// It took longer than [`OLDER_ANSWER_TIMEOUT`].
    Late,
    /// It answered more than [`OLDER_ANSWER_BYTES_MAX`], or what is no answer.
    Unreadable,
    /// It ended meanwhile.
    Ended,
    /// Another process takes over from this one, and with it what it says.
    Replaced,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Version => f.write_str(
                "it is of an earlier version, which takes no commands from a newer process; \
                 SIGTERM drains it",
            ),
            NoAnswer::Busy => f.write_str("too many commands wait for it"),
            NoAnswer::Late => {
                write!(f, "no answer within {} s", OLDER_ANSWER_TIMEOUT.as_secs())
            }
            NoAnswer::Unreadable => f.write_str("its answer is too long or none"),
            NoAnswer::Ended => f.write_str("it has ended meanwhile"),
            NoAnswer::Replaced => f.write_str("another process takes over, and hears its answer"),
        }
    }
}
