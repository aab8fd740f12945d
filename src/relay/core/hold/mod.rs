//! Holding a session: its client stays while its upstream is away.
//!
//! ```text
//!        leave     a border   answers        its Close, or its end
//!   Live ──▶ Leaving ──▶ Listening ──▶ Parting ───────▶ Away
//!    │ ▲                                ▲                ▲ │
//!    │ │                                │                │ │ attach
//!    │ │   it cannot be written to      │                │ ▼
//!    │ ├────────────────────────────────┘    lost    Waiting
//!    │ │                                  ◀──────────────┤ the answers
//!    │ └─────────────────────────────────────────────────┘ to swallow came
//!    └──── lost: its end, silence, a Close with one of `lost_codes` ────▶ Away
//! ```
//!
//! From `Listening` to `Waiting` the client's messages are kept; they go to the next upstream in
//! order, each once at most. What had been given to the old one's transport may be lost; of what
//! had not, whole messages are kept too. An end of the session, whatever the reason, goes before
//! all this: then what was kept is lost with it, or goes to the upstream that is still there.
//!
//! The core tells what happens (`on_…`), asks, and carries out what [`Hold::poll_news`] and
//! [`Hold::poll_flush`] give; it does not see inside.

use super::super::budget::BudgetShare;
use super::demand::{HoldCause, HoldEnd, HoldTerms};
use super::order::Order;
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan;
use crate::end::{End, Loss};
use crate::registry::{EndOrder, MoveOrder};
use crate::wire::frame::Allowed;
use std::sync::Arc;
use std::time::Duration;

mod answers;
mod backlog;
mod messages;
mod news;
mod proof;
mod questions;
mod replay_log;
mod transit;

use answers::OwedAnswers;
use backlog::Backlog;
use news::News;
use proof::Proof;
use replay_log::ReplayLog;
use transit::Transit;

/// Where a session that can be held stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Its upstream is there.
    Live,
    /// So it is, and another one is asked to take the session up.
    Asking { since: Moment },
    /// It leaves its upstream when the client's message is whole, until this moment.
    Leaving { until: Moment },
    /// Its upstream is sent a Close once it has answered what it was sent, or at this moment.
    Listening { by: Moment },
    /// Its upstream is told nothing more; it may still speak, to this moment at most.
    Parting { by: Moment },
    /// It has no upstream.
    Away,
    /// Its new upstream owes so many answers that the client has seen, until this moment.
    Waiting { left: u32, until: Moment },
    /// The session ended while its messages were kept.
    Over(HoldEnd),
}

/// What is kept of a session that can be held. Boxed: other sessions have none of it.
#[derive(Debug)]
pub(super) struct Hold {
    terms: Arc<plan::Hold>,
    stage: Stage,
    /// The absence in progress, or the one before until its upstream was proven. The attempts of a
    /// session that was never held are none.
    cause: HoldCause,
    since: Moment,
    /// Nothing is waited for in vain before this moment.
    spared: Moment,
    attempt: u32,
    how: Loss,
    proof: Proof,
    /// The session ends because what would be sent again may be what its upstreams die of.
    poisoned: bool,
    /// The order to move that it follows. Boxed: few are moving.
    moving: Option<Box<MoveOrder>>,
    /// This upstream was closed because the session moves.
    said_move: bool,
    /// The rest of the client's message is left out: its beginning is lost.
    discards: bool,
    /// The client's messages whose rest was left out.
    discarded: u32,
    /// The upstream repeats what the client has seen; or did so to its end.
    swallows: bool,
    /// How many of its answers the client has seen already.
    seen_answers: u32,
    answers: OwedAnswers,
    /// How the absence will have ended, if the session ends in it.
    result: HoldEnd,
    backlog: Backlog,
    replay: ReplayLog,
    /// Of the stored handshake and what is recorded, and the part of the former.
    kept: BudgetShare,
    head_bytes: u32,
    transit: Transit,
    news: News,
}

impl Hold {
    pub(super) fn new(terms: HoldTerms, allowed: Allowed, now: Moment) -> Hold {
        let HoldTerms { hold: terms, budget, head_bytes } = terms;
        let mut kept = BudgetShare::none(Arc::clone(&budget));
        kept.set(head_bytes);
        Hold {
            replay: ReplayLog::new(terms.replay_first, terms.replay_bytes_max, allowed),
            terms,
            stage: Stage::Live,
            cause: HoldCause::Lost,
            since: Moment::default(),
            spared: Moment::default(),
            attempt: 0,
            how: Loss::Eof,
            proof: Proof::new(now),
            poisoned: false,
            moving: None,
            said_move: false,
            discards: false,
            discarded: 0,
            swallows: false,
            seen_answers: 0,
            answers: OwedAnswers::default(),
            result: HoldEnd::Ended,
            backlog: Backlog::new(budget),
            kept,
            head_bytes: u32::try_from(head_bytes).unwrap_or(u32::MAX),
            transit: Transit::new(allowed),
            news: News::default(),
        }
    }

    /// The process did not run: what is waited for has this time from now on. A message is too old
    /// all the same.
    pub(super) fn on_overslept(&mut self, time: Duration, now: Moment) {
        self.spared = now.after(time);
    }

    /// Does what is due; `listens` while the upstream takes frames. The end, if something ran out,
    /// and the order to end that is followed instead of one to move.
    pub(super) fn on_timeout(
        &mut self,
        listens: bool,
        now: Moment,
    ) -> (Option<End>, Option<EndOrder>) {
        let too_old = self.backlog.oldest().after(self.terms.message_age_max) <= now;
        let no_room = self.room_by() <= now;
        // A client that is not read for want of room is told so, whichever time is over first.
        if no_room || too_old && self.is_full() {
            return (Some(End::NoRoom { side: Side::Upstream }), None);
        }
        if too_old || self.upstream_by() <= now {
            let result = if too_old { HoldEnd::TooOld } else { HoldEnd::InVain };
            return (Some(self.on_ran_out(result)), None);
        }
        match self.stage {
            Stage::Leaving { until } if until <= now => (None, self.stay()),
            Stage::Asking { since } if self.ask_until(since) <= now => (None, self.stay()),
            // It could not be written to meanwhile, and no other can take the session up.
            Stage::Listening { by } if by <= now && !listens => {
                self.backlog.clear();
                (None, self.stay())
            }
            _ => (None, self.move_if_due(listens, now)),
        }
    }

    /// The wait for an upstream ends so; what that is to the session.
    pub(super) fn on_ran_out(&mut self, result: HoldEnd) -> End {
        self.result = result;
        End::Lost { side: Side::Upstream, how: self.how }
    }

    /// An order to move; the one to end that is followed instead.
    pub(super) fn on_order(
        &mut self,
        order: MoveOrder,
        listens: bool,
        now: Moment,
    ) -> Option<EndOrder> {
        if let (Stage::Parting { by } | Stage::Listening { by }, Some(end)) =
            (&mut self.stage, order.otherwise)
        {
            *by = (*by).min(end.deadline);
        }
        let order = self.moving.take().map_or(order, |old| old.merge(order));
        self.moving = Some(Box::new(order));
        self.move_if_due(listens, now)
    }

    /// The orders to move are withdrawn. One that leaves already does so, and stays when it cannot.
    pub(super) fn withdraw(&mut self) {
        match (self.stage, &mut self.moving) {
            (Stage::Leaving { .. } | Stage::Listening { .. }, Some(order)) => {
                order.otherwise = None;
            }
            (Stage::Live | Stage::Asking { .. }, moving) => {
                *moving = None;
                self.stage = Stage::Live;
            }
            (_, moving) => *moving = None,
        }
    }

    /// Asks for another upstream when an order to move is due.
    fn move_if_due(&mut self, listens: bool, now: Moment) -> Option<EndOrder> {
        if self.moving.as_ref().is_none_or(|order| order.at > now) {
            return None;
        }
        match self.stage {
            Stage::Asking { .. } => None,
            Stage::Live if self.replay.is_overflowed() || !listens => self.stay(),
            Stage::Live => {
                self.stage = Stage::Asking { since: now };
                None
            }
            // It is on its way; or it is not this upstream's yet, and is asked again when it is.
            Stage::Leaving { .. } | Stage::Listening { .. } | Stage::Waiting { .. } => None,
            Stage::Parting { .. } | Stage::Away | Stage::Over(_) => {
                self.moving = None;
                None
            }
        }
    }

    /// Another takes the session up: leaves the upstream with a Close when the client's message is
    /// whole, if that is before `until`. Whether it does.
    pub(super) fn leave(&mut self, until: Moment) -> bool {
        let asks = matches!(self.stage, Stage::Asking { .. });
        if asks {
            self.stage = Stage::Leaving { until: until.min(self.leave_by()) };
        }
        asks
    }

    /// The client stands between two messages. Whether the upstream that it leaves may still
    /// answer: from here on the client's messages are kept.
    pub(super) fn listen(&mut self, now: Moment) -> bool {
        if matches!(self.stage, Stage::Leaving { .. }) {
            // Half of an order's time is left for its Close.
            let most = now.after(self.leave_by().since(now) / 2);
            self.stage = Stage::Listening { by: most.min(self.answers_by()) };
        }
        matches!(self.stage, Stage::Listening { .. }) && !self.wants_close(now)
    }

    /// Does not move: the order to end that it follows instead, where there is one; else it stays.
    pub(super) fn stay(&mut self) -> Option<EndOrder> {
        use Stage::{Asking, Leaving, Listening};
        if matches!(self.stage, Asking { .. } | Leaving { .. } | Listening { .. }) {
            self.stage = Stage::Live;
        }
        let order = self.moving.take()?;
        if order.otherwise.is_none() {
            self.news.on_stayed();
        }
        order.otherwise
    }

    /// From here on the client's messages are kept; `open` when one is in progress.
    pub(super) fn on_parting(&mut self, cause: HoldCause, open: bool, now: Moment) {
        let by = self.leave_by();
        self.moving = None;
        if self.is_absent() {
            return;
        }
        self.said_move = cause == HoldCause::Moved;
        match self.proof.on_lost(&self.terms, self.has_record(), now) {
            // The same absence, but for the time in which there was an upstream.
            Some(lived) if self.attempt > 0 => {
                self.since = self.since.after(lived);
                self.attempt = self.attempt.saturating_add(1);
            }
            _ => (self.cause, self.since, self.attempt) = (cause, now, 1),
        }
        // A message kept from its beginning goes on being kept.
        if !matches!(self.stage, Stage::Waiting { .. }) {
            self.news.on_began(cause);
            self.transit.on_parting(self.discards);
            self.discards |= open && !self.keeps();
        }
        self.replay.cancel();
        self.stage = Stage::Parting { by };
    }

    /// The upstream is lost; how, where that was seen.
    pub(super) fn on_lost(&mut self, how: Option<Loss>, now: Moment) {
        if self.said_move && matches!(self.stage, Stage::Parting { .. }) {
            // Until now it was there, for as long as its client took to read it.
            self.since = now;
        }
        self.stage = Stage::Away;
        self.how = how.unwrap_or(self.how);
    }

    /// A new upstream came, for a client that has `seen` so many messages.
    pub(super) fn on_attached(&mut self, seen: u64, now: Moment) {
        self.proof.on_attached(now);
        self.said_move = false;
        self.transit.on_attached();
        self.answers = OwedAnswers::default();
        self.replay.begin();
        // No more than the client has seen: the others it waits for.
        let most = self.terms.swallow_first;
        self.seen_answers = u32::try_from(seen).unwrap_or(u32::MAX).min(most);
        self.swallows = self.seen_answers > 0;
        self.stage = match self.seen_answers {
            0 => return self.resume(),
            left => Stage::Waiting { left, until: now.after(self.terms.swallow_timeout) },
        };
    }

    /// The upstream is the session's.
    fn resume(&mut self) {
        self.stage = Stage::Live;
        self.swallows = false;
        self.backlog.on_room();
        self.news.on_ended(HoldEnd::Resumed, self.since);
    }

    /// A dial failed: the next is another attempt.
    pub(super) fn on_dial_failed(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
    }

    /// Data messages passed whole, in either direction.
    pub(super) fn on_messages(&mut self, from: Side, messages: u32, now: Moment) {
        self.proof.on_messages();
        match from {
            Side::Client => self.answers.on_asked(messages, now),
            Side::Upstream => self.answers.on_answered(messages),
        }
    }

    /// A message of the upstream's is whole that did not go across; after the last answer that the
    /// client has seen the kept messages go.
    pub(super) fn on_swallowed(&mut self) {
        self.proof.on_messages();
        match &mut self.stage {
            Stage::Waiting { left, .. } if *left > 1 => *left -= 1,
            Stage::Waiting { .. } => self.resume(),
            _ => {}
        }
    }

    /// A message of the client's is whole whose rest was left out.
    pub(super) fn on_discarded(&mut self) {
        self.discards = false;
    }

    /// The session ends so. What waits only for its turn at an upstream still goes.
    pub(super) fn on_end(&mut self, end: End, now: Moment) {
        self.moving = None;
        self.backlog.on_room();
        match self.stage {
            Stage::Over(_) => {}
            Stage::Live
            | Stage::Asking { .. }
            | Stage::Leaving { .. }
            | Stage::Listening { .. } => {
                let lost = matches!(end, End::Lost { side: Side::Upstream, .. });
                self.poisoned = lost && self.is_poisoned(now);
                self.stage = Stage::Live;
                if lost {
                    self.backlog.clear();
                }
            }
            Stage::Parting { .. } | Stage::Away | Stage::Waiting { .. } => {
                let no_room = matches!(end, End::NoRoom { .. });
                let result = if no_room { HoldEnd::NoRoom } else { self.result };
                self.news.on_ended(result, self.since);
                self.stage = Stage::Over(result);
                self.replay.cancel();
                self.backlog.clear();
            }
        }
    }

    /// What happened and was not told yet.
    pub(super) fn poll_news(&mut self, now: Moment) -> Option<Order> {
        self.news.poll(&mut self.discarded, now)
    }
}
