//! The backend of a key: highest random weight, with a bound on each backend's load. Pure.
//!
//! Every backend draws a number for the key, and the highest wins (rendezvous hashing, Thaler and
//! Ravishankar 1998); with weights `w` the draw is `-w / ln(u)` (Schindelhauer and Schomaker 2005).
//! Of a ring with virtual nodes, a table such as Maglev's and this, only this one moves no key but
//! those of the backend that goes, or those that the one that comes wins; keeps weights without
//! virtual nodes; and has nothing to build or keep. It looks at every backend, which choosing
//! under health and limits does as well.
//!
//! A backend at its bound is passed over for the next highest (consistent hashing with bounded
//! loads, Mirrokni, Thorup and Zadimoghaddam 2016).

use super::balance::Candidate;

/// Sessions that a backend may have whatever its fair share is: the bound is for the many. Without
/// it, the second client of a room of three would be sent to another backend than the first.
pub const HASH_BOUND_FROM: usize = 16;

/// The candidate that `key` belongs to. `seeds` are the hashes of the members' addresses;
/// `excess_percent` is how far above its fair share of the candidates' sessions one may come.
pub fn choose(
    key: u64,
    seeds: &[u64],
    excess_percent: Option<u32>,
    candidate: impl Fn(usize) -> Option<Candidate>,
) -> Option<usize> {
    let candidates = || (0..seeds.len()).filter_map(|index| Some((index, candidate(index)?)));
    let bound = excess_percent.map(|excess| Bound::of(candidates().map(|(_, one)| one), excess));
    let mut best: Option<(usize, f64)> = None;
    for (index, one) in candidates() {
        if bound.as_ref().is_some_and(|bound| bound.is_reached(one)) {
            continue;
        }
        let draw = draw(key, seeds[index], one.weight);
        if best.is_none_or(|(_, best)| draw > best) {
            best = Some((index, draw));
        }
    }
    Some(best?.0)
}

/// What each candidate may have, with the session that is to come.
struct Bound {
    sessions: u128,
    weights: u128,
    excess_percent: u128,
}

impl Bound {
    fn of(candidates: impl Iterator<Item = Candidate>, excess_percent: u32) -> Bound {
        let (sessions, weights) = candidates.fold((1, 0), |(sessions, weights), one| {
            (sessions + one.load as u128, weights + u128::from(one.weight))
        });
        Bound { sessions, weights, excess_percent: excess_percent.into() }
    }

    /// Whether a candidate has all it may. Never true of all: together they may have more than
    /// there is.
    fn is_reached(&self, one: Candidate) -> bool {
        let share = self.sessions * u128::from(one.weight) * (100 + self.excess_percent);
        let most = share.div_ceil(self.weights.max(1) * 100).max(HASH_BOUND_FROM as u128);
        one.load as u128 >= most
    }
}

/// A backend's draw for a key.
fn draw(key: u64, seed: u64, weight: u64) -> f64 {
    // 53 bits are what a float holds; the half keeps the number between 0 and 1, both excluded.
    let uniform = ((mix(key ^ seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    weight as f64 / -uniform.ln()
}

/// Makes every bit of the result depend on every bit of `bits` (the finalizer of SplitMix64).
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::key::hash;
    use super::*;
    use proptest::prelude::*;

    const KEYS: usize = 3000;

    /// A pool under test: names, weights, and where every key was put.
    struct Town {
        seeds: Vec<u64>,
        weights: Vec<u64>,
        sessions: Vec<usize>,
    }

    impl Town {
        fn new(port: u16, weights: &[u64]) -> Town {
            let seed = |index| hash(format!("10.0.0.{index}:{port}").as_bytes());
            Town {
                seeds: (0..weights.len()).map(seed).collect(),
                weights: weights.to_vec(),
                sessions: vec![0; weights.len()],
            }
        }

        fn choose(&self, key: usize, excess: Option<u32>) -> usize {
            let one = |index: usize| {
                Some(Candidate { load: self.sessions[index], weight: self.weights[index] })
            };
            choose(hash(&key.to_le_bytes()), &self.seeds, excess, one).unwrap()
        }

        /// Puts every key somewhere, one session each.
        fn settle(&mut self, excess: Option<u32>) -> Vec<usize> {
            let settle = |key| {
                let chosen = self.choose(key, excess);
                self.sessions[chosen] += 1;
                chosen
            };
            (0..KEYS).map(settle).collect()
        }

        fn fair(&self, index: usize) -> f64 {
            let total: u64 = self.weights.iter().sum();
            KEYS as f64 * self.weights[index] as f64 / total as f64
        }
    }

    fn moved(before: &[usize], after: &[usize]) -> usize {
        before.iter().zip(after).filter(|(one, other)| one != other).count()
    }

    #[test]
    fn a_key_is_put_where_it_always_was() {
        // Written down: another version of tidegate beside this one must choose alike.
        let town = Town::new(80, &[1000, 1000, 1000]);
        let chosen: Vec<_> = (0..12).map(|key| town.choose(key, None)).collect();
        assert_eq!(chosen, [1, 1, 2, 1, 1, 1, 2, 0, 1, 1, 2, 1]);
    }

    #[test]
    fn a_small_room_stays_together_and_a_large_one_keeps_to_the_bound() {
        let mut town = Town::new(80, &[1000, 1000, 1000]);
        let home = town.choose(7, None);
        for _ in 0..HASH_BOUND_FROM {
            assert_eq!(town.choose(7, Some(25)), home);
            town.sessions[home] += 1;
        }
        assert_ne!(town.choose(7, Some(25)), home);
        assert_eq!(town.choose(7, None), home);
    }

    #[test]
    fn without_candidates_nobody_is_chosen() {
        assert_eq!(choose(1, &[1, 2], Some(25), |_| None), None);
    }

    proptest! {
        #[test]
        fn only_the_keys_that_a_new_backend_wins_move(
            port in any::<u16>(), weights in prop::collection::vec(1000..5000_u64, 2..9),
        ) {
            let before = Town::new(port, &weights[..weights.len() - 1]).settle(None);
            let mut town = Town::new(port, &weights);
            let after = town.settle(None);
            let newest = weights.len() - 1;
            let changed = before.iter().zip(&after).filter(|(one, other)| one != other);
            prop_assert!(changed.clone().all(|(_, now)| *now == newest));
            prop_assert!((changed.count() as f64) < town.fair(newest) * 1.2 + 40.0);
        }

        #[test]
        fn from_two_to_three_backends_at_most_two_keys_of_five_move_bounded_or_not(
            port in any::<u16>(), excess in prop::option::of(15..100_u32),
        ) {
            let before = Town::new(port, &[1000; 2]).settle(excess);
            let after = Town::new(port, &[1000; 3]).settle(excess);
            prop_assert!(moved(&before, &after) * 10 <= KEYS * 4, "{}", moved(&before, &after));
        }

        #[test]
        fn no_backend_has_more_than_its_bound(
            port in any::<u16>(), excess in 0..50_u32, rooms in 1..40_usize,
            weights in prop::collection::vec(1000..9000_u64, 1..9),
        ) {
            let mut town = Town::new(port, &weights);
            for session in 0..KEYS {
                let chosen = town.choose(session % rooms, Some(excess));
                town.sessions[chosen] += 1;
            }
            for (index, &had) in town.sessions.iter().enumerate() {
                let bound = town.fair(index) * (1.0 + f64::from(excess) / 100.0);
                prop_assert!(had as f64 <= bound.ceil().max(HASH_BOUND_FROM as f64));
            }
        }

        #[test]
        fn keys_are_shared_out_by_weight(
            port in any::<u16>(), weights in prop::collection::vec(1000..5000_u64, 1..6),
        ) {
            let mut town = Town::new(port, &weights);
            town.settle(None);
            for (index, &had) in town.sessions.iter().enumerate() {
                let fair = town.fair(index);
                // Six times the standard deviation of so many draws.
                prop_assert!((had as f64 - fair).abs() < 6.0 * fair.sqrt(), "{:?}", town.sessions);
            }
        }
    }
}
