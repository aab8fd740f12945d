//! Holding a session: its client stays while its upstream is away.
//!
//! ```text
//!            leave           a message's     its Close, or its end
//!   Live ───────────▶ Leaving ───────▶ Parting ───────▶ Away
//!    │ ▲                       border   ▲                ▲ │
//!    │ │                                │                │ │ attach
//!    │ │   it cannot be written to      │                │ ▼
//!    │ ├────────────────────────────────┘    lost    Waiting
//!    │ │                                  ◀──────────────┤ the answers
//!    │ └─────────────────────────────────────────────────┘ to swallow came
//!    └──── lost: its end, silence, a Close with one of `lost_codes` ────▶ Away
//! ```
//!
//! From `Parting` to `Waiting` the client's messages are kept; they go to the next upstream in
//! order, each once at most. What had been given to the old one's transport may be lost; of what
//! had not, whole messages are kept too. An end of the session, whatever the reason, goes before
//! all this: then what was kept is lost with it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan;
use crate::end::Loss;
use crate::registry::MoveOrder;
use crate::wire::frame::{Allowed, Tracker};

use super::closing::CloseState;
use super::demand::{Demand, HoldCause, HoldEnd, HoldState, HoldTerms};
use super::kept::Kept;
use super::pending_ping::PendingPing;
use super::replay::Replay;
use super::{Core, RecvState};

/// Where a session that can be held stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Its upstream is there.
    Live,
    /// A Close is due to its upstream when the client's message is whole, until this moment.
    Leaving(Moment),
    /// Its upstream is told nothing more; it may still speak.
    Parting,
    /// It has no upstream.
    Away,
    /// Its new upstream owes so many answers that the client has seen, until this moment.
    Waiting(u64, Moment),
    /// The session ended while its messages were kept.
    Over,
}

/// What is kept of a session that can be held. Boxed: other sessions have none of it.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) terms: Arc<plan::Hold>,
    pub(super) allowed: Allowed,
    pub(super) stage: Stage,
    pub(super) why: HoldCause,
    pub(super) how: Loss,
    pub(super) since: Moment,
    pub(super) attempt: u32,
    /// When the upstream came; `NEVER` once it has shown that it lives.
    pub(super) attached: Moment,
    /// The order to move that it follows. Boxed: few are moving.
    pub(super) moving: Option<Box<MoveOrder>>,
    /// It is due, and needs a place elsewhere.
    pub(super) asked_to_move: bool,
    /// The Close an upstream that goes is answered with.
    pub(super) echo: Option<u16>,
    /// The rest of the client's message is left out: its beginning is lost.
    pub(super) discard: bool,
    pub(super) kept: Kept,
    /// Since when the client is not read for want of room; `NEVER` while there is some.
    pub(super) full_since: Moment,
    pub(super) replay: Replay,
    /// Not all of the record was sent.
    pub(super) replay_due: bool,
    /// How many of its messages this upstream was sent.
    pub(super) replayed: usize,
    /// It repeats what the client has seen; or did so to its end.
    pub(super) swallows: bool,
    /// How many of its answers the client has seen already.
    pub(super) answers: u64,
    /// The client's messages that went to an upstream, and how many of them to earlier ones.
    pub(super) crossed: u64,
    pub(super) crossed_before: u64,
    /// Where the client's direction stood before what was sent upstream last.
    pub(super) before: Tracker,
    /// Where it stood at the front of what could not be sent at once, and when that was.
    pub(super) spilled: Tracker,
    pub(super) spilled_at: Moment,
    /// While its upstream goes: whether a message was being left out before. Until it is known
    /// what of the client's messages was not sent.
    pub(super) recovers: Option<bool>,
    /// When the oldest of the kept messages was read that went to the upstream last, until all
    /// were sent.
    pub(super) flushed_oldest: Moment,
    /// By side: its last ping that nobody has answered.
    pub(super) asked: [PendingPing; 2],
    /// The client's messages whose rest was left out.
    pub(super) discarded: u64,
    /// A Close of the client's could not go across: the upstream is owed one of ours.
    pub(super) owes_close: bool,
    /// How the absence will have ended, if the session ends in it.
    pub(super) result: HoldEnd,
    /// What happened and was not told yet.
    pub(super) news: News,
}

/// What happened to a session that is held, told once.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) begun: Option<HoldCause>,
    pub(super) stays: bool,
    pub(super) over: Option<(HoldEnd, Duration)>,
}

impl Hold {
    pub(super) fn new(terms: HoldTerms, allowed: Allowed) -> Hold {
        let HoldTerms { hold: terms, budget } = terms;
        let tracker = Tracker::new(Side::Client, allowed);
        Hold {
            replay: Replay::new(terms.replay_first, terms.replay_bytes_max, allowed),
            terms,
            allowed,
            stage: Stage::Live,
            why: HoldCause::Lost,
            how: Loss::Eof,
            since: Moment::default(),
            attempt: 0,
            attached: Moment::NEVER,
            moving: None,
            asked_to_move: false,
            echo: None,
            discard: false,
            kept: Kept::new(budget),
            full_since: Moment::NEVER,
            replay_due: false,
            replayed: 0,
            swallows: false,
            answers: 0,
            crossed: 0,
            crossed_before: 0,
            before: tracker.clone(),
            spilled: tracker,
            spilled_at: Moment::NEVER,
            recovers: None,
            flushed_oldest: Moment::NEVER,
            asked: Default::default(),
            discarded: 0,
            owes_close: false,
            result: HoldEnd::Ended,
            news: News::default(),
        }
    }

    /// The beginning of what goes to a new upstream.
    pub(super) fn begin(&self) -> Tracker {
        Tracker::new(Side::Client, self.allowed)
    }

    /// Whether what goes to the upstream has nothing to do with where the client stands: it is
    /// between two messages, wherever the client is.
    pub(super) fn stands_apart(&self) -> bool {
        let goes = matches!(self.stage, Stage::Parting | Stage::Away);
        self.stage == Stage::Over || !goes && self.keeps()
    }

    /// Whether the client's messages are kept: they cannot go on, or not before others; or one is
    /// left out that cannot go on at all.
    pub(super) fn keeps(&self) -> bool {
        let absent = matches!(self.stage, Stage::Parting | Stage::Away | Stage::Waiting(..));
        absent || self.discard || self.replay_due || !self.kept.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full_since != Moment::NEVER
    }

    /// How many of `wanted` bytes can be kept.
    pub(super) fn reserve(&mut self, wanted: usize) -> usize {
        self.kept.reserve(wanted, self.terms.buffer_bytes_max)
    }

    /// The client is not read any more.
    pub(super) fn fill(&mut self, now: Moment) {
        if !self.is_full() {
            self.full_since = now;
        }
    }

    /// When something is due that only holding knows.
    pub(super) fn due(&self) -> Moment {
        let oldest = self.kept.oldest();
        let mut due = match self.stage {
            Stage::Leaving(until) | Stage::Waiting(_, until) => until,
            Stage::Away => self.since.after(self.terms.timeout),
            Stage::Over => return Moment::NEVER,
            Stage::Live if !self.asked_to_move => {
                self.moving.as_ref().map_or(Moment::NEVER, |order| order.at)
            }
            Stage::Live | Stage::Parting => Moment::NEVER,
        };
        if self.is_full() {
            due = due.min(self.full_since.after(self.terms.full_timeout));
        }
        if oldest != Moment::NEVER {
            due = due.min(oldest.after(self.terms.message_age_max));
        }
        due
    }
}
impl Core {
    /// Whether the client's messages are kept.
    pub(in crate::relay) fn keeps(&self) -> bool {
        self.end.is_none() && self.hold.as_ref().is_some_and(|hold| hold.keeps())
    }

    /// Whether the client's bytes go straight to the upstream, as far as holding is concerned.
    pub(super) fn passes(&self) -> bool {
        self.hold.as_ref().is_none_or(|hold| hold.stage != Stage::Over && !hold.keeps())
    }

    /// Whether what goes to the upstream has nothing to do with where the client stands.
    pub(super) fn stands_apart(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.stands_apart())
    }

    /// Whether a Close is owed to a side because the other's own could not go across.
    pub(super) fn owes_close(&self, side: Side) -> bool {
        side == Side::Upstream && self.hold.as_ref().is_some_and(|hold| hold.owes_close)
    }

    /// Whether we answer pings in the place of a side.
    pub(in crate::relay) fn answers_for(&self, side: Side) -> bool {
        match side {
            Side::Upstream => self.keeps(),
            Side::Client => self.is_swallowing() && self.end.is_none(),
        }
    }

    /// Whether the session can be held when its upstream is lost now: not while a message from it
    /// is cut, which nobody could complete. What an answer that is swallowed lacks, nobody sees.
    pub(super) fn can_be_held(&self) -> bool {
        let upstream = self.at(Side::Upstream);
        let tracker = &upstream.tracker;
        let at_close = upstream.heard == RecvState::Closed && !tracker.is_inside_message();
        let whole = tracker.at_message_boundary() || at_close || self.is_swallowing();
        whole && self.may_be_held()
    }

    /// Whether it can be if what its upstream still says is whole.
    pub(super) fn may_be_held(&self) -> bool {
        let Some(hold) = &self.hold else { return false };
        let client = self.at(Side::Client);
        let listens = client.heard == RecvState::Open && !client.ended && !client.write_failed;
        self.end.is_none() && listens && !hold.replay.is_over()
    }

    /// Whether nothing that the upstream says goes to the client: it repeats itself, or would have
    /// gone on to when the session ended.
    pub(super) fn is_swallowing(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.swallows)
    }

    pub(super) fn stage(&self) -> Stage {
        self.hold.as_ref().map_or(Stage::Live, |hold| hold.stage)
    }

    /// What ran out while the session was held, if that is how it ended.
    pub(in crate::relay) fn ran_out(&self) -> Option<HoldEnd> {
        let hold = self.hold.as_ref().filter(|hold| hold.stage == Stage::Over)?;
        (hold.result != HoldEnd::Ended).then_some(hold.result)
    }

    /// What is needed from whoever polls the relay.
    pub(in crate::relay) fn demand(&self) -> Option<Demand> {
        let hold = self.hold.as_ref().filter(|_| self.end.is_none())?;
        match hold.stage {
            Stage::Away if self.at(Side::Upstream).way == CloseState::Gone => {
                let Hold { since, why, attempt, .. } = **hold;
                Some(Demand::Upstream(HoldState { since, why, attempt }))
            }
            Stage::Live if hold.asked_to_move => Some(Demand::Target),
            _ => None,
        }
    }
}
