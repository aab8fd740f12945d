//! Shares of a spread that are even however few are taken.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Numbers from 0 to 1, in steps of the golden ratio around a circle: of all sequences this one
/// leaves the smallest gaps (Knuth, TAOCP 3, §6.4, theorem S). Random ones would come in clusters,
/// and so would the sessions that end by them.
#[derive(Debug)]
pub(super) struct EvenShares(AtomicU64);

impl EvenShares {
    /// Begins anywhere: proxies side by side do not go in step.
    pub(super) fn new() -> EvenShares {
        EvenShares(AtomicU64::new(fastrand::u64(..)))
    }

    /// The next one, whichever worker asks.
    pub(super) fn next(&self) -> f64 {
        let at = self.0.fetch_add(GOLDEN, Relaxed);
        // As many bits as a float has.
        (at >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_of_them_are_even_in_each_part_wherever_they_begin() {
        // Others draw between them: each second, each third, …
        for (begin, every) in (0..500).flat_map(|begin| (1..=5).map(move |every| (begin, every))) {
            let shares = EvenShares(AtomicU64::new(fastrand::Rng::with_seed(begin).u64(..)));
            let mut parts = [0_u32; 20];
            for _ in 0..1000 {
                let share = (0..every).map(|_| shares.next()).last().unwrap();
                assert!((0.0..1.0).contains(&share), "{share}");
                parts[(share * 20.0) as usize] += 1;
            }
            let is_even = |part: &u32| (40..=60).contains(part);
            assert!(parts.iter().all(is_even), "{parts:?}: 50 of each, within a fifth; {every}");
        }
    }
}
