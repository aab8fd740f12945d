//! A coarse timer wheel: one entry per key, arming and disarming cost the same however many there
//! are. Pure: time is an argument.
//!
//! One turn is [`BUCKETS`] ticks. What is due later than that is parked in the last bucket and
//! placed again when the wheel comes round. The entries of a bucket are a doubly linked list
//! threaded through `links`, so nothing is allocated when one is armed.

use std::time::Duration;

use crate::base::clock::Moment;

/// How coarse deadlines are: one is late by at most this, never early.
pub const TICK: Duration = Duration::from_millis(100);

/// Keys that there is room for while none is used.
pub(super) const KEYS_KEPT: usize = 64;

const TICK_MILLIS: u64 = TICK.as_millis() as u64;
const BUCKETS: usize = 512;
const NONE: u32 = u32::MAX;

/// One key's, 16 bytes: there are as many of them as sessions.
#[derive(Clone, Copy)]
struct WheelLink {
    /// The tick that it is due at, in 48 bits, and its bucket.
    place: u64,
    before: u32,
    after: u32,
}

const UNARMED: WheelLink = WheelLink { place: u64::MAX, before: NONE, after: NONE };

impl WheelLink {
    const BUCKET_BITS: u32 = 16;
    /// The tick of a key that is not armed: no process lives as long.
    const NO_TICK: u64 = u64::MAX >> Self::BUCKET_BITS;

    fn new(tick: u64, bucket: usize, after: u32) -> WheelLink {
        let tick = tick.min(Self::NO_TICK - 1);
        WheelLink { place: tick << Self::BUCKET_BITS | bucket as u64, before: NONE, after }
    }

    /// The tick that it is due at; `None` when the key is not armed.
    fn tick(&self) -> Option<u64> {
        Some(self.place >> Self::BUCKET_BITS).filter(|tick| *tick != Self::NO_TICK)
    }

    fn bucket(&self) -> usize {
        usize::from(self.place as u16)
    }
}

/// The wheel; keys are small numbers, used as indices.
pub(super) struct Wheel {
    /// The first entry of each bucket.
    heads: Box<[u32]>,
    links: Vec<WheelLink>,
    /// The tick to be swept next.
    next: u64,
    armed: usize,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel { heads: vec![NONE; BUCKETS].into(), links: Vec::new(), next: 0, armed: 0 }
    }
}

impl Wheel {
    /// What a key costs.
    #[cfg(test)]
    pub(super) const BYTES_PER_KEY: usize = size_of::<WheelLink>();

    /// Makes `key` due at `at`, in place of when it was due before.
    pub(super) fn arm(&mut self, key: u32, at: Moment) {
        self.disarm(key);
        if at == Moment::NEVER {
            return;
        }
        if self.links.len() <= key as usize {
            self.links.resize(key as usize + 1, UNARMED);
        }
        self.place(key, due_tick(at), self.next);
        self.armed += 1;
    }

    /// Forgets `key`.
    pub(super) fn disarm(&mut self, key: u32) {
        if self.tick(key).is_some() {
            self.unlink(key);
            self.armed -= 1;
        }
    }

    /// A key that is due, disarmed by being returned; `None` when no more are due at `now`.
    pub(super) fn pop(&mut self, now: Moment) -> Option<u32> {
        let current = now.as_millis() / TICK_MILLIS;
        if self.armed == 0 {
            self.next = self.next.max(current + 1);
        }
        // One turn passes all that there are, however long the wheel stood still.
        self.next = self.next.max((current + 1).saturating_sub(BUCKETS as u64));
        while self.next <= current {
            let key = self.heads[self.bucket(self.next)];
            if key == NONE {
                self.next += 1;
                continue;
            }
            // What is in a bucket is armed.
            let tick = self.tick(key).unwrap_or_default();
            self.unlink(key);
            if tick <= self.next {
                self.armed -= 1;
                return Some(key);
            }
            // Parked: a turn has passed, it is nearer now.
            self.place(key, tick, self.next + 1);
        }
        None
    }

    /// When `key` is due, to the tick; [`Moment::NEVER`] when it is not armed.
    pub(super) fn at(&self, key: u32) -> Moment {
        let tick = self.tick(key);
        tick.map_or(Moment::NEVER, |tick| Moment::from_millis(tick.saturating_mul(TICK_MILLIS)))
    }

    fn tick(&self, key: u32) -> Option<u64> {
        self.links.get(key as usize)?.tick()
    }

    /// Gives memory back; to be called when nothing is armed.
    pub(super) fn shrink(&mut self) {
        if self.armed == 0 {
            self.links.clear();
            self.links.shrink_to(KEYS_KEPT);
        }
    }

    fn place(&mut self, key: u32, tick: u64, earliest: u64) {
        let farthest = self.next + BUCKETS as u64 - 1;
        let bucket = self.bucket(tick.clamp(earliest, farthest));
        let after = std::mem::replace(&mut self.heads[bucket], key);
        if after != NONE {
            self.links[after as usize].before = key;
        }
        self.links[key as usize] = WheelLink::new(tick, bucket, after);
    }

    fn unlink(&mut self, key: u32) {
        let link = std::mem::replace(&mut self.links[key as usize], UNARMED);
        match link.before {
            NONE => self.heads[link.bucket()] = link.after,
            before => self.links[before as usize].after = link.after,
        }
        if link.after != NONE {
            self.links[link.after as usize].before = link.before;
        }
    }

    fn bucket(&self, tick: u64) -> usize {
        (tick % BUCKETS as u64) as usize
    }
}

/// The first tick that does not lie before `at`.
fn due_tick(at: Moment) -> u64 {
    at.as_millis().div_ceil(TICK_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut keys: Vec<u32> = std::iter::from_fn(|| wheel.pop(at(now))).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn nothing_is_due_early_and_nothing_later_than_a_tick() {
        let mut wheel = Wheel::default();
        wheel.arm(1, at(250));
        wheel.arm(2, at(300));
        assert!(due(&mut wheel, 249).is_empty());
        assert!(due(&mut wheel, 299).is_empty());
        assert_eq!(due(&mut wheel, 300), [1, 2]);
        assert!(due(&mut wheel, 10_000).is_empty());
    }

    #[test]
    fn a_deadline_beyond_a_turn_is_parked_until_it_is_near() {
        let mut wheel = Wheel::default();
        let far = 10 * BUCKETS as u64 * TICK_MILLIS + 70;
        wheel.arm(0, at(far));
        for now in (0..far).step_by(1_000) {
            assert!(due(&mut wheel, now).is_empty(), "{now}");
        }
        assert_eq!(due(&mut wheel, far + TICK_MILLIS), [0]);
    }

    #[test]
    fn a_wheel_that_stood_still_for_ages_turns_once() {
        for armed in [[300, 50_000, 70_000], [1_000, 51_000, 10_000_000]] {
            let mut wheel = Wheel::default();
            for (key, millis) in armed.into_iter().enumerate() {
                wheel.arm(key as u32, at(millis));
            }
            // To walk it tick by tick would take years.
            let ages = u64::MAX / 1_000_000 * TICK_MILLIS;
            assert_eq!(due(&mut wheel, ages), [0, 1, 2]);
            wheel.arm(3, at(ages + 60_000));
            wheel.arm(4, at(ages + 2_000));
            assert_eq!(due(&mut wheel, ages + 59_000), [4]);
            assert_eq!(due(&mut wheel, ages + 60_000 + TICK_MILLIS), [3]);
        }
    }

    #[test]
    fn a_key_has_one_entry_and_can_be_forgotten() {
        let mut wheel = Wheel::default();
        for key in 0..5 {
            wheel.arm(key, at(500));
        }
        wheel.arm(2, at(900));
        wheel.disarm(4);
        wheel.disarm(4);
        wheel.disarm(77);
        assert_eq!(due(&mut wheel, 500), [0, 1, 3]);
        assert_eq!((wheel.at(2), wheel.at(4)), (at(900), Moment::NEVER));
        assert_eq!(due(&mut wheel, 1_000), [2]);
    }

    #[test]
    fn what_is_past_already_is_due_at_the_next_tick() {
        let mut wheel = Wheel::default();
        assert!(due(&mut wheel, 5_050).is_empty());
        wheel.arm(9, at(1));
        assert!(due(&mut wheel, 5_099).is_empty());
        assert_eq!(due(&mut wheel, 5_100), [9]);
    }

    #[test]
    fn a_thousand_random_deadlines_all_come_in_time() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut wheel = Wheel::default();
        let mut wanted: Vec<Option<u64>> = vec![None; 1_000];
        let mut now = 0;
        for _ in 0..20_000 {
            let key = rng.usize(..1_000);
            let when = now + rng.u64(..200_000);
            wheel.arm(key as u32, at(when));
            wanted[key] = Some(when);
            now += rng.u64(..60);
            for key in due(&mut wheel, now) {
                let when = wanted[key as usize].take().expect("armed once, due once");
                assert!(when <= now, "early");
            }
            let tick = now / TICK_MILLIS * TICK_MILLIS;
            assert!(wanted.iter().flatten().all(|when| *when > tick - tick.min(TICK_MILLIS)));
        }
    }
}
