//! Which sessions an order is for that is not for all it matches.

use std::time::Duration;

use crate::base::clock::Moment;

use super::facts::Facts;

/// Some of the sessions that an order matches, and not all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subset {
    /// Only those that have been where they are for so long.
    pub age_min: Duration,
    /// Which of them first.
    pub first: SubsetOrder,
}

/// Which sessions are told when not all are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubsetOrder {
    /// Those that have been longest where they are.
    Oldest,
    /// Any.
    Random,
}

impl Subset {
    /// Of these sessions, by slot, at most so many, in their order.
    pub(super) fn choose<'a>(
        &self,
        sessions: impl Iterator<Item = (u32, &'a Facts)>,
        most: usize,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Vec<u32> {
        let settled = |facts: &Facts| now.since(facts.settled) >= self.age_min;
        let old = sessions.filter(|(_, facts)| settled(facts));
        let mut old: Vec<_> = old.map(|(slot, facts)| (facts.settled, slot)).collect();
        match self.first {
            SubsetOrder::Oldest => old.sort_unstable(),
            SubsetOrder::Random => rng.shuffle(&mut old),
        }
        old.truncate(most);
        old.into_iter().map(|(_, slot)| slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::*;

    fn facts(settled: u64) -> Facts {
        tests::facts("/chat", "b", settled * 1_000)
    }

    #[test]
    fn those_that_have_settled_are_told_the_oldest_first() {
        let all: Vec<Facts> = [30, 10, 20, 41].map(facts).into();
        let slots = || (0..).zip(&all);
        let now = Moment::from_millis(100_000);
        let mut rng = fastrand::Rng::with_seed(1);
        let age_min = Duration::from_secs(60);
        let mut choose =
            |most, first| Subset { age_min, first }.choose(slots(), most, now, &mut rng);
        assert_eq!(choose(9, SubsetOrder::Oldest), [1, 2, 0]);
        assert_eq!(choose(2, SubsetOrder::Oldest), [1, 2]);
        let mut seen = [false; 4];
        for _ in 0..100 {
            choose(1, SubsetOrder::Random).iter().for_each(|slot| seen[*slot as usize] = true);
        }
        assert_eq!(seen, [true, true, true, false]);
    }
}
