//! What is said of an upstream that is away, outside of the core.

use std::sync::Arc;

use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::base::quota::ClientQuota;
use crate::config::plan;

/// How a session is held, and within which budget.
#[derive(Clone, Debug)]
pub struct HoldTerms {
    /// The route's table, as it was when the session was opened.
    pub hold: Arc<plan::Hold>,
    /// What the sessions of its client may keep together, of messages while their upstreams are
    /// away, and for their lives of their handshakes and what they replay.
    pub budget: Arc<ClientQuota>,
    /// Bytes of its handshake, stored for its life; they count there too.
    pub head_bytes: u64,
}

/// Why an upstream is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldCause {
    /// It was lost.
    Lost,
    /// The session was asked to leave it.
    Moved,
}

impl Label for HoldCause {
    fn label(&self) -> &'static str {
        match self {
            HoldCause::Lost => "lost",
            HoldCause::Moved => "moved",
        }
    }
}

/// A session's upstream is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HoldState {
    /// Since when. An upstream that was lost as soon as it came does not change it.
    pub since: Moment,
    /// Why.
    pub why: HoldCause,
    /// Which attempt at another upstream is due, from 1: dials that failed, as far as they were
    /// told, and upstreams that were lost as soon as they came count.
    pub attempt: u32,
    /// There is none before this moment: the session was given as many upstreams as it may be in a
    /// minute.
    pub not_before: Moment,
}

/// What a session needs from whoever polls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// Another upstream.
    Upstream(HoldState),
    /// To leave this one, once another takes the session up.
    Target,
}

/// How holding a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldEnd {
    /// With a new upstream.
    Resumed,
    /// No new upstream came in time, or none that could go on.
    InVain,
    /// A kept message became too old.
    TooOld,
    /// There was no room to keep more.
    NoRoom,
    /// Two upstreams in a row were lost that had been sent the recorded messages.
    Poison,
    /// The session ended for a reason of its own.
    Ended,
}

impl Label for HoldEnd {
    fn label(&self) -> &'static str {
        match self {
            HoldEnd::Resumed => "resumed",
            HoldEnd::InVain => "in_vain",
            HoldEnd::TooOld => "too_old",
            HoldEnd::NoRoom => "no_room",
            HoldEnd::Poison => "poison",
            HoldEnd::Ended => "ended",
        }
    }
}
