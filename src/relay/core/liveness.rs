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
use crate::config::plan::Rules;

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
    pub(super) fn acknowledged(&self) -> u64 {
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

/// The route's times of pings.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingTimes {
    /// `ping_interval`.
    pub(super) interval: Duration,
    /// `pong_timeout`.
    pub(super) timeout: Duration,
}

impl PingTimes {
    /// Those of a route that pings.
    pub(super) fn of(rules: &Rules) -> Option<PingTimes> {
        Some(PingTimes { interval: rules.ping_interval?, timeout: rules.pong_timeout })
    }

    /// Between two looks.
    fn pause(&self) -> Duration {
        // Never nothing: a look must not be due again at once.
        (self.timeout / LOOKS).max(Duration::from_millis(1))
    }
}

/// The pings to one side.
#[derive(Debug)]
pub(super) struct Liveness {
    /// When the next ping, or the next look, is due.
    timeout: Moment,
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
    wants_look: bool,
    /// Whether this round was looked at before.
    looked: bool,
    /// Whether the side was being read when last looked at.
    was_read: bool,
}

impl Liveness {
    /// Of a side that was sent so many pings before.
    pub(super) fn new(pings: u32) -> Liveness {
        Liveness {
            timeout: Moment::NEVER,
            due: Moment::default(),
            silent_since: Moment::NEVER,
            acknowledged: 0,
            pinged: Moment::NEVER,
            pings,
            answered: None,
            wants_look: false,
            looked: false,
            was_read: false,
        }
    }

    /// Pings sent so far.
    pub(super) fn pings(&self) -> u32 {
        self.pings
    }

    /// When [`Liveness::on_timeout`] is needed next.
    pub(super) fn timeout(&self) -> Moment {
        self.timeout
    }

    /// Begins anew, with a ping at this moment; never when it is `NEVER`.
    pub(super) fn begin(&mut self, first: Moment) {
        self.silent_since = Moment::NEVER;
        self.wants_look = false;
        self.timeout = first;
    }

    /// Ends the round: the side lives.
    fn end_round(&mut self, interval: Duration) {
        self.begin(self.due.after(interval));
    }

    fn in_round(&self) -> bool {
        self.silent_since != Moment::NEVER
    }

    /// Bytes came from the side; whether a round ended by that, and a ping that could not be sent
    /// yet has become needless.
    pub(super) fn on_heard(&mut self, interval: Option<Duration>) -> bool {
        let ends = self.in_round();
        if ends {
            match interval {
                Some(interval) => self.end_round(interval),
                None => self.begin(Moment::NEVER),
            }
        }
        ends
    }

    /// The time of a ping, or of a look at a side that has not answered; whether it is a ping's.
    pub(super) fn on_timeout(&mut self, times: PingTimes, now: Moment) -> bool {
        self.wants_look = true;
        self.timeout = now.after(times.pause());
        let begins = !self.in_round();
        if begins {
            (self.due, self.silent_since) = (now, now);
            self.looked = false;
        }
        begins
    }

    /// Whether a look is due; it is by being asked.
    pub(super) fn poll_look(&mut self) -> bool {
        std::mem::take(&mut self.wants_look)
    }

    /// The process did not run ([`OVERSLEPT`]): what the side did meanwhile is still to be found,
    /// so it has its time once more.
    ///
    /// [`OVERSLEPT`]: crate::base::clock::OVERSLEPT
    pub(super) fn on_overslept(&mut self, now: Moment) {
        if self.in_round() {
            self.silent_since = now;
        }
    }

    /// What a look found, `unasked` while this round's ping could not be sent yet; whether the side
    /// is dead.
    pub(super) fn on_probed(
        &mut self,
        side: &Sample,
        across: &Sample,
        unasked: bool,
        times: PingTimes,
        now: Moment,
    ) -> bool {
        let acknowledged = side.acknowledged();
        let moved = acknowledged.wrapping_sub(self.acknowledged) as i64 > 0;
        self.acknowledged = acknowledged;
        // Only now read again: what it said meanwhile is still to be found.
        let was_read = std::mem::replace(&mut self.was_read, side.reading);
        let unheard = side.reading && !was_read;
        if !std::mem::replace(&mut self.looked, true) || !self.in_round() {
            return false;
        }
        let has_all = !side.waiting && side.unacknowledged == 0;
        if moved && !(side.reading && has_all) {
            self.silent_since = now;
            if !side.reading {
                // Its pong would not be seen; the next ping will show again that it takes bytes.
                self.end_round(times.interval);
                return false;
            }
        }
        if unasked && has_all {
            // A frame to it is in progress, so it was asked nothing yet, and it has acknowledged
            // all it was sent: of such a side nothing is known.
            self.silent_since = now;
        }
        let dead = self.silent_since.after(times.timeout);
        let next = now.after(times.pause());
        if now < dead {
            self.timeout = next.min(dead);
        } else if side.is_held_up(across, times.timeout, now) {
            self.end_round(times.interval);
        } else if unheard {
            self.timeout = next;
        } else {
            return true;
        }
        false
    }

    /// A ping is sent: its number, from 1.
    pub(super) fn on_ping_sent(&mut self, now: Moment) -> u32 {
        self.pings = self.pings.wrapping_add(1);
        self.pinged = now;
        self.pings
    }

    /// A Pong has come that may be the answer to a ping of ours; its number if it is. Late answers
    /// are known too.
    pub(super) fn on_pong(&mut self, payload: &[u8], secret: u64, now: Moment) -> Option<Pong> {
        let payload = <[u8; PING_BYTES]>::try_from(payload).ok()?;
        let number = u64::from_be_bytes(payload) ^ secret;
        let number = u32::try_from(number).ok().filter(|of| (1..=self.pings).contains(of))?;
        let took = (number == self.pings && self.pinged != Moment::NEVER).then(|| {
            let took = now.since(self.pinged);
            self.pinged = Moment::NEVER;
            self.answered = Some(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
            took
        });
        Some(Pong { number, took })
    }

    /// How long the last answer took, once.
    pub(super) fn poll_answered(&mut self) -> Option<Duration> {
        self.answered.take().map(|millis| Duration::from_millis(millis.into()))
    }
}

/// An answer to a ping of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pong {
    /// The ping's number.
    pub(super) number: u32,
    /// How long it took, where it is the last ping's first answer.
    pub(super) took: Option<Duration>,
}
