//! How a session parts from its upstream, and how it comes by another.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::End;
use crate::registry::MoveOrder;
use crate::wire::control::NO_CODE;
use crate::wire::frame::Tracker;

use super::alive::Alive;
use super::closing::CloseState;
use super::demand::{Demand, HoldCause, HoldEnd};
use super::hold::Stage;
use super::timers::Timer;
use super::{Core, Half};

/// A new upstream that is lost before it said anything, and before this time, belongs to the
/// absence it was to end: its time goes on, so that nobody waits for ever.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);

/// What we close the upstream with that a session is moved away from.
pub(super) const MOVED: u16 = 1001;

impl Core {
    /// The upstream is lost, which is how the session ends, unless it is held.
    pub(super) fn lose(&mut self, end: End, now: Moment) {
        let is_upstream = end.by() == Some(Side::Upstream);
        if !is_upstream || !self.can_be_held() {
            return self.begin_end(end, now);
        }
        self.go_away(matches!(end, End::Silent { .. }), now);
        if let (Some(hold), End::Lost { how, .. }) = (&mut self.hold, end) {
            hold.how = how;
        }
    }

    /// A Close came from the upstream: whether it is one of those that only say that it goes.
    pub(super) fn is_leave(&mut self, code: u16, now: Moment) -> bool {
        let left = matches!(self.stage(), Stage::Parting)
            && self.at(Side::Upstream).way == CloseState::Sent;
        let Some(hold) = &self.hold else { return false };
        // Its answer to our Close may repeat that code, or any that means nothing more.
        let answer = left && matches!(code, 1000 | MOVED | NO_CODE);
        if !(answer || hold.terms.lost_codes.contains(&code)) || !self.can_be_held() {
            return false;
        }
        let says = self.at(Side::Upstream).takes_frames() && self.at_boundary_to(Side::Upstream);
        let echo = (!left && says).then_some(code);
        self.mark();
        self.go_away(false, now);
        if let Some(hold) = &mut self.hold {
            hold.echo = echo;
        }
        true
    }

    fn go_away(&mut self, reset: bool, now: Moment) {
        self.part_from_upstream(HoldCause::Lost, now);
        let upstream = self.half(Side::Upstream);
        upstream.alive.rest();
        upstream.ended = true;
        upstream.way = CloseState::Dropping { reset };
        self.timers.clear(Timer::AliveUpstream);
        self.timers.clear(Timer::StepUpstream);
        if let Some(hold) = &mut self.hold {
            hold.stage = Stage::Away;
        }
        self.time_hold();
    }

    /// From here on the client's messages are kept.
    pub(super) fn part_from_upstream(&mut self, why: HoldCause, now: Moment) {
        let open = self.at(Side::Client).tracker.is_inside_message();
        let Some(hold) = &mut self.hold else { return };
        (hold.asked_to_move, hold.moving) = (false, None);
        if matches!(hold.stage, Stage::Parting | Stage::Away) {
            return;
        }
        let proven = hold.attached == Moment::NEVER || now >= hold.attached.after(PROOF_TIMEOUT);
        if proven {
            (hold.why, hold.since, hold.attempt) = (why, now, 1);
        } else {
            hold.attempt = hold.attempt.saturating_add(1);
        }
        // A message kept from its beginning goes on being kept.
        if !matches!(hold.stage, Stage::Waiting(..)) {
            hold.news.begun = Some(why);
            hold.recovers = Some(hold.discard);
            hold.discard |= open && !hold.keeps();
        }
        hold.replay_due = false;
        hold.stage = Stage::Parting;
        hold.asked[Side::Client as usize].owe();
        hold.asked[Side::Upstream as usize].forget();
        self.time_hold();
    }

    /// Writing to the upstream has failed; what it said before may still be read, and the message
    /// it is in the midst of may become whole by that: what the client says is kept from now on.
    pub(super) fn part_from_deaf(&mut self, now: Moment) {
        if self.may_be_held() {
            self.part_from_upstream(HoldCause::Lost, now);
        }
    }

    /// A note asks to move.
    pub(super) fn ask_to_move(&mut self, order: MoveOrder, now: Moment) {
        if self.end.is_some() {
            return;
        }
        let Some(hold) = &mut self.hold else {
            // It cannot be held, and so not be moved.
            return order.otherwise.iter().for_each(|let_go| self.let_go(let_go));
        };
        let order = hold.moving.take().map_or(order, |old| old.merge(order));
        hold.moving = Some(Box::new(order));
        self.move_if_due(now);
        self.time_hold();
    }

    /// Asks for another upstream when an order to move is due.
    pub(super) fn move_if_due(&mut self, now: Moment) {
        let listens = self.at(Side::Upstream).takes_frames();
        let Some(hold) = &mut self.hold else { return };
        if hold.moving.as_ref().is_none_or(|order| order.at > now) || hold.asked_to_move {
            return;
        }
        match hold.stage {
            Stage::Live if hold.replay.is_over() || !listens => self.stay(),
            Stage::Live => hold.asked_to_move = true,
            // It is on its way; or it is not this upstream's yet, and is asked again when it is.
            Stage::Leaving(_) | Stage::Waiting(..) => {}
            Stage::Parting | Stage::Away | Stage::Over => hold.moving = None,
        }
    }

    /// Leaves the upstream: with a Close when the client's message is whole, if that is in time.
    pub(in crate::relay) fn leave(&mut self, now: Moment) {
        let until = now.after(self.rules.close_timeout).min(self.to_leave_by());
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.asked_to_move) {
            hold.asked_to_move = false;
            hold.stage = Stage::Leaving(until);
        }
        self.time_hold();
    }

    /// When what it leaves is to be cut, whatever was said by then.
    pub(super) fn to_leave_by(&self) -> Moment {
        let order = self.hold.as_ref().and_then(|hold| hold.moving.as_ref());
        order.and_then(|order| order.otherwise).map_or(Moment::NEVER, |let_go| let_go.deadline)
    }

    /// Does not move: it goes, where that was said, and else stays.
    pub(in crate::relay) fn stay(&mut self) {
        let Some(hold) = &mut self.hold else { return };
        hold.asked_to_move = false;
        let Some(order) = hold.moving.take() else { return };
        match order.otherwise {
            Some(let_go) => self.let_go(&let_go),
            None => hold.news.stays = true,
        }
        self.time_hold();
    }

    /// Whether the session is about to leave its upstream, and still may not.
    pub(in crate::relay) fn is_leaving(&self) -> bool {
        let stage = self.stage();
        self.end.is_none() && matches!(stage, Stage::Leaving(_) | Stage::Parting)
    }

    /// Whether a Close that asks to move is due now.
    pub(super) fn leaves_here(&self) -> bool {
        let leaves = matches!(self.stage(), Stage::Leaving(_)) && self.end.is_none();
        leaves && self.at(Side::Client).tracker.at_message_boundary()
    }

    /// A new upstream came; whether it is wanted.
    pub(in crate::relay) fn attach(&mut self, now: Moment) -> bool {
        if !matches!(self.demand(), Some(Demand::Upstream(_))) {
            return false;
        }
        let old = self.at(Side::Upstream);
        let (pings, stats) = (old.alive.pings(), old.stats);
        let Some(hold) = &mut self.hold else { return false };
        let allowed = hold.allowed;
        hold.attached = now;
        hold.crossed_before = hold.crossed;
        hold.replay_due = hold.replay.messages() > 0;
        hold.replayed = 0;
        hold.spilled = Tracker::new(Side::Client, allowed);
        // No more than the client has seen: the others it waits for.
        let seen = stats.messages.min(u64::from(hold.terms.swallow_first));
        hold.answers = seen;
        let until = now.after(hold.terms.swallow_timeout);
        hold.swallows = seen > 0;
        hold.stage = if seen > 0 { Stage::Waiting(seen, until) } else { Stage::Live };
        let mut half = Half::new(Side::Upstream, allowed);
        (half.alive, half.stats) = (Alive::new(pings), stats);
        self.sides[Side::Upstream as usize] = half;
        self.time_pings_of(Side::Upstream, &mut fastrand::Rng::new(), now);
        if seen == 0 {
            self.resume(now);
        }
        self.time_hold();
        true
    }

    /// The upstream is the session's.
    fn resume(&mut self, now: Moment) {
        if let Some(hold) = &mut self.hold {
            hold.stage = Stage::Live;
            hold.swallows = false;
            hold.news.over = Some((HoldEnd::Resumed, now.since(hold.since)));
        }
    }

    /// A dial failed: the next is another attempt.
    pub(in crate::relay) fn tried(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.attempt = hold.attempt.saturating_add(1);
        }
    }

    /// No other upstream will come.
    pub(in crate::relay) fn give_up(&mut self, now: Moment) {
        if matches!(self.demand(), Some(Demand::Upstream(_))) {
            self.end_held(HoldEnd::InVain, now);
        }
    }

    pub(super) fn end_held(&mut self, result: HoldEnd, now: Moment) {
        let Some(hold) = &mut self.hold else { return };
        hold.result = result;
        let how = hold.how;
        self.begin_end(End::Lost { side: Side::Upstream, how }, now);
    }

    /// The new upstream has said something.
    pub(super) fn prove_upstream(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.attached = Moment::NEVER;
        }
    }

    /// A swallowed answer is whole; after the last one the kept messages go.
    pub(super) fn swallowed(&mut self, now: Moment) {
        let Some(hold) = &mut self.hold else { return };
        match &mut hold.stage {
            Stage::Waiting(left, _) if *left > 1 => *left -= 1,
            Stage::Waiting(..) => self.resume(now),
            _ => {}
        }
        self.time_hold();
    }
}
