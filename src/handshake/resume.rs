//! A session's handshake said again: to a backend that takes it up on the terms of the first.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::candidate::Upstream;
use super::connect::{Answered, connect};
use super::failure::Failure;
use super::hold::Replay;
use crate::base::clock::Moment;
use crate::pool::{Key, Pool};

/// What came of one attempt.
pub struct Resumed {
    /// The address of the backend that answered, or was asked last.
    pub backend: Option<Arc<str>>,
    /// The new upstream, or why there is none.
    pub answer: Result<Box<Upstream>, NotResumed>,
}

/// Why a session was not taken up.
#[derive(Debug)]
pub enum NotResumed {
    /// No backend answered.
    Failed(Failure),
    /// A backend answered with something else than a 101.
    Refused(StatusCode),
    /// A backend agreed on another subprotocol, other extensions or other parameters of them, of
    /// which the client cannot be told any more.
    Changed,
    /// What was kept of the handshake cannot be read.
    Unreadable,
}

impl NotResumed {
    /// Whether it would be no better later: then the hold ends. An answer that is no error of the
    /// server's is its word: a login that has run out does not come back by itself.
    pub fn is_final(&self) -> bool {
        match self {
            NotResumed::Failed(failure) => matches!(failure, Failure::Wrong(_)),
            NotResumed::Refused(status) => !status.is_server_error(),
            NotResumed::Changed | NotResumed::Unreadable => true,
        }
    }
}

impl fmt::Display for NotResumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotResumed::Failed(failure) => failure.fmt(f),
            NotResumed::Refused(status) => write!(f, "the backend answered {}", status.as_u16()),
            NotResumed::Changed => f.write_str("the backend agreed on other terms than before"),
            NotResumed::Unreadable => f.write_str("the stored handshake cannot be read"),
        }
    }
}

/// Says the handshake again, to one backend after another as [`connect`] does, but not to those
/// `tried`. `attempt` backends were asked since the upstream was `lost`; those asked now are added.
pub async fn resume(
    pool: &Arc<Pool>,
    replay: &Replay,
    key: Option<Key>,
    attempt: &mut u32,
    lost: Moment,
    tried: Vec<Arc<str>>,
) -> Resumed {
    let Some((mut asked, head)) = replay.again(*attempt, lost) else {
        return Resumed { backend: None, answer: Err(NotResumed::Unreadable) };
    };
    let connected = connect(pool, &mut asked, &head, key, tried).await;
    *attempt = asked.attempts();
    let answer = match connected.answer {
        Ok(Answered::Upstream(upstream)) if replay.agrees_with(&upstream.agreed) => Ok(upstream),
        Ok(Answered::Upstream(_)) => Err(NotResumed::Changed),
        Ok(Answered::Http(answer)) => Err(NotResumed::Refused(answer.status())),
        Err(failure) => Err(NotResumed::Failed(failure)),
    };
    Resumed { backend: connected.backend, answer }
}
