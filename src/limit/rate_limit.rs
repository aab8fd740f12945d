//! A limit of a route: so many requests in a time for each value of a key.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::allowance::{Allowance, WholeAt};
use super::buckets::{Buckets, Draw, Drawn};
use super::key_hash::KeyHash;
use crate::base::clock::Moment;

/// What a request counts by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitValue<'a> {
    /// The value of the limit's key.
    pub own: &'a [u8],
    /// Whether a client may make it up, as the value of a header field.
    pub is_made_up: bool,
    /// Who the client is, where that is known.
    pub client: Option<&'a [u8]>,
}

/// The same as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct CountedKey {
    own: KeyHash,
    is_made_up: bool,
    client: Option<KeyHash>,
}

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
    pub fn take(
        &self,
        buckets: &Buckets,
        value: LimitValue<'_>,
        now: Moment,
    ) -> Result<(), Duration> {
        self.take_many(buckets, self.key(buckets, value), 1, now)
    }

    fn key(&self, buckets: &Buckets, value: LimitValue<'_>) -> CountedKey {
        let hash = |value: &[u8]| buckets.hash((&self.name, value));
        // Those who make up values are one client each where these find no room.
        let client = value.client.filter(|_| value.is_made_up).map(hash);
        CountedKey { own: hash(value.own), is_made_up: value.is_made_up, client }
    }

    /// A key without room counts by its client, where it is one that clients make up; a client
    /// without room by what all of them share.
    fn take_many(
        &self,
        buckets: &Buckets,
        key: CountedKey,
        units: u64,
        now: Moment,
    ) -> Result<(), Duration> {
        let CountedKey { own, is_made_up, client } = key;
        let allowance = self.allowance;
        let draw = |key, is_made_up| buckets.take(Draw { key, is_made_up, allowance, units }, now);
        let drawn = match (draw(own, is_made_up), client) {
            (Drawn::NoRoom, Some(client)) => draw(client, false),
            (drawn, _) => drawn,
        };
        match drawn {
            Drawn::Own(taken) => taken,
            Drawn::NoRoom => {
                buckets.count_shared();
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
    key: CountedKey,
    chunk: u64,
}

impl SharedAllowance {
    /// A value's part of a limit that gives so many at once.
    pub fn new(
        limit: &Arc<RateLimit>,
        buckets: &Arc<Buckets>,
        value: LimitValue<'_>,
        burst: u64,
    ) -> SharedAllowance {
        let key = limit.key(buckets, value);
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

    fn value(own: &[u8]) -> LimitValue<'_> {
        LimitValue { own, is_made_up: false, client: None }
    }

    #[test]
    fn all_who_share_a_value_have_its_rate_together() {
        let buckets = Arc::new(Buckets::new(1000));
        let allowance = Allowance::new(100, Duration::from_secs(1), 160);
        let limit = Arc::new(RateLimit::new("a", allowance));
        let of = |own: &[u8]| SharedAllowance::new(&limit, &buckets, value(own), 160);
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
        let passed = |own: u32| limit.take(&buckets, value(&own.to_be_bytes()), now).is_ok();
        let all = (0..10_000).filter(|own| passed(*own)).count();
        assert_eq!(all, 64 * 16 + 5);
        assert_eq!(buckets.shared(), 10_000 - 64 * 16);
    }

    #[test]
    fn made_up_values_without_room_count_by_their_client() {
        let buckets = Buckets::new(1);
        let limit = RateLimit::new("a", Allowance::new(1, Duration::from_secs(60), 5));
        let now = Moment::from_millis(1);
        let passed = |own: u32, client: &[u8]| {
            let own = &own.to_be_bytes();
            let value = LimitValue { own, is_made_up: true, client: Some(client) };
            limit.take(&buckets, value, now).is_ok()
        };
        let all = (0..10_000).filter(|own| passed(*own, b"one")).count();
        assert_eq!(all, 64 * 8 + 5);
        let other = (10_000..10_010).filter(|own| passed(*own, b"other")).count();
        assert_eq!((other, buckets.shared()), (5, 0));
    }

    #[test]
    fn another_limit_has_other_buckets() {
        let buckets = Buckets::new(100);
        let limit =
            |name: &str| RateLimit::new(name, Allowance::new(1, Duration::from_secs(60), 1));
        let now = Moment::from_millis(1);
        assert!(limit("a").take(&buckets, value(b"x"), now).is_ok());
        assert!(limit("b").take(&buckets, value(b"x"), now).is_ok());
        assert!(limit("a").take(&buckets, value(b"x"), now).is_err(), "it outlives a reload");
    }
}
