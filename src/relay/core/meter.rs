//! What one session has sent of what it may: a leaky bucket in whole numbers, since each message is
//! counted; and its part of what all of a key may send together.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::limit::SharedAllowance;

/// A unit in thousandths: the clock counts milliseconds, and in one of them as many thousandths
/// drain as there are units in a second.
const UNIT: i64 = 1000;

/// A bucket that what is sent fills, and time drains.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendMeter {
    /// Units that drain in a second: thousandths of them in a millisecond.
    rate: i64,
    /// Thousandths of a unit up to which it is filled at once.
    most: i64,
    /// Those that there is room for; more than `most` for a moment only, see [`SendMeter::drain`].
    /// Below zero where too many were sent.
    room: i64,
}

impl Default for SendMeter {
    /// Without a limit.
    fn default() -> SendMeter {
        SendMeter { rate: i64::MAX, most: i64::MAX, room: i64::MAX }
    }
}

impl SendMeter {
    /// So many units in each second, `burst` of them at once; what `before` holds is in it.
    pub(super) fn new(rate: u64, burst: u64, before: SendMeter) -> SendMeter {
        let (rate, most) = (number(rate.max(1)), thousandths(burst.max(1)));
        SendMeter { rate, most, room: most.saturating_sub(before.most.saturating_sub(before.room)) }
    }

    /// So many milliseconds have passed, of which a client that had more to send was kept waiting
    /// `late` too long: what it would have sent in these is not lost to it, if it sends it now.
    pub(super) fn drain(&mut self, millis: u64, late: u64) {
        let room = self.room.saturating_add(self.rate.saturating_mul(number(millis)));
        self.room = match late {
            0 => room.min(self.most),
            late => room.min(self.most.saturating_add(self.rate.saturating_mul(number(late)))),
        };
    }

    /// Units were sent, whether or not there was room.
    pub(super) fn fill(&mut self, units: u64) {
        self.room = self.room.saturating_sub(thousandths(units));
    }

    /// Whether there is room for so many units; for none: whether none too many were sent.
    pub(super) fn has_room(&self, units: u64) -> bool {
        self.room >= thousandths(units)
    }

    /// How long until there is.
    pub(super) fn wait(&self, units: u64) -> Option<Duration> {
        let missing = thousandths(units).saturating_sub(self.room);
        let missing = u64::try_from(missing).ok().filter(|missing| *missing > 0)?;
        Some(Duration::from_millis(missing.div_ceil(self.rate.unsigned_abs())))
    }
}

/// What was drawn of what all sessions of a key may send: as much at once as the session uses soon,
/// so that a lock is taken seldom, and nothing is drawn that only others would use.
#[derive(Debug)]
pub(super) struct SharedMeter {
    allowance: SharedAllowance,
    /// Messages that were drawn at once, those of them that were not sent, and when it was.
    chunk: u64,
    left: u64,
    drawn: Moment,
}

impl SharedMeter {
    /// How long what was drawn is good: what a session does not use is not kept for it.
    const DRAWN_FOR: Duration = Duration::from_secs(1);

    /// Who has used all before has twice as much the next time.
    const SOON: Duration = Duration::from_millis(100);

    /// A part of these messages; nothing is drawn yet.
    pub(super) fn new(allowance: SharedAllowance) -> SharedMeter {
        SharedMeter { allowance, chunk: 0, left: 0, drawn: Moment::default() }
    }

    /// How long until there is a message.
    pub(super) fn wait(&mut self, now: Moment) -> Option<Duration> {
        if self.left > 0 && now < self.drawn.after(Self::DRAWN_FOR) {
            return None;
        }
        let is_fast = self.left == 0 && now < self.drawn.after(Self::SOON);
        let wanted = if is_fast { self.chunk * 2 } else { 1 };
        match self.allowance.draw(wanted, now) {
            Ok(chunk) => {
                (self.chunk, self.left, self.drawn) = (chunk, chunk, now);
                None
            }
            Err(wait) => {
                self.left = 0;
                // The clock counts whole milliseconds.
                Some(wait + Duration::from_millis(1))
            }
        }
    }

    /// A message is sent, for which there was room.
    pub(super) fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn thousandths(units: u64) -> i64 {
    number(units).saturating_mul(UNIT)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limit::{Allowance, Buckets, LimitValue, RateLimit};

    #[test]
    fn a_burst_fits_at_once_and_then_the_rate() {
        let mut meter = SendMeter::new(10, 20, SendMeter::default());
        let mut passed = |millis: u64, times: usize| {
            let mut fits = || {
                meter.drain(millis, 0);
                let fits = meter.wait(1).is_none();
                meter.fill(fits.into());
                fits
            };
            (0..times).filter(|_| fits()).count()
        };
        assert_eq!(passed(0, 100), 20);
        // At ten times the rate, and at the rate itself.
        assert_eq!(passed(10, 1000), 100);
        assert_eq!(passed(100, 1000), 1000);
        // What was not sent is not kept beyond the burst.
        assert_eq!(passed(3_600_000, 1) + passed(0, 100), 20);
    }

    #[test]
    fn what_was_too_much_drains_at_the_rate() {
        let mut meter = SendMeter::new(1 << 20, 1 << 20, SendMeter::default());
        meter.fill(3 << 20);
        assert_eq!(meter.wait(0), Some(Duration::from_secs(2)));
        meter.drain(1999, 0);
        assert_eq!(meter.wait(0), Some(Duration::from_millis(1)));
        meter.drain(1, 0);
        assert_eq!((meter.wait(0), meter.wait(1)), (None, Some(Duration::from_millis(1))));
        // Another rate keeps it.
        let slower = SendMeter::new(1, 1, meter);
        assert_eq!(slower.wait(0), Some(Duration::from_secs((1 << 20) - 1)));
    }

    #[test]
    fn who_was_kept_waiting_too_long_has_its_rate_all_the_same() {
        let mut meter = SendMeter::new(100, 5, SendMeter::default());
        let sends = |meter: &mut SendMeter| {
            let fits = |_: &u32| {
                let fits = meter.wait(1).is_none();
                meter.fill(fits.into());
                fits
            };
            (0..100).filter(fits).count()
        };
        assert_eq!(sends(&mut meter), 5);
        // It may send the next after ten milliseconds, and can after a hundred.
        meter.drain(100, 90);
        assert_eq!(sends(&mut meter), 10);
        // Who had nothing to send has its burst and no more.
        meter.drain(100, 90);
        meter.drain(1, 0);
        assert_eq!(sends(&mut meter), 5);
    }

    #[test]
    fn no_number_overflows() {
        let mut meter = SendMeter::default();
        for _ in 0..2 {
            meter.fill(u64::MAX);
            meter.drain(1, 0);
            assert_eq!(meter.wait(1), None);
        }
        meter.drain(u64::MAX, u64::MAX);
        let mut slow = SendMeter::new(0, 0, SendMeter::default());
        slow.fill(u64::MAX);
        assert!(slow.wait(1).is_some_and(|wait| wait > Duration::from_secs(1 << 50)));
    }

    #[test]
    fn what_a_session_does_not_send_is_there_for_others() {
        let buckets = Arc::new(Buckets::new(100));
        let allowance = Allowance::new(20, Duration::from_secs(1), 160);
        let limit = Arc::new(RateLimit::new("a", allowance));
        let value = LimitValue { own: b"x", is_made_up: false, client: None };
        let part = || SharedMeter::new(SharedAllowance::new(&limit, &buckets, value, 160));
        let sends = |part: &mut SharedMeter, at: u64| {
            let fits = part.wait(Moment::from_millis(at)).is_none();
            part.spend();
            fits
        };
        // Half of the rate: of each of twenty a message in two seconds.
        let mut parts: Vec<SharedMeter> = (0..20).map(|_| part()).collect();
        for at in (0..60_000).step_by(100) {
            assert!(sends(&mut parts[(at / 100) as usize % 20], at));
        }
        let burst = (0..200).filter(|_| sends(&mut parts[0], 60_000)).count();
        assert!((155..=160).contains(&burst), "{burst}");
        // Who sends much takes the lock once for ten messages.
        assert!(sends(&mut parts[1], 70_000) && sends(&mut parts[1], 70_001));
        let drawn = (0..100).filter(|_| sends(&mut parts[1], 70_002)).count();
        assert_eq!((drawn, parts[1].chunk), (100, 10));
    }
}
