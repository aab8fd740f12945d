//! What is to be done about a session that is held, and when.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::End;
use crate::wire::control;

use super::closing::CloseState;
use super::demand::{HoldCause, HoldEnd};
use super::hold::{Hold, Stage};
use super::leaving::MOVED;
use super::timers::Timer;
use super::{Core, Order};

impl Core {
    /// What is to be done about a session that can be held.
    pub(super) fn hold_order(&mut self, now: Moment) -> Option<Order> {
        let hold = self.hold.as_mut()?;
        if let Some(why) = hold.news.begun.take() {
            return Some(Order::Away(why));
        }
        if std::mem::take(&mut hold.news.stays) {
            return Some(Order::Stays);
        }
        if let Some((result, lasted)) = hold.news.over.take() {
            let discarded = std::mem::take(&mut hold.discarded);
            return Some(Order::Back { result, lasted, discarded });
        }
        if self.leaves_here() {
            let by = self.to_leave_by();
            self.part_from_upstream(HoldCause::Moved, now);
            self.was_told(Side::Upstream, now);
            self.timers.hasten(Timer::StepUpstream, by);
            let mask = self.mask_to(Side::Upstream);
            return Some(Order::Send(Side::Upstream, control::close(MOVED, "moved", mask)));
        }
        self.drop_order().or_else(|| self.answer_order()).or_else(|| self.flush_order())
    }

    /// An upstream that went is dropped.
    fn drop_order(&mut self) -> Option<Order> {
        let CloseState::Dropping { reset } = self.at(Side::Upstream).way else { return None };
        if self.end.is_some() {
            return None;
        }
        let mask = self.mask_to(Side::Upstream);
        if let Some(code) = self.hold.as_mut().and_then(|hold| hold.echo.take()) {
            return Some(Order::Send(Side::Upstream, control::close(code, "", mask)));
        }
        self.half(Side::Upstream).way = CloseState::Gone;
        Some(Order::Drop { side: Side::Upstream, reset })
    }

    /// A ping is answered that nobody else answers.
    fn answer_order(&mut self) -> Option<Order> {
        let side = Side::BOTH.into_iter().find(|side| self.owes_answer(*side))?;
        if !self.at_boundary_to(side) {
            return None;
        }
        let mask = self.mask_to(side);
        let pong = self.hold.as_mut()?.asked[side as usize].answer(mask)?;
        Some(Order::Send(side, pong))
    }

    /// Whether a ping of this side waits for an answer of ours.
    pub(super) fn owes_answer(&self, side: Side) -> bool {
        let owes = |hold: &Hold| hold.asked[side as usize].is_owed();
        self.at(side).way == CloseState::Open && self.hold.as_ref().is_some_and(|hold| owes(hold))
    }

    /// What was recorded and kept goes to the new upstream.
    fn flush_order(&mut self) -> Option<Order> {
        let seen = self.at(Side::Upstream).stats.messages;
        let hold = self.hold.as_mut()?;
        hold.before = hold.begin();
        if hold.replay_due {
            let answers = match hold.stage {
                Stage::Waiting(left, _) => hold.answers.saturating_sub(left),
                _ => u64::MAX,
            };
            let (bytes, replayed) = hold.replay.part(hold.replayed, answers);
            hold.replayed = replayed;
            hold.replay_due = (replayed as u64) < hold.replay.messages();
            if !bytes.is_empty() {
                return Some(Order::Flush { bytes: bytes.to_vec(), kept: None });
            }
        }
        if hold.stage != Stage::Live || hold.kept.is_empty() {
            return None;
        }
        hold.flushed_oldest = hold.kept.oldest();
        let (bytes, messages) = hold.kept.take();
        hold.replay.record(&bytes, seen);
        hold.crossed += messages;
        hold.full_since = Moment::NEVER;
        let stats = &mut self.half(Side::Client).stats;
        stats.messages += messages;
        stats.bytes += bytes.len() as u64;
        self.time_hold();
        Some(Order::Flush { bytes, kept: Some(messages) })
    }

    /// What was kept has all gone to the upstream's transport.
    pub(in crate::relay) fn flushed(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.flushed_oldest = Moment::NEVER;
            hold.kept.release();
        }
    }

    /// Does what is due.
    pub(super) fn check_hold(&mut self, now: Moment) {
        let Some(hold) = &mut self.hold else { return };
        let terms = &hold.terms;
        let over = |since: Moment, most| since != Moment::NEVER && since.after(most) <= now;
        let too_old = over(hold.kept.oldest(), terms.message_age_max);
        // Whoever is not read because there is no room is told so, whichever time is over first.
        if over(hold.full_since, terms.full_timeout) || too_old && hold.is_full() {
            return self.begin_end(End::NoRoom { side: Side::Upstream }, now);
        }
        let in_vain = match hold.stage {
            Stage::Waiting(_, until) => until <= now,
            Stage::Away => over(hold.since, terms.timeout),
            _ => false,
        };
        if let Stage::Leaving(until) = hold.stage
            && until <= now
        {
            hold.stage = Stage::Live;
            self.stay();
        }
        self.move_if_due(now);
        if too_old || in_vain {
            let result = if too_old { HoldEnd::TooOld } else { HoldEnd::InVain };
            return self.end_held(result, now);
        }
        self.time_hold();
    }

    pub(super) fn time_hold(&mut self) {
        let due = self.hold.as_ref().map_or(Moment::NEVER, |hold| hold.due());
        self.timers.set(Timer::Hold, due);
    }

    /// The session ends. What waits only for its turn at an upstream still goes.
    pub(super) fn end_hold(&mut self, end: End, now: Moment) {
        let Some(hold) = &mut self.hold else { return };
        (hold.asked_to_move, hold.moving) = (false, None);
        hold.full_since = Moment::NEVER;
        match hold.stage {
            Stage::Live | Stage::Over => {}
            Stage::Leaving(_) => hold.stage = Stage::Live,
            Stage::Parting | Stage::Away | Stage::Waiting(..) => {
                if matches!(end, End::NoRoom { .. }) {
                    hold.result = HoldEnd::NoRoom;
                }
                hold.news.over = Some((hold.result, now.since(hold.since)));
                hold.stage = Stage::Over;
                hold.replay_due = false;
                hold.kept.clear();
            }
        }
    }
}
