//! Whether a side lives: our pings, their answers, and what its kernel acknowledges.
//!
//! A side is pinged every `ping_interval`. It is dead when for `pong_timeout` after a ping was due
//! no byte came from it and, where it is not being read or has not taken all that was sent to it,
//! nothing of that was acknowledged either: back-pressure hides a pong, but not the peer's kernel.
//!
//! A side that is not read because the other takes nothing stops reading itself before long, and
//! then its kernel acknowledges nothing, alive as it may be. It is the other that is to blame;
//! which one that is where each holds up the other, what is in flight tells, and who was stuck
//! first.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::End;
use crate::wire::control;

use super::closing::CloseState;
use super::timers::Timer;
use super::{Core, Order};

/// Payload of our pings.
pub(super) const PING_BYTES: usize = 8;

/// Looks at a silent side within one `pong_timeout`.
const LOOKS: u32 = 4;

/// How a side's sending goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::relay) struct Sample {
    /// Bytes handed to its transport so far.
    pub(in crate::relay) sent: u64,
    /// Bytes its peer has not acknowledged.
    pub(in crate::relay) unacknowledged: u32,
    /// Of the bytes not acknowledged those on their way: none to a peer that lives and gives no
    /// room. Looked at only where it is not read, or bytes wait.
    pub(in crate::relay) in_flight: u32,
    /// Bytes that wait here because its transport takes no more.
    pub(in crate::relay) waiting: bool,
    /// Since when none of these went; `NEVER` while there are none.
    pub(in crate::relay) stuck_since: Moment,
    /// Whether it is being read.
    pub(in crate::relay) reading: bool,
}

impl Sample {
    /// Bytes acknowledged so far, but for a constant.
    fn acknowledged(&self) -> u64 {
        self.sent.wrapping_sub(u64::from(self.unacknowledged))
    }

    /// Whether the side lives for all that is known, and takes nothing because it is not read, for
    /// the sake of the one `across`: that one is dead, or was stuck first, or is only slow, having
    /// taken something within this `time`.
    fn is_held_up(&self, across: &Sample, time: Duration, now: Moment) -> bool {
        let by_it = !self.reading && across.waiting;
        let dead = across.in_flight > 0;
        let first = across.stuck_since < self.stuck_since;
        let slow = across.stuck_since.after(time) > now;
        by_it && self.in_flight == 0 && (dead || first || slow)
    }
}

/// The pings to one side.
#[derive(Debug)]
pub(super) struct Alive {
    /// When this round's ping was due.
    due: Moment,
    /// Since when there has been no sign of life in this round; `NEVER` between rounds.
    silent_since: Moment,
    /// What was acknowledged at the last look.
    acknowledged: u64,
    /// When the last ping was sent; `NEVER` once it was answered.
    pinged: Moment,
    /// Pings sent so far.
    pings: u32,
    /// The last answer's time, until it was given on.
    answered: Option<u32>,
    wants_ping: bool,
    wants_look: bool,
    /// Whether this round was looked at before.
    looked: bool,
    /// Whether the side was being read when last looked at.
    was_read: bool,
}

impl Alive {
    pub(super) fn new(pings: u32) -> Alive {
        Alive {
            due: Moment::default(),
            silent_since: Moment::NEVER,
            acknowledged: 0,
            pinged: Moment::NEVER,
            pings,
            answered: None,
            wants_ping: false,
            wants_look: false,
            looked: false,
            was_read: false,
        }
    }

    pub(super) fn pings(&self) -> u32 {
        self.pings
    }

    pub(super) fn wants_ping(&self) -> bool {
        self.wants_ping
    }

    fn in_round(&self) -> bool {
        self.silent_since != Moment::NEVER
    }

    /// Ends the round without a verdict.
    pub(super) fn rest(&mut self) {
        self.silent_since = Moment::NEVER;
        self.wants_ping = false;
        self.wants_look = false;
    }
}

impl Core {
    /// Bytes came from a side: whatever they are, it lives.
    pub(in crate::relay) fn heard_from(&mut self, side: Side) {
        if self.at(side).alive.in_round() {
            self.end_round(side);
        }
        if side == Side::Upstream {
            self.prove_upstream();
        }
    }

    /// The answer to [`Order::Probe`], with the sample of the side across where this one is not
    /// read.
    pub(in crate::relay) fn probed(
        &mut self,
        side: Side,
        sample: Sample,
        across: Sample,
        now: Moment,
    ) {
        let pong_timeout = self.rules.pong_timeout;
        let alive = &mut self.half(side).alive;
        let acknowledged = sample.acknowledged();
        let moved = acknowledged.wrapping_sub(alive.acknowledged) as i64 > 0;
        alive.acknowledged = acknowledged;
        // Only now read again: what it said meanwhile is still to be found.
        let was_read = std::mem::replace(&mut alive.was_read, sample.reading);
        let unheard = sample.reading && !was_read;
        if !std::mem::replace(&mut alive.looked, true) || !alive.in_round() {
            return;
        }
        let owes_bytes = sample.reading && !sample.waiting && sample.unacknowledged == 0;
        if moved && !owes_bytes {
            alive.silent_since = now;
            if !sample.reading {
                // Nobody could see its pong; the next ping will show again that it takes bytes.
                return self.end_round(side);
            }
        }
        let alive = &mut self.half(side).alive;
        if alive.wants_ping && !sample.waiting && sample.unacknowledged == 0 {
            // A frame to it is in progress, so it was asked nothing yet, and it has acknowledged
            // all it was sent: of such a side nothing is known.
            alive.silent_since = now;
        }
        let silent_since = alive.silent_since;
        let dead = silent_since.after(pong_timeout);
        let next = now.after(self.pause());
        let look = match now >= dead {
            true if sample.is_held_up(&across, pong_timeout, now) => return self.end_round(side),
            true if !unheard => return self.lose(End::Silent { side }, now),
            true => next,
            false => next.min(dead),
        };
        self.timers.set(Timer::alive(side), look);
    }

    /// The time of a ping, or of a look at a side that has not answered.
    pub(super) fn check_alive(&mut self, side: Side, now: Moment) {
        if self.rules.ping_interval.is_none() || self.end.is_some() {
            return;
        }
        let pause = self.pause();
        let alive = &mut self.half(side).alive;
        alive.wants_look = true;
        if !alive.in_round() {
            alive.due = now;
            alive.silent_since = now;
            alive.looked = false;
            alive.wants_ping = true;
        }
        self.timers.set(Timer::alive(side), now.after(pause));
    }

    /// Whether a Pong's payload is that of a ping of ours; late answers are known too.
    pub(super) fn is_answer(&mut self, from: Side, payload: &[u8], now: Moment) -> bool {
        let Ok(payload) = <[u8; PING_BYTES]>::try_from(payload) else { return false };
        let number = u64::from_be_bytes(payload) ^ self.secret;
        let half = self.half(from);
        if number == 0 || number > u64::from(half.alive.pings) {
            return false;
        }
        if number == u64::from(half.alive.pings) && half.alive.pinged != Moment::NEVER {
            let took = now.since(half.alive.pinged);
            half.alive.pinged = Moment::NEVER;
            half.stats.rtt.note(took);
            half.alive.answered = Some(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        }
        true
    }

    /// What is to be done about a side's life.
    pub(super) fn alive_order(&mut self, side: Side, now: Moment) -> Option<Order> {
        let insert = self.at_boundary_to(side) && self.at(side).way == CloseState::Open;
        let secret = self.secret;
        let alive = &mut self.half(side).alive;
        // The look comes first: it must not count the ping as sent before.
        if std::mem::take(&mut alive.wants_look) {
            return Some(Order::Probe(side));
        }
        if let Some(millis) = alive.answered.take() {
            return Some(Order::Answered(side, Duration::from_millis(u64::from(millis))));
        }
        if !(alive.wants_ping && insert) {
            return None;
        }
        alive.wants_ping = false;
        alive.pings = alive.pings.wrapping_add(1);
        alive.pinged = now;
        let payload = (secret ^ u64::from(alive.pings)).to_be_bytes();
        let frame = control::ping(&payload, self.mask_to(side));
        Some(Order::Send(side, frame))
    }

    /// Begins to ping anew: each side first after a random part of the interval, so that the
    /// sessions of a process never ping in waves.
    pub(super) fn time_pings(&mut self, rng: &mut fastrand::Rng, now: Moment) {
        for side in Side::BOTH {
            self.time_pings_of(side, rng, now);
        }
    }

    pub(super) fn time_pings_of(&mut self, side: Side, rng: &mut fastrand::Rng, now: Moment) {
        self.half(side).alive.rest();
        let first = match self.rules.ping_interval {
            Some(interval) if self.end.is_none() && self.at(side).way == CloseState::Open => {
                now.after(interval.mul_f64(rng.f64()))
            }
            _ => Moment::NEVER,
        };
        self.timers.set(Timer::alive(side), first);
    }

    /// What we send upstream is masked (RFC 6455 §5.1).
    pub(super) fn mask_to(&self, side: Side) -> Option<[u8; 4]> {
        (side == Side::Upstream).then(control::new_mask)
    }

    fn end_round(&mut self, side: Side) {
        let interval = self.rules.ping_interval;
        let half = self.half(side);
        // A ping that could not be sent yet has become needless.
        half.alive.rest();
        let next = half.alive.due.after(interval.unwrap_or_default());
        if interval.is_some() && self.end.is_none() {
            self.timers.set(Timer::alive(side), next);
        }
    }

    fn pause(&self) -> Duration {
        // Never nothing: a look must not be due again at once.
        (self.rules.pong_timeout / LOOKS).max(Duration::from_millis(1))
    }
}
