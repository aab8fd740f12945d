//! A limit of a route: so many requests in a time for each value of a key.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::allowance::{Allowance, WholeAt};
use super::buckets::{Buckets, Drawn};
use super::key_hash::KeyHash;
use crate::base::clock::Moment;

/// A rate limit at work.
#[derive(Debug)]
pub struct RateLimit {
    /// Tells the limit's keys from those of others; the same over reloads.
    name: Box<str>,
    allowance: Allowance,
    /// For all keys that have no bucket of their own: they are neither let in nor kept out.
    shared: Mutex<WholeAt>,
}

impl RateLimit {
    /// A limit by this name.
    pub fn new(name: impl Into<Box<str>>, allowance: Allowance) -> RateLimit {
        RateLimit { name: name.into(), allowance, shared: Mutex::default() }
    }

    /// Takes one unit for a value of the key.
    ///
    /// # Errors
    /// There is none: how long until there is.
    pub fn take(&self, buckets: &Buckets, value: &[u8], now: Moment) -> Result<(), Duration> {
        self.take_many(buckets, buckets.hash((&self.name, value)), 1, now)
    }

    fn take_many(
        &self,
        buckets: &Buckets,
        key: KeyHash,
        units: u64,
        now: Moment,
    ) -> Result<(), Duration> {
        match buckets.take(key, self.allowance, units, now) {
            Drawn::Own(taken) => taken,
            Drawn::NoRoom => {
                let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                *shared = self.allowance.take_many(*shared, units, now)?;
                Ok(())
            }
        }
    }
}

/// Parts in which a bucket is drawn from: the fewer, the less a session has that others lack.
const CHUNKS: u64 = 16;

/// What all who have one value of a key may have together, drawn a chunk at a time: what each unit
/// costs is a subtraction, and a lock is taken once a chunk.
pub struct SharedAllowance {
    limit: Arc<RateLimit>,
    buckets: Arc<Buckets>,
    key: KeyHash,
    chunk: u64,
}

impl SharedAllowance {
    /// A value's part of a limit that gives so many at once.
    pub fn new(
        limit: &Arc<RateLimit>,
        buckets: &Arc<Buckets>,
        value: &[u8],
        burst: u64,
    ) -> SharedAllowance {
        let key = buckets.hash((&limit.name, value));
        let (limit, buckets) = (Arc::clone(limit), Arc::clone(buckets));
        SharedAllowance { limit, buckets, key, chunk: (burst / CHUNKS).max(1) }
    }

    /// Draws so many units, a chunk at most, or one where there are no more.
    ///
    /// # Errors
    /// There is none: how long until there is.
    pub fn draw(&self, wanted: u64, now: Moment) -> Result<u64, Duration> {
        let take = |units| self.limit.take_many(&self.buckets, self.key, units, now);
        let chunk = wanted.min(self.chunk);
        if chunk > 1 && take(chunk).is_ok() {
            return Ok(chunk);
        }
        take(1).map(|()| 1)
    }
}

impl fmt::Debug for SharedAllowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedAllowance").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_share_a_value_have_its_rate_together() {
        let buckets = Arc::new(Buckets::new(1000));
        let allowance = Allowance::new(100, Duration::from_secs(1), 160);
        let limit = Arc::new(RateLimit::new("a", allowance));
        let of = |value: &[u8]| SharedAllowance::new(&limit, &buckets, value, 160);
        let (one, other, stranger) = (of(b"x"), of(b"x"), of(b"y"));
        let mut drawn = 0;
        for at in 1..10_000 {
            let now = Moment::from_millis(at);
            drawn += one.draw(99, now).unwrap_or(0) + other.draw(99, now).unwrap_or(0);
        }
        assert!((1140..=1160).contains(&drawn), "{drawn}");
        assert_eq!(stranger.draw(99, Moment::from_millis(10_000)), Ok(10));
    }

    #[test]
    fn keys_without_room_share_one_bucket() {
        let buckets = Buckets::new(1);
        let limit = RateLimit::new("a", Allowance::new(1, Duration::from_secs(60), 5));
        let now = Moment::from_millis(1);
        let passed = |value: u32| limit.take(&buckets, &value.to_be_bytes(), now).is_ok();
        let all = (0..10_000).filter(|value| passed(*value)).count();
        assert_eq!(all, 64 * 16 + 5);
    }

    #[test]
    fn another_limit_has_other_buckets() {
        let buckets = Buckets::new(100);
        let limit =
            |name: &str| RateLimit::new(name, Allowance::new(1, Duration::from_secs(60), 1));
        let now = Moment::from_millis(1);
        assert!(limit("a").take(&buckets, b"x", now).is_ok());
        assert!(limit("b").take(&buckets, b"x", now).is_ok());
        assert!(limit("a").take(&buckets, b"x", now).is_err(), "it outlives a reload");
    }
}
