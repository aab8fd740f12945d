//! The buckets of all keys, in memory that is bounded.
//!
//! A shard is a set-associative table: a key belongs to one set of sixteen places, so that finding
//! room never looks at more. A key that finds none has no bucket of its own; see `RateLimit`.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::allowance::{Allowance, WholeAt};
use super::key_hash::{KeyHash, KeyHasher};
use crate::base::clock::Moment;

const SHARDS: usize = 64;

/// Places of a set.
const WAYS: usize = 16;

/// Places of a set that are kept for keys that came again: strangers in any number cannot take
/// these.
const KNOWN_MAX: usize = WAYS / 2;

/// Places of a set that keys may have which clients make up: one client has as many of these as it
/// likes, and those that it cannot choose find room beside them.
const MADE_UP_MAX: usize = WAYS / 2;

/// So long a key that came again keeps its place while it is quiet.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The buckets of all rate limits.
#[derive(Debug)]
pub struct Buckets {
    shards: Box<[Mutex<Shard>]>,
    hasher: KeyHasher,
    /// Sets that a shard may have.
    sets_max: AtomicUsize,
    shared: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    sets: Vec<[Bucket; WAYS]>,
}

/// 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Bucket {
    /// [`KeyHash::NONE`] where the place is empty.
    key: KeyHash,
    whole_at: WholeAt,
    /// The second of the clock in which it was used last.
    used: u32,
    /// Whether it was used more than once.
    is_known: bool,
    is_made_up: bool,
}

/// What a request takes from a bucket.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Draw {
    pub(super) key: KeyHash,
    /// Whether a client may make it up.
    pub(super) is_made_up: bool,
    pub(super) allowance: Allowance,
    /// All or none of them.
    pub(super) units: u64,
}

/// What became of a request for one unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Drawn {
    /// The key has a bucket: whether there was a unit in it.
    Own(Result<(), Duration>),
    /// There is no room for a bucket.
    NoRoom,
}

impl Buckets {
    /// Buckets for so many keys. Memory is taken as they come.
    pub fn new(keys_max: usize) -> Buckets {
        let buckets = Buckets {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: KeyHasher::new(),
            sets_max: AtomicUsize::new(0),
            shared: AtomicU64::new(0),
        };
        buckets.set_max(keys_max);
        buckets
    }

    /// Changes the number of keys. Where there are fewer places, keys that find none are forgotten.
    pub fn set_max(&self, keys_max: usize) {
        let sets = keys_max.div_ceil(SHARDS * WAYS).max(1);
        if self.sets_max.swap(sets, Relaxed) > sets {
            self.shards.iter().for_each(|shard| lock(shard).shrink(sets));
        }
    }

    /// How often a key without a bucket of its own has shared one.
    pub fn shared(&self) -> u64 {
        self.shared.load(Relaxed)
    }

    /// Bytes that the buckets take.
    pub fn bytes(&self) -> usize {
        let sets = self.shards.iter().map(|shard| lock(shard).sets.capacity());
        sets.sum::<usize>() * size_of::<[Bucket; WAYS]>()
    }

    pub(super) fn hash(&self, key: impl Hash) -> KeyHash {
        self.hasher.hash(key)
    }

    /// Takes from a key's bucket.
    pub(super) fn take(&self, draw: Draw, now: Moment) -> Drawn {
        let shard = draw.key.shard() % SHARDS;
        let sets_max = self.sets_max.load(Relaxed);
        lock(&self.shards[shard]).take(draw, now, sets_max)
    }

    /// Counts a key that shares a bucket.
    pub(super) fn count_shared(&self) {
        self.shared.fetch_add(1, Relaxed);
    }
}

/// What is behind the lock is whole even after a panic: every change is of numbers.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn take(&mut self, draw: Draw, now: Moment, sets_max: usize) -> Drawn {
        let Draw { key, is_made_up, allowance, units } = draw;
        let seconds = u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX);
        if self.sets.is_empty() {
            self.sets.push(Default::default());
        }
        loop {
            let set = self.set(key);
            if let Some(own) = set.iter_mut().find(|bucket| bucket.key == key) {
                own.used = seconds;
                own.is_known = true;
                let taken = allowance.take_many(own.whole_at, units, now);
                return Drawn::Own(taken.map(|after| own.whole_at = after));
            }
            if let Some(place) = free_place(set, is_made_up, now, seconds) {
                // A whole bucket has a unit, and no one asks for more than a part of it.
                let whole_at = allowance.owe(WholeAt::default(), units, now);
                *place = Bucket { key, whole_at, used: seconds, is_known: false, is_made_up };
                return Drawn::Own(Ok(()));
            }
            if self.sets.len() >= sets_max {
                return Drawn::NoRoom;
            }
            let sets = sets_max.min(self.sets.len() * 2);
            self.resize(sets);
        }
    }

    fn set(&mut self, key: KeyHash) -> &mut [Bucket; WAYS] {
        let set = key.place(self.sets.len());
        &mut self.sets[set]
    }

    fn resize(&mut self, sets: usize) {
        let old = std::mem::replace(&mut self.sets, vec![Default::default(); sets]);
        for bucket in old.into_iter().flatten().filter(|bucket| *bucket != Bucket::default()) {
            let set = self.set(bucket.key);
            if let Some(place) = set.iter_mut().find(|place| **place == Bucket::default()) {
                *place = bucket;
            }
        }
    }

    fn shrink(&mut self, sets: usize) {
        if self.sets.len() > sets {
            self.resize(sets);
        }
    }
}

/// A place that is empty, else the one that was used longest ago of those whose bucket is whole,
/// which is as good as none; but those who came again keep theirs for a while, and a key that is
/// made up gets no more of them than such keys may have.
fn free_place(
    set: &mut [Bucket; WAYS],
    is_made_up: bool,
    now: Moment,
    seconds: u32,
) -> Option<&mut Bucket> {
    let is_kept = |bucket: &Bucket| {
        let quiet = u64::from(seconds.saturating_sub(bucket.used));
        bucket.is_known && quiet < KNOWN_FOR.as_secs()
    };
    let kept = set.iter().filter(|bucket| is_kept(bucket)).count();
    let made_up = set.iter().filter(|bucket| bucket.is_made_up).count();
    let is_for_it = |bucket: &Bucket| !is_made_up || bucket.is_made_up || made_up < MADE_UP_MAX;
    let free = |bucket: &&mut Bucket| {
        let is_whole = bucket.whole_at.is_whole(now);
        is_whole && is_for_it(bucket) && (!is_kept(bucket) || kept > KNOWN_MAX)
    };
    set.iter_mut().filter(free).min_by_key(|bucket| (bucket.key != KeyHash::NONE, bucket.used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn allowance() -> Allowance {
        Allowance::new(10, Duration::from_secs(1), 20)
    }

    fn one(key: KeyHash, allowance: Allowance) -> Draw {
        Draw { key, is_made_up: false, allowance, units: 1 }
    }

    #[test]
    fn a_key_has_its_own_bucket() {
        let buckets = Buckets::new(1000);
        let [first, other] = [buckets.hash("one"), buckets.hash("two")];
        let now = Moment::from_millis(1);
        let take = |key| buckets.take(one(key, allowance()), now);
        let given = (0..50).filter(|_| take(first) == Drawn::Own(Ok(()))).count();
        assert_eq!(given, 20);
        assert_eq!(take(other), Drawn::Own(Ok(())));
        assert!(matches!(take(first), Drawn::Own(Err(_))));
    }

    #[test]
    fn strangers_in_any_number_take_bounded_memory_and_refuse_no_known_client() {
        // `TIDEGATE_SOURCES=10000000` for the figure of the manual.
        let sources = std::env::var("TIDEGATE_SOURCES").ok().and_then(|text| text.parse().ok());
        let (sources, keys_max) = (sources.unwrap_or(300_000_u64), 100_000);
        let buckets = Buckets::new(keys_max);
        let known: Vec<KeyHash> = (0..100).map(|client| buckets.hash(("known", client))).collect();
        let mut random = fastrand::Rng::with_seed(7);
        let mut most = 0;
        for key in known.iter().chain(&known) {
            buckets.take(one(*key, allowance()), Moment::default());
        }
        for source in 0..sources {
            // A million in a second; each known client comes five times in one.
            let now = Moment::from_millis(source / 1000);
            if source % 2000 == 0 {
                let key = known[(source / 2000) as usize % known.len()];
                let taken = buckets.take(one(key, allowance()), now);
                assert_eq!(taken, Drawn::Own(Ok(())), "at {source}");
                most = most.max(buckets.bytes());
            }
            let stranger = Ipv6Addr::from(random.u128(..));
            buckets.take(one(buckets.hash(stranger), allowance()), now);
        }
        let bound = (keys_max + SHARDS * WAYS) * size_of::<Bucket>();
        assert!(most <= bound, "{most} bytes, more than {bound}");
        assert_eq!(size_of::<Bucket>(), 32);
    }

    #[test]
    fn a_key_without_room_is_told_so_and_comes_in_when_a_bucket_is_whole() {
        let buckets = Buckets::new(1);
        let now = Moment::from_millis(1);
        let keys: Vec<KeyHash> = (0..20_000).map(|key| buckets.hash(key)).collect();
        let room = |now| {
            let own = |key: &&KeyHash| buckets.take(one(**key, allowance()), now) != Drawn::NoRoom;
            keys.iter().filter(own).count()
        };
        assert_eq!(room(now), SHARDS * WAYS);
        // Nobody came again: the first are as good as gone once their buckets are whole.
        assert!(room(now.after(Duration::from_secs(60))) >= SHARDS * WAYS);
    }

    #[test]
    fn keys_that_clients_make_up_leave_room_for_those_that_they_cannot() {
        let buckets = Buckets::new(1);
        let now = Moment::from_millis(1);
        let hour = Allowance::new(1, Duration::from_secs(3600), 1);
        let room = |is_made_up: bool, keys: std::ops::Range<u32>| {
            let draw = |key| Draw { is_made_up, ..one(buckets.hash(key), hour) };
            keys.filter(|key| buckets.take(draw(*key), now) != Drawn::NoRoom).count()
        };
        assert_eq!(room(true, 0..20_000), SHARDS * MADE_UP_MAX);
        let rest = SHARDS * (WAYS - MADE_UP_MAX);
        assert_eq!(room(false, 20_000..40_000), rest);
        assert_eq!(room(true, 0..20_000), SHARDS * MADE_UP_MAX, "each has its bucket still");
    }

    #[test]
    fn fewer_keys_need_less_memory_and_more_keep_their_buckets() {
        let buckets = Buckets::new(4 * SHARDS * WAYS);
        let now = Moment::from_millis(1);
        let keys: Vec<KeyHash> = (0..1000).map(|key| buckets.hash(key)).collect();
        let slow = Allowance::new(1, Duration::from_secs(9), 1);
        let had_room = |key: &&KeyHash| buckets.take(one(**key, slow), now) == Drawn::Own(Ok(()));
        assert_eq!(keys.iter().filter(had_room).count(), 1000);
        let is_empty =
            |key: &&KeyHash| matches!(buckets.take(one(**key, slow), now), Drawn::Own(Err(_)));
        assert_eq!(keys.iter().filter(is_empty).count(), 1000, "they moved as the table grew");
        let before = buckets.bytes();
        buckets.set_max(1);
        assert!(buckets.bytes() < before);
    }
}
