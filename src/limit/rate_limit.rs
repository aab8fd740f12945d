//! A limit of a route: so many requests in a time for each value of a key.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use super::allowance::{Allowance, WholeAt};
use super::buckets::{Buckets, Drawn};
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
        let key = buckets.hash((&self.name, value));
        match buckets.take(key, self.allowance, now) {
            Drawn::Own(taken) => taken,
            Drawn::NoRoom => {
                let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                *shared = self.allowance.take(*shared, now)?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
