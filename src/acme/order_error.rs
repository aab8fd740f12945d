//! Why an order came to nothing.

use std::fmt;
use std::io;
use std::time::Duration;

use instant_acme::Error;

use crate::base::label::Label;

/// Why an order came to nothing. What it says names what is wrong; the line of the log names the
/// certificate.
#[derive(Debug)]
pub(super) enum OrderError {
    /// The authority is not reached, or what comes is no ACME.
    Authority(Error),
    /// The authority refuses.
    Refused(String),
    /// It asks for fewer orders.
    RateLimited(String),
    /// It has asked whether the name is ours, and was not answered as it should be.
    Challenge(String),
    /// It offers no way of asking that can be answered.
    NoChallenge(String),
    /// It has not decided in time.
    Timeout(Duration),
    /// The clocks are so far apart, in seconds by which ours is ahead.
    Clock(i64),
    /// What came is no certificate for the name.
    Certificate(String),
    /// The directory of state cannot be used.
    State(io::Error),
    /// Another instance has taken the lock over.
    LockLost,
    /// The hook that sets records in DNS failed.
    Hook(String),
}

impl Label for OrderError {
    fn label(&self) -> &'static str {
        match self {
            OrderError::Authority(_) => "authority",
            OrderError::Refused(_) => "refused",
            OrderError::RateLimited(_) => "rate_limited",
            OrderError::Challenge(_) => "challenge",
            OrderError::NoChallenge(_) => "no_challenge",
            OrderError::Timeout(_) => "timeout",
            OrderError::Clock(_) => "clock",
            OrderError::Certificate(_) => "certificate",
            OrderError::State(_) => "state",
            OrderError::LockLost => "lock_lost",
            OrderError::Hook(_) => "hook",
        }
    }
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Authority(error) => write!(f, "the authority cannot be asked: {error}"),
            OrderError::Refused(why) => write!(f, "the authority refuses: {why}"),
            OrderError::RateLimited(why) => write!(f, "the authority limits orders: {why}"),
            OrderError::Challenge(why) => {
                write!(f, "the authority was not answered for the name: {why}")
            }
            OrderError::NoChallenge(why) => {
                write!(f, "no way to show that the name is ours: {why}")
            }
            OrderError::Timeout(limit) => {
                write!(f, "the authority has not decided within {limit:?}")
            }
            OrderError::Clock(ahead) => {
                let (by, way) = (ahead.unsigned_abs(), if *ahead > 0 { "ahead" } else { "behind" });
                write!(f, "this machine's clock is {by} s {way} of the authority's: set it right")
            }
            OrderError::Certificate(why) => write!(f, "the authority's certificate {why}"),
            OrderError::State(error) => {
                write!(f, "the directory of state (`acme.state`) cannot be used: {error}")
            }
            OrderError::LockLost => f.write_str("another instance orders in place of this one"),
            OrderError::Hook(why) => write!(f, "the hook of `acme.dns` {why}"),
        }
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> OrderError {
        match error {
            Error::Api(problem) => {
                let kind = problem.r#type.as_deref().unwrap_or_default();
                let said = problem.to_string();
                let said = said.strip_prefix("API error: ").unwrap_or(&said).to_owned();
                match kind.ends_with(":rateLimited") {
                    true => OrderError::RateLimited(said),
                    false => OrderError::Refused(said),
                }
            }
            error => OrderError::Authority(error),
        }
    }
}

impl From<io::Error> for OrderError {
    fn from(error: io::Error) -> OrderError {
        OrderError::State(error)
    }
}
