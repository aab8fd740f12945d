//! The way out: how each side is told, in which order, and what is waited for.
//!
//! ```text
//!   Open ──────▶ Pending ─────▶ Sent ───────▶ Finishing ─────▶ Finished ─────▶ Dropping, Dropped
//!    │  a Close     at a frame's   its Close     sent and         its own end
//!    │  is owed     boundary       has come      half-closed      has come
//!    └──────────── no Close is owed ────▶ Finishing ─── nothing can follow ───▶ Dropping
//! ```
//!
//! The client is told first; what it still sends goes upstream until its Close, and then the
//! upstream is told (RFC 6455 §5.5.1: nothing may follow a Close). A client that broke a rule has
//! nothing more to say: then the upstream is told first, and its answers to what came before the
//! fault still reach the client. Towards the client we are the server, who ends the connection
//! first, as soon as both Closes went; from the upstream we wait for that (§7.1.1). Every step but
//! the first has its time ([`step_wait`](super::step_wait)), after which the next is taken without
//! it.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::{End, Farewell, Loss};
use crate::wire::control::NO_CODE;

use super::Core;
use super::demand::{Demand, HoldCause, HoldEnd};
use super::liveness::Sample;
use super::next_step::{MOVED, next_step};
use super::order::Order;
use super::outbox::Goodbye;
use super::side_state::{CloseState, RecvState, SideState};
use super::step_wait::StepWait;
use super::timers::Timer;

/// Time to say a Close when its moment and its deadline have come at once.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Core {
    /// What is to be done next; `None` when nothing is until the next event.
    pub(in crate::relay) fn poll_order(&mut self, now: Moment) -> Option<Order> {
        let order = self.next_order(now);
        if order.is_some() {
            self.refresh();
        }
        order
    }

    fn next_order(&mut self, now: Moment) -> Option<Order> {
        if let Some(order) = self.hold_order(now) {
            return Some(order);
        }
        for side in Side::BOTH {
            // A look comes before a ping, which must not count as sent before.
            let state = self.side_mut(side);
            if state.poll_look() {
                return Some(Order::Probe(side));
            }
            if let Some(took) = state.liveness.poll_answered() {
                return Some(Order::Answered(side, took));
            }
        }
        if let Some(end) = self.end {
            // Each turn takes a side a step further, of which there are few.
            while Side::BOTH.into_iter().any(|side| self.advance(end, side, now)) {}
        }
        let said = Side::BOTH.into_iter().find_map(|side| self.outbox_order(side, now));
        said.or_else(|| Side::BOTH.into_iter().find_map(|side| self.transport_order(side)))
    }

    /// What holding the session asks for.
    fn hold_order(&mut self, now: Moment) -> Option<Order> {
        let upstream = &mut self.sides[Side::Upstream as usize];
        let hold = self.hold.as_mut()?;
        if hold.wants_close(now) {
            upstream.outbox.queue_close(Goodbye::Move);
        }
        if let Some(order) = hold.poll_news(now) {
            return Some(order);
        }
        let (flush, messages) = hold.poll_flush(upstream.stats.messages, now)?;
        if flush.fresh.is_some() {
            let stats = &mut self.side_mut(Side::Client).stats;
            stats.messages += messages;
            stats.bytes += flush.bytes.len() as u64;
        }
        Some(Order::Flush(flush))
    }

    /// What is to be done with a side's transport.
    fn transport_order(&mut self, side: Side) -> Option<Order> {
        match self.side(side).close {
            CloseState::Finishing(how, false) => {
                self.side_mut(side).close = CloseState::Finishing(how, true);
                Some(Order::Finish(side, how))
            }
            CloseState::Dropping { reset } => {
                let state = self.side_mut(side);
                state.close = CloseState::Dropped;
                state.wait = None;
                if self.end().is_some() {
                    self.timers.clear(Timer::Deadline);
                }
                Some(Order::Drop { side, reset })
            }
            _ => None,
        }
    }

    /// [`Order::Finish`] was carried out; `dropped` when the transport need not be waited for.
    pub(in crate::relay) fn on_finished(&mut self, side: Side, dropped: bool, now: Moment) {
        if matches!(self.side(side).close, CloseState::Finishing(..)) {
            let next = CloseState::Dropping { reset: false };
            self.go(side, if dropped { next } else { CloseState::Finished }, now);
        }
        self.refresh();
    }

    /// Whether a Close to a side is the last that passes between us: its own has come.
    pub(super) fn is_last_to(&self, side: Side) -> bool {
        side == Side::Client && self.side(side).recv == RecvState::Closed
    }

    /// The first reason to end is the end; all later ones only are events on the way out.
    pub(super) fn begin_end(&mut self, end: End, now: Moment) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        if let Some(hold) = &mut self.hold {
            hold.on_end(end, now);
        }
        self.timers.on_end();
        self.throttle.on_end();
        self.sides.iter_mut().for_each(SideState::on_end);
        if self.side(Side::Upstream).close == CloseState::Sent {
            // The session was leaving it: its answer is awaited as ever.
            self.time_step(Side::Upstream, now);
        }
    }

    /// Something ran out that only holding knows of.
    pub(super) fn on_hold_timeout(&mut self, now: Moment) {
        let listens = self.side(Side::Upstream).takes_frames();
        let Some(hold) = &mut self.hold else { return };
        let (expired, instead) = hold.on_timeout(listens, now);
        if !hold.is_leaving() {
            self.side_mut(Side::Upstream).outbox.cancel_move();
        }
        self.on_end_order(instead);
        if let Some(end) = expired {
            self.begin_end(end, now);
        }
    }

    /// The deadline of an order to end, in a session that was `ending` before.
    pub(super) fn on_deadline(&mut self, ending: Option<End>, now: Moment) {
        let Some(end) = ending else {
            // The process slept past both moments: a Close is said all the same.
            self.begin_end(self.ordered_end.unwrap_or(End::Fault), now);
            return self.timers.set(Timer::Deadline, now.after(LAST_WORDS));
        };
        // Both transports are closed, but for a side whose turn has not come to be told: that has a
        // moment for its Close.
        for side in Side::BOTH {
            let owed = matches!(end.farewell(side), Farewell::Close(_));
            let state = self.side(side);
            let can = state.close == CloseState::Open && !state.write_failed && !state.ended;
            if owed && can && self.at_boundary_to(side) {
                self.go(side, CloseState::Pending, now);
                self.timers.set(Timer::Deadline, now.after(LAST_WORDS));
            } else {
                self.drop_late(side);
            }
        }
    }

    /// A side's step is to be looked at, or took too long.
    pub(super) fn on_step_due(&mut self, side: Side) {
        match self.side(side).close {
            CloseState::Pending => self.drop_late(side),
            _ => self.side_mut(side).on_step_due(),
        }
    }

    /// What a look at a side found whose step is waited for.
    pub(super) fn on_step_probed(
        &mut self,
        side: Side,
        sample: &Sample,
        across: &Sample,
        now: Moment,
    ) {
        let patience = self.side(side).patience(&self.rules);
        // In a session that lives the side across is pinged, which is what bounds it.
        let held_up = self.end.is_none() && !sample.reading;
        let by = self.part_by(side);
        let over = self.side_mut(side).wait.as_mut().is_some_and(|wait| match held_up {
            true => wait.on_held_up(patience, now),
            false => wait.on_probed(sample, across, patience, now),
        });
        if !over && now < by {
            return;
        }
        match self.end {
            // It could not be written to, and its end was not found either; or it was left.
            None => {
                self.side_mut(side).ended = true;
                self.lose(End::Lost { side, how: Loss::Reset }, !sample.reading, now);
            }
            Some(_) => self.drop_late(side),
        }
        self.refresh();
    }

    /// Takes a side one step further, if it can go.
    fn advance(&mut self, end: End, side: Side, now: Moment) -> bool {
        let (state, other) = (self.side(side), self.side(side.other()));
        let boundary = self.at_boundary_to(side);
        let Some(next) = next_step(end, side, state, other, boundary) else { return false };
        // Its last frame will never be whole, and nothing may be said inside it.
        let cut = state.close == CloseState::Pending && matches!(next, CloseState::Finishing(..));
        self.side_mut(side).cut |= cut;
        self.go(side, next, now);
        true
    }

    /// A side goes a step further.
    pub(super) fn go(&mut self, side: Side, next: CloseState, now: Moment) {
        let state = self.side_mut(side);
        state.close = next;
        match next {
            CloseState::Pending => state.outbox.queue_close(Goodbye::End),
            _ => state.outbox.clear(),
        }
        self.time_step(side, now);
    }

    /// A side's next step is waited for from now on.
    pub(super) fn time_step(&mut self, side: Side, now: Moment) {
        let by = self.part_by(side);
        let wait = match (self.side(side).close, self.timers.get(Timer::Deadline)) {
            // A boundary may be waited for as long as the order allows.
            (CloseState::Pending, Moment::NEVER) => {
                StepWait::until(now.after(self.rules.close_timeout))
            }
            (CloseState::Pending, deadline) => StepWait::until(deadline),
            _ => StepWait::begin(self.side(side).patience(&self.rules), by, now),
        };
        self.side_mut(side).begin_wait(wait);
    }

    /// When a side that the session leaves is to be cut, whatever it still says.
    fn part_by(&self, side: Side) -> Moment {
        let hold = self.hold.as_ref().filter(|_| side == Side::Upstream);
        hold.map_or(Moment::NEVER, |hold| hold.part_by())
    }

    fn drop_late(&mut self, side: Side) {
        let whole = self.at_boundary_to(side);
        self.side_mut(side).drop_late(whole);
    }

    /// A side is lost, which is how the session ends, unless it is the upstream and the session is
    /// held: not where something it said may be `unread`.
    pub(super) fn lose(&mut self, end: End, unread: bool, now: Moment) {
        let upstream = end.by() == Some(Side::Upstream);
        match end {
            _ if !upstream || unread || !self.can_be_held(now) => self.begin_end(end, now),
            End::Lost { how, .. } => self.depart(false, Some(how), now),
            _ => self.depart(true, None, now),
        }
    }

    /// A Close came from the upstream: whether its client does not read it. It may only say that
    /// the upstream goes; or turn away a session that was resumed on it a moment ago, with a code
    /// that says for good what a client mends by coming again.
    pub(super) fn is_going(&mut self, code: u16, now: Moment) -> bool {
        let Some(hold) = &self.hold else { return false };
        // Its answer to our Close may repeat that code, or any that means nothing more.
        let left = hold.said_move();
        let answer = left && matches!(code, 1000 | MOVED | NO_CODE);
        let goes = (answer || hold.is_lost_code(code)) && self.can_be_held(now);
        if !goes && (self.end.is_some() || !hold.is_newly_resumed(now)) {
            return false;
        }
        let upstream = Side::Upstream;
        let says = self.side(upstream).takes_frames() && self.at_boundary_to(upstream);
        if let Some(hold) = &mut self.hold {
            hold.on_sending(&self.sides[Side::Client as usize].tracker);
        }
        match goes {
            true => self.depart(false, None, now),
            false => {
                self.begin_end(End::Lost { side: upstream, how: Loss::Eof }, now);
                self.side_mut(upstream).drop_now(false);
            }
        }
        if !left && says {
            self.side_mut(upstream).outbox.queue_close(Goodbye::Echo(code));
        }
        true
    }

    /// The upstream is gone, and the session goes on without it.
    fn depart(&mut self, reset: bool, how: Option<Loss>, now: Moment) {
        self.part(HoldCause::Lost, now);
        self.side_mut(Side::Upstream).drop_now(reset);
        if let Some(hold) = &mut self.hold {
            hold.on_lost(how, now);
        }
    }

    /// From here on the client's messages are kept.
    pub(super) fn part(&mut self, cause: HoldCause, now: Moment) {
        let [client, upstream] = &mut self.sides;
        if let Some(hold) = &mut self.hold {
            hold.on_parting(cause, client.tracker.is_inside_message(), now);
            client.outbox.asked().on_unanswerable();
            upstream.outbox.asked().forget();
            upstream.outbox.cancel_move();
        }
    }

    /// The upstream is told that the session moves, and is waited for.
    pub(super) fn say_move(&mut self, now: Moment) {
        self.part(HoldCause::Moved, now);
        self.side_mut(Side::Upstream).liveness.begin(Moment::NEVER);
        self.go(Side::Upstream, CloseState::Sent, now);
    }

    /// Whether the session can be held when its upstream is lost now: not while a message from it
    /// is cut, which none could complete. What an answer that is swallowed lacks, no one sees.
    fn can_be_held(&self, now: Moment) -> bool {
        let swallows = self.hold.as_ref().is_some_and(|hold| hold.swallows());
        (self.side(Side::Upstream).is_whole() || swallows) && self.may_be_held(now)
    }

    /// What is needed from whoever polls the relay.
    pub(in crate::relay) fn demand(&self) -> Option<Demand> {
        let hold = self.hold.as_ref().filter(|_| self.end.is_none())?;
        hold.demand(self.side(Side::Upstream).close == CloseState::Dropped)
    }

    /// Whether the session is about to leave its upstream, and still may not.
    pub(in crate::relay) fn is_leaving(&self) -> bool {
        self.end.is_none() && self.hold.as_ref().is_some_and(|hold| hold.is_leaving())
    }

    /// A new upstream came; whether it is wanted.
    pub(in crate::relay) fn attach(&mut self, now: Moment) -> bool {
        if !matches!(self.demand(), Some(Demand::Upstream(_))) {
            return false;
        }
        let Some(hold) = &mut self.hold else { return false };
        let upstream = &mut self.sides[Side::Upstream as usize];
        let allowed = hold.allowed();
        upstream.replace(Side::Upstream, allowed);
        hold.on_attached(upstream.stats.messages, now);
        self.tapped.on_upstream(allowed);
        self.time_pings(Side::Upstream, &mut fastrand::Rng::new(), now);
        self.refresh();
        true
    }

    /// A dial failed: the next is another attempt.
    pub(in crate::relay) fn on_dial_failed(&mut self) {
        self.hold.iter_mut().for_each(|hold| hold.on_dial_failed());
    }

    /// No other upstream will come.
    pub(in crate::relay) fn give_up(&mut self, now: Moment) {
        if matches!(self.demand(), Some(Demand::Upstream(_)))
            && let Some(hold) = &mut self.hold
        {
            let end = hold.on_ran_out(HoldEnd::InVain);
            self.begin_end(end, now);
            self.refresh();
        }
    }

    /// Leaves the upstream: with a Close when the client's message is whole, if that is in time.
    pub(in crate::relay) fn leave(&mut self, now: Moment) {
        let until = now.after(self.rules.close_timeout);
        if self.hold.as_mut().is_some_and(|hold| hold.leave(until)) {
            self.side_mut(Side::Upstream).outbox.queue_close(Goodbye::Move);
        }
        self.refresh();
    }

    /// Does not move: it ends, where that was ordered, and else stays.
    pub(in crate::relay) fn stay(&mut self) {
        let instead = self.hold.as_mut().and_then(|hold| hold.stay());
        self.side_mut(Side::Upstream).outbox.cancel_move();
        self.on_end_order(instead);
        self.refresh();
    }
}
