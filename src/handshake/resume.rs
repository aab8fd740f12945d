//! A session's handshake said again: to a backend that takes it up on the terms of the first.

use std::fmt;

use http::StatusCode;

use super::attempt::{Answered, Upstream};
use super::connect::connect;
use super::replay::Replay;
use crate::base::clock::Moment;
use crate::pool::{Attempts, UpstreamError};

/// Why a session was not taken up.
#[derive(Debug)]
pub enum NotResumed {
    /// No backend answered.
    Failed(UpstreamError),
    /// A backend answered with something else than a 101.
    Refused(StatusCode),
    /// A backend agreed on another subprotocol, other extensions or other parameters of them, of
    /// which the client cannot be told any more.
    Changed,
    /// A backend opened a WebSocket and did not confirm that it goes on with the session.
    Unconfirmed,
    /// What was kept of the handshake cannot be read.
    Unreadable,
}

impl NotResumed {
    /// Whether it would be no better later: then the hold ends. An answer that is no error of the
    /// server's is its word: a login that has run out does not come back by itself.
    pub fn is_final(&self) -> bool {
        match self {
            NotResumed::Failed(error) => matches!(error, UpstreamError::Handshake(_)),
            NotResumed::Refused(status) => !status.is_server_error(),
            NotResumed::Changed | NotResumed::Unconfirmed | NotResumed::Unreadable => true,
        }
    }
}

impl fmt::Display for NotResumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotResumed::Failed(error) => error.fmt(f),
            NotResumed::Refused(status) => write!(f, "the backend answered {}", status.as_u16()),
            NotResumed::Changed => f.write_str("the backend agreed on other terms than before"),
            NotResumed::Unconfirmed => {
                f.write_str("the backend did not confirm with Tidegate-Resume that it goes on")
            }
            NotResumed::Unreadable => f.write_str("the stored handshake cannot be read"),
        }
    }
}

/// Says the handshake again, to one backend after another as [`connect`] does. `attempt` backends
/// were asked since the upstream was `lost`; those asked now are added.
///
/// # Errors
/// Why the session was not taken up.
pub async fn resume(
    attempts: Attempts<'_>,
    replay: &Replay,
    attempt: &mut u32,
    lost: Moment,
) -> Result<Box<Upstream>, NotResumed> {
    let (mut request, outbound) = replay.again(*attempt, lost).ok_or(NotResumed::Unreadable)?;
    let connected = connect(attempts, &mut request, &outbound).await;
    *attempt = request.attempts();
    match connected.outcome {
        Ok(Answered::Upstream(upstream)) if !replay.agrees_with(&upstream.agreed) => {
            Err(NotResumed::Changed)
        }
        Ok(Answered::Upstream(upstream)) if !replay.is_confirmed_by(&upstream.fields) => {
            Err(NotResumed::Unconfirmed)
        }
        Ok(Answered::Upstream(upstream)) => Ok(upstream),
        Ok(Answered::Http(answer)) => Err(NotResumed::Refused(answer.status())),
        Err(error) => Err(NotResumed::Failed(error)),
    }
}
