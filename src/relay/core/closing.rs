//! The way out: how each side is told, in which order, and what is waited for.
//!
//! ```text
//!   Open ──────▶ Pending ──▶ Sent ──────▶ Finishing ──────▶ Gone
//!    │  a Close    at a frame's   its Close     sent and
//!    │  is owed    boundary       has come      half-closed,
//!    │                                          its end came
//!    └─────────────────── Cut ──────▶ Finishing
//! ```
//!
//! The client is told first; what it still sends goes upstream until its Close, and then the
//! upstream is told (RFC 6455 §5.5.1: nothing may follow a Close). A client that broke a rule has
//! nothing more to say: then the upstream is told first, and its answers to what came before the
//! fault still reach the client. Towards the client we are the server, who ends the connection
//! first; from the upstream we wait for that (§7.1.1). Every step but the first has its time, after
//! which the next is taken without it.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::{End, Farewell, Loss};
use crate::wire::control::{self, NO_CODE, close_code_is_valid};

use super::timers::Timer;
use super::{Core, Half, LAST_WORDS, Order, RecvState};

/// How far a side is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CloseState {
    /// Frames go to it.
    Open,
    /// A Close of ours is due to it at the next frame boundary.
    Pending,
    /// A Close went to it, ours or the other side's: nothing may follow.
    Sent,
    /// What is left goes to it, then the stream's end; its own end is waited for.
    Finishing {
        /// Whether that was ordered.
        ordered: bool,
        /// Whether it was done.
        done: bool,
    },
    /// Its transport is to be dropped.
    Dropping {
        /// With a reset.
        reset: bool,
    },
    /// Its transport was dropped.
    Gone,
}

impl Half {
    /// Whether frames from across still go to it: until a Close did.
    pub(super) fn takes_frames(&self) -> bool {
        matches!(self.way, CloseState::Open | CloseState::Pending) && !self.write_failed
    }

    /// Whether frames may still come from it.
    fn speaks(&self) -> bool {
        self.heard == RecvState::Open
            && !self.ended
            && !matches!(self.way, CloseState::Dropping { .. } | CloseState::Gone)
    }
}

impl Core {
    /// What is to be done next; `None` when nothing is until the next event.
    pub(in crate::relay) fn order(&mut self, now: Moment) -> Option<Order> {
        let order = self.next_order(now);
        if let Some(Order::Send(Side::Upstream, _)) = order {
            self.mark();
        }
        order
    }

    fn next_order(&mut self, now: Moment) -> Option<Order> {
        if let Some(order) = self.hold_order(now) {
            return Some(order);
        }
        for side in Side::BOTH {
            if let Some(order) = self.alive_order(side, now) {
                return Some(order);
            }
        }
        let end = self.end?;
        // Each turn takes a side a step further, of which there are few.
        while Side::BOTH.into_iter().any(|side| self.advance(end, side, now)) {}
        Side::BOTH.into_iter().find_map(|side| self.closing_order(end, side, now))
    }

    /// [`Order::Finish`] was carried out.
    pub(in crate::relay) fn finished(&mut self, side: Side) {
        let half = self.half(side);
        if matches!(half.way, CloseState::Finishing { .. }) {
            half.way = CloseState::Finishing { ordered: true, done: true };
        }
    }

    /// The first reason to end is the end; all later ones only are events on the way out.
    pub(super) fn begin_end(&mut self, end: End, now: Moment) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        self.end_hold(end, now);
        for timer in [Timer::Idle, Timer::Lifetime, Timer::LetGo, Timer::Hold] {
            self.timers.clear(timer);
        }
        for side in Side::BOTH {
            self.half(side).alive.rest();
            self.timers.clear(Timer::alive(side));
            self.timers.clear(Timer::step(side));
        }
        if self.at(Side::Upstream).way == CloseState::Sent {
            // The session was leaving it: its answer is awaited as ever.
            self.give_time(Side::Upstream, now);
        }
        if let End::Closed { by, .. } = end {
            // The side across may take so long to answer; then we do in its place.
            self.give_time(by, now);
        }
    }

    /// A Close went to a side.
    pub(super) fn was_told(&mut self, side: Side, now: Moment) {
        self.go(side, CloseState::Sent, now);
    }

    /// The note's deadline: both transports are closed, but for a side whose turn has not come to
    /// be told: that has a moment for its Close.
    pub(super) fn run_out(&mut self, end: End, now: Moment) {
        for side in Side::BOTH {
            let owed = matches!(end.farewell(side), Farewell::Close(_));
            let half = self.at(side);
            let can = half.way == CloseState::Open && !half.write_failed && !half.ended;
            if owed && can && self.at_boundary_to(side) {
                self.half(side).way = CloseState::Pending;
                self.timers.set(Timer::Deadline, now.after(LAST_WORDS));
            } else {
                self.drop_late(side);
            }
        }
    }

    /// A side's step took too long.
    pub(super) fn step_out(&mut self, side: Side, now: Moment) {
        match self.end {
            // It could not be written to, and its end was not found either.
            None => {
                self.ended(side, Loss::Reset, now);
            }
            // The other side's answer did not come: ours stands in for it.
            Some(End::Closed { by, .. }) if by == side && self.at(side).way == CloseState::Open => {
                self.go(side, CloseState::Pending, now);
            }
            Some(_) => self.drop_late(side),
        }
    }

    /// Takes a side one step further, if it can go.
    fn advance(&mut self, end: End, side: Side, now: Moment) -> bool {
        let Some(next) = self.next_step(end, side) else { return false };
        self.go(side, next, now);
        true
    }

    fn next_step(&mut self, end: End, side: Side) -> Option<CloseState> {
        let (half, other) = (self.at(side), self.at(side.other()));
        const FINISH: CloseState = CloseState::Finishing { ordered: false, done: false };
        // Ended without a Close: it is lost, whatever we would still have said.
        let lost = half.ended && half.heard != RecvState::Closed;
        match half.way {
            CloseState::Open | CloseState::Pending | CloseState::Sent if lost => {
                Some(CloseState::Dropping { reset: false })
            }
            CloseState::Open | CloseState::Pending | CloseState::Sent if half.write_failed => {
                Some(CloseState::Finishing { ordered: true, done: true })
            }
            CloseState::Open => match end.farewell(side) {
                Farewell::Gone => Some(CloseState::Dropping { reset: false }),
                Farewell::Cut => match end {
                    End::Silent { side: silent } if silent == side => {
                        Some(CloseState::Dropping { reset: true })
                    }
                    _ => Some(FINISH),
                },
                // The client first; then, when it has nothing more to say, the upstream. At fault,
                // it has said all, and is owed what the upstream still answers to that.
                Farewell::Close(_) => {
                    let first = match side {
                        Side::Client => half.heard != RecvState::Faulted,
                        Side::Upstream => !half.speaks(),
                    };
                    (first || !other.speaks()).then_some(CloseState::Pending)
                }
                // The answer of the side across passes by itself, if it can still come.
                Farewell::Echo => (!other.speaks()).then_some(CloseState::Pending),
                Farewell::PassOn => self.owes_close(side).then_some(CloseState::Pending),
            },
            CloseState::Pending if !self.at_boundary_to(side) && !other.speaks() => {
                // Its last frame will never be whole, and nothing may be said inside it.
                self.cut = true;
                Some(FINISH)
            }
            CloseState::Sent if half.ended => Some(FINISH),
            CloseState::Sent if side == Side::Client && half.heard != RecvState::Open => {
                Some(FINISH)
            }
            CloseState::Sent if half.heard == RecvState::Faulted => Some(FINISH),
            CloseState::Finishing { done: false, .. } if half.write_failed => {
                Some(CloseState::Finishing { ordered: true, done: true })
            }
            CloseState::Finishing { done: true, .. } if half.ended => {
                Some(CloseState::Dropping { reset: false })
            }
            _ => None,
        }
    }

    fn closing_order(&mut self, end: End, side: Side, now: Moment) -> Option<Order> {
        match self.at(side).way {
            CloseState::Pending if self.at_boundary_to(side) => {
                let (code, reason) = self.words(end, side);
                self.was_told(side, now);
                Some(Order::Send(side, control::close(code, reason, self.mask_to(side))))
            }
            CloseState::Finishing { ordered: false, done } => {
                self.half(side).way = CloseState::Finishing { ordered: true, done };
                Some(Order::Finish(side))
            }
            CloseState::Dropping { reset } => {
                self.half(side).way = CloseState::Gone;
                self.timers.clear(Timer::step(side));
                if self.over().is_some() {
                    self.timers.clear(Timer::Deadline);
                }
                Some(Order::Drop { side, reset })
            }
            _ => None,
        }
    }

    /// Code and reason of our own Close to a side.
    fn words(&self, end: End, side: Side) -> (u16, &'static str) {
        match (end, end.farewell(side)) {
            (End::Closed { code, .. }, _) if close_code_is_valid(code) => (code, ""),
            (_, Farewell::Close(code)) => {
                // An operator's own word stands above the route's.
                let own = matches!(end, End::DrainedWith { .. });
                let chosen = self.rules.close_codes.get(end.word());
                let chosen = chosen.filter(|_| side == Side::Client && !own);
                (chosen.unwrap_or(code), end.word())
            }
            _ => (NO_CODE, ""),
        }
    }

    fn go(&mut self, side: Side, way: CloseState, now: Moment) {
        self.half(side).way = way;
        self.give_time(side, now);
    }

    fn give_time(&mut self, side: Side, now: Moment) {
        let until = match (self.at(side).way, self.timers.get(Timer::Deadline)) {
            // A boundary may be waited for as long as the note allows.
            (CloseState::Pending, deadline) if deadline != Moment::NEVER => deadline,
            _ => now.after(self.rules.close_timeout),
        };
        self.timers.set(Timer::step(side), until);
    }

    fn drop_late(&mut self, side: Side) {
        let whole = self.at_boundary_to(side);
        let half = self.half(side);
        let cut =
            matches!(half.way, CloseState::Open | CloseState::Pending) && !whole && !half.ended;
        if half.way != CloseState::Gone {
            half.way = CloseState::Dropping { reset: false };
        }
        self.cut |= cut;
    }
}
