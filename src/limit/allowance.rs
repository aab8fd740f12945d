//! So many in a time, and so many at once: the generic cell rate algorithm (ITU-T I.371), whose
//! whole state is one moment.

use std::time::Duration;

use crate::base::clock::Moment;

/// What a bucket gives: a unit each `interval`, and `burst` of them at once when it is whole.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Allowance {
    /// Nanoseconds in which one unit comes back.
    interval: f64,
    /// Nanoseconds in which all of them do.
    whole: u64,
}

/// When a bucket will be whole again, in nanoseconds of the clock: a bucket's only state. 0 is a
/// whole one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct WholeAt(u64);

impl Allowance {
    /// So many in each `per`; at least one at once.
    pub fn new(count: u64, per: Duration, burst: u64) -> Allowance {
        let interval = per.as_nanos() as f64 / count.max(1) as f64;
        let whole = (interval * burst.max(1) as f64).ceil() as u64;
        Allowance { interval, whole: whole.max(1) }
    }

    /// Takes so many units from a bucket; the bucket after it.
    ///
    /// # Errors
    /// There are fewer: how long until there are as many.
    pub(super) fn take_many(
        self,
        bucket: WholeAt,
        units: u64,
        now: Moment,
    ) -> Result<WholeAt, Duration> {
        let after = self.owe(bucket, units, now);
        match self.wait(after, now) {
            None => Ok(after),
            Some(wait) => Err(wait),
        }
    }

    /// Takes so many units, whether or not they are there; the bucket after it, which may owe some.
    pub(super) fn owe(self, bucket: WholeAt, units: u64, now: Moment) -> WholeAt {
        // Rounded up: a unit of nothing would be no limit.
        let time = (self.interval * units as f64).ceil() as u64;
        WholeAt(bucket.0.max(nanos(now)).saturating_add(time))
    }

    /// How long a bucket owes units still; `None` when it owes none.
    fn wait(self, bucket: WholeAt, now: Moment) -> Option<Duration> {
        let missing = bucket.0.saturating_sub(nanos(now));
        (missing > self.whole).then(|| Duration::from_nanos(missing - self.whole))
    }
}

impl WholeAt {
    pub(super) fn is_whole(self, now: Moment) -> bool {
        self.0 <= nanos(now)
    }
}

fn nanos(moment: Moment) -> u64 {
    moment.as_millis().saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(allowance: Allowance, bucket: WholeAt, now: Moment) -> Result<WholeAt, Duration> {
        allowance.take_many(bucket, 1, now)
    }

    /// How many of the units asked for at these milliseconds are given.
    fn given(allowance: Allowance, moments: impl Iterator<Item = u64>) -> usize {
        let mut bucket = WholeAt::default();
        moments
            .filter(|at| match take(allowance, bucket, Moment::from_millis(*at)) {
                Ok(after) => {
                    bucket = after;
                    true
                }
                Err(_) => false,
            })
            .count()
    }

    #[test]
    fn a_burst_is_given_at_once_and_then_the_rate() {
        let allowance = Allowance::new(10, Duration::from_secs(1), 20);
        assert_eq!(given(allowance, std::iter::repeat_n(5, 100)), 20);
        // A second at ten times the rate: the burst and what came back.
        assert_eq!(given(allowance, (0..1000).step_by(10)), 20 + 9);
        // At the rate itself nothing is refused.
        assert_eq!(given(allowance, (0..100_000).step_by(100)), 1000);
    }

    #[test]
    fn who_is_refused_learns_when_there_is_one_again() {
        let allowance = Allowance::new(6, Duration::from_secs(60), 1);
        let now = Moment::from_millis(1000);
        let bucket = take(allowance, WholeAt::default(), now).unwrap();
        let wait = take(allowance, bucket, now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        assert!(take(allowance, bucket, now.after(wait)).is_ok());
        assert!(!bucket.is_whole(now) && bucket.is_whole(now.after(wait)));
    }

    #[test]
    fn what_is_owed_is_paid_back_at_the_rate() {
        let allowance = Allowance::new(1 << 20, Duration::from_secs(1), 1 << 20);
        let now = Moment::from_millis(5);
        let owing = allowance.owe(WholeAt::default(), 3 << 20, now);
        assert_eq!(allowance.wait(owing, now), Some(Duration::from_secs(2)));
        assert_eq!(allowance.wait(owing, now.after(Duration::from_secs(2))), None);
        let fast = Allowance::new(10 << 30, Duration::from_secs(1), 1);
        assert!(fast.wait(fast.owe(WholeAt::default(), 10 << 30, now), now).is_some());
    }

    #[test]
    fn no_number_overflows() {
        let slow = Allowance::new(1, Duration::MAX, u64::MAX);
        let bucket = take(slow, WholeAt::default(), Moment::from_millis(1)).unwrap();
        assert!(take(slow, bucket, Moment::NEVER).is_ok());
        let fast = Allowance::new(u64::MAX, Duration::from_nanos(1), 0);
        assert!(take(fast, WholeAt::default(), Moment::default()).is_ok());
    }
}
