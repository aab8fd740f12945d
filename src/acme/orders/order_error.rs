//! Why an order came to nothing.

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;
use instant_acme::{Error, Problem};

use super::ca_client::ExchangeError;
use crate::base::label::Label;

/// Characters of what an authority says that are told of it.
const SAID_CHARS_MAX: usize = 500;

/// Why an order came to nothing. What it says names what is wrong; the line of the log names the
/// certificate.
#[derive(Debug)]
pub(super) enum OrderError {
    /// The authority is not reached, or what comes is no ACME.
    Authority(String),
    /// The authority refuses.
    Refused(String),
    /// It asks for fewer orders.
    RateLimited(String),
    /// It does not know the account, which it knew before.
    NoAccount,
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
            OrderError::NoAccount => "account",
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
            OrderError::NoAccount => {
                f.write_str("the authority does not know the account; the next order makes another")
            }
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
                let said = problem.to_string();
                let said = one_line(said.strip_prefix("API error: ").unwrap_or(&said));
                match kind(&problem) {
                    "rateLimited" => OrderError::RateLimited(said),
                    "accountDoesNotExist" => OrderError::NoAccount,
                    _ => OrderError::Refused(said),
                }
            }
            // What stands before an authority limits requests in words of its own.
            Error::Other(error)
                if matches!(
                    error.downcast_ref(),
                    Some(ExchangeError::Status(StatusCode::TOO_MANY_REQUESTS))
                ) =>
            {
                OrderError::RateLimited("429 Too Many Requests".to_owned())
            }
            error => OrderError::Authority(one_line(&error.to_string())),
        }
    }
}

/// ACME's word for a problem (RFC 8555 §6.7).
pub(super) fn kind(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

/// What an authority says, as it can stand in a line of a log: it may say anything.
pub(super) fn one_line(said: &str) -> String {
    let plain = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.clone().take(SAID_CHARS_MAX).collect();
    if plain.count() > SAID_CHARS_MAX {
        line.push('…');
    }
    line
}

impl From<io::Error> for OrderError {
    fn from(error: io::Error) -> OrderError {
        OrderError::State(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_authority_says_is_one_line_of_some_length() {
        let said = one_line(&format!("no\r\n\x1b[31m{}", "é".repeat(1000)));
        assert!(said.starts_with("no   [31mé") && said.ends_with("é…"), "{said}");
        assert_eq!(said.chars().count(), SAID_CHARS_MAX + 1);
        assert_eq!(one_line("as it is"), "as it is");
    }
}
