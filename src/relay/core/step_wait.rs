//! How long a side's next step on its way out is waited for: the answer to its Close, or the end of
//! its stream.
//!
//! The time is the peer's to answer, so it runs from when the peer has what it is to answer: not
//! while bytes of ours wait in its kernel or ours, nor while we do not read it for the sake of the
//! side across. Until then it only has to move.

use std::time::Duration;

use super::liveness::Sample;
use crate::base::clock::Moment;

/// Looks within the time of an answer.
const LOOKS: u32 = 4;

/// The times of a wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To answer, from when all is acknowledged (`close_timeout`).
    pub(super) answer: Duration,
    /// Without a byte acknowledged, while some are not.
    pub(super) stuck: Duration,
}

impl Patience {
    /// Between two looks.
    fn pause(&self) -> Duration {
        // Never nothing: a look must not be due again at once.
        (self.answer / LOOKS).max(Duration::from_millis(1))
    }
}

/// One wait.
#[derive(Debug)]
pub(super) struct StepWait {
    /// When the next look is due, or the wait is over.
    timeout: Moment,
    /// When it is over at the latest.
    by: Moment,
    /// Since when it owes the answer, or nothing was acknowledged.
    since: Moment,
    /// What both sides had acknowledged at the last look.
    acknowledged: u64,
    looked: bool,
    /// It has all, and owes the answer.
    owes: bool,
    wants_look: bool,
}

impl StepWait {
    /// A wait that begins, and is over at this moment at the latest.
    pub(super) fn begin(patience: Patience, by: Moment, now: Moment) -> StepWait {
        let timeout = now.after(patience.pause()).min(by);
        StepWait { timeout, since: now, ..StepWait::until(by) }
    }

    /// A wait that is over at this moment, whatever is seen.
    pub(super) fn until(by: Moment) -> StepWait {
        StepWait {
            timeout: by,
            by,
            since: Moment::default(),
            acknowledged: 0,
            looked: false,
            owes: false,
            wants_look: false,
        }
    }

    /// When [`StepWait::on_timeout`] is needed next.
    pub(super) fn timeout(&self) -> Moment {
        self.timeout
    }

    /// It is time to look.
    pub(super) fn on_timeout(&mut self) {
        self.timeout = Moment::NEVER;
        self.wants_look = true;
    }

    /// The process did not run: the wait lasts for this time from now on, also where it would be
    /// over; no longer than to a moment that is still to come.
    pub(super) fn on_overslept(&mut self, answer: Duration, now: Moment) {
        let until = now.after(answer);
        if self.by <= now {
            self.by = until;
        }
        (self.since, self.timeout) = (now, until.min(self.by));
    }

    /// Whether a look is due; it is by being asked.
    pub(super) fn poll_look(&mut self) -> bool {
        std::mem::take(&mut self.wants_look)
    }

    /// The side is not read for the sake of a side across that is looked at by itself: the time
    /// stands. Whether the wait is over all the same.
    pub(super) fn on_held_up(&mut self, patience: Patience, now: Moment) -> bool {
        self.since = now;
        self.timeout = now.after(patience.pause()).min(self.by);
        now >= self.by
    }

    /// What a look found; whether the wait is over.
    pub(super) fn on_probed(
        &mut self,
        side: &Sample,
        across: &Sample,
        patience: Patience,
        now: Moment,
    ) -> bool {
        let acknowledged = side.acknowledged().wrapping_add(across.acknowledged());
        let moved = !self.looked || acknowledged != self.acknowledged;
        self.acknowledged = acknowledged;
        let has_all = side.reading && !side.waiting && side.unacknowledged == 0;
        match (self.owes, has_all) {
            (false, true) => {
                self.owes = true;
                // It had all at the first look: from the beginning, as far as is known.
                if self.looked {
                    self.since = now;
                }
            }
            (false, false) if moved => self.since = now,
            // It is not read while the side across takes what it said: its time stands.
            (true, false) if moved => self.since = self.since.after(patience.pause()).min(now),
            _ => {}
        }
        self.looked = true;
        let end = self.since.after(if self.owes { patience.answer } else { patience.stuck });
        let end = end.min(self.by);
        self.timeout = end.min(now.after(patience.pause()));
        now >= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_millis(1_000_000);
    const PATIENCE: Patience =
        Patience { answer: Duration::from_secs(4), stuck: Duration::from_secs(20) };

    /// Looks as it asks for; when the wait is over, in seconds.
    fn wait(sample: impl Fn(u64) -> (Sample, Sample)) -> u64 {
        let mut wait = StepWait::begin(PATIENCE, Moment::NEVER, START);
        loop {
            let now = wait.timeout();
            wait.on_timeout();
            assert!(wait.poll_look());
            let (side, across) = sample(now.since(START).as_secs());
            if wait.on_probed(&side, &across, PATIENCE, now) {
                return now.since(START).as_secs();
            }
        }
    }

    #[test]
    fn who_has_all_has_just_its_time() {
        let idle = Sample { sent: 9, reading: true, ..Sample::default() };
        assert_eq!(wait(|_| (idle, Sample::default())), 4);
    }

    #[test]
    fn the_time_begins_when_all_is_acknowledged() {
        let slow = |second: u64| {
            let unacknowledged = 100_u32.saturating_sub(second as u32);
            Sample { sent: 100, unacknowledged, reading: true, ..Sample::default() }
        };
        assert_eq!(wait(|second| (slow(second), Sample::default())), 104);
    }

    #[test]
    fn who_takes_nothing_is_not_waited_for() {
        let stuck = Sample { sent: 9, unacknowledged: 9, reading: true, ..Sample::default() };
        assert_eq!(wait(|_| (stuck, Sample::default())), 21);
        // Nor one that is not read, while the side across takes nothing.
        let unread = Sample { sent: 9, ..Sample::default() };
        assert_eq!(wait(|_| (unread, stuck)), 21);
    }

    #[test]
    fn the_time_stands_while_we_do_not_read() {
        // For a minute the side across takes what this one said before.
        let side = |second| Sample { sent: 9, reading: second >= 60, ..Sample::default() };
        let across = |second: u64| Sample { sent: second.min(60), ..Sample::default() };
        assert_eq!(wait(|second| (side(second), across(second))), 64);
    }
}
