//! How sessions are moved together: which, how many, and at which pace.

use std::time::Duration;

use crate::base::clock::Moment;

use super::facts::{Facts, Selector};

/// An order to leave backends for others. Only sessions that can be held are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moving {
    /// Whose sessions.
    pub who: Selector,
    /// How many of them at most, on this worker.
    pub most: usize,
    /// Only those that have been where they are for so long.
    pub age_min: Duration,
    /// Which of them first.
    pub first: First,
    /// They are asked evenly over this time.
    pub window: Duration,
}

/// Which sessions are moved when not all are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// Those that have been longest where they are.
    Oldest,
    /// Any.
    Random,
}

impl Moving {
    /// Of these sessions, by slot, those to be asked, in their order.
    pub(super) fn choose<'a>(
        &self,
        sessions: impl Iterator<Item = (u32, &'a Facts)>,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Vec<u32> {
        let settled = |facts: &Facts| now.since(facts.settled) >= self.age_min;
        let meant = sessions.filter(|(_, facts)| facts.holds && settled(facts));
        let mut meant: Vec<_> = meant.map(|(slot, facts)| (facts.settled, slot)).collect();
        match self.first {
            First::Oldest => meant.sort_unstable(),
            First::Random => rng.shuffle(&mut meant),
        }
        meant.truncate(self.most);
        meant.into_iter().map(|(_, slot)| slot).collect()
    }

    /// The moments at which `count` sessions are asked, each at random in its own part of the
    /// window.
    pub(super) fn moments(
        &self,
        count: usize,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> impl Iterator<Item = Moment> {
        let part = self.window.as_secs_f64() / count.max(1) as f64;
        (0..count)
            .map(move |turn| now.after(Duration::from_secs_f64(part * (turn as f64 + rng.f64()))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::facts::Location;
    use super::*;

    fn facts(settled: u64, holds: bool) -> Facts {
        let settled = Moment::from_millis(settled * 1_000);
        let name = || "x".into();
        let (listener, route, pool, backend) = (name(), name(), name(), name());
        let location = Arc::new(Location { listener, route, pool, backend });
        Facts { location, client: None, opened: settled, settled, holds }
    }

    fn moving(most: usize, first: First) -> Moving {
        let seconds = Duration::from_secs;
        Moving { who: Selector::All, most, age_min: seconds(60), first, window: seconds(10) }
    }

    #[test]
    fn those_that_can_be_held_and_have_settled_are_moved_the_oldest_first() {
        let settled = [30, 10, 20, 41, 5];
        let all: Vec<Facts> = settled.iter().map(|at| facts(*at, *at != 5)).collect();
        let slots = || (0..).zip(&all);
        let now = Moment::from_millis(100_000);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut choose = |most, first| moving(most, first).choose(slots(), now, &mut rng);
        assert_eq!(choose(9, First::Oldest), [1, 2, 0]);
        assert_eq!(choose(2, First::Oldest), [1, 2]);
        let mut seen = [false; 5];
        for _ in 0..100 {
            choose(1, First::Random).iter().for_each(|slot| seen[*slot as usize] = true);
        }
        assert_eq!(seen, [true, true, true, false, false]);
    }

    #[test]
    fn they_are_asked_evenly_over_the_window() {
        let now = Moment::from_millis(1_000);
        let mut rng = fastrand::Rng::with_seed(1);
        let moving = moving(9, First::Oldest);
        let moments = moving.moments(100, now, &mut rng);
        let mut seconds = [0; 10];
        moments.for_each(|at| seconds[at.since(now).as_secs() as usize] += 1);
        assert_eq!(seconds, [10; 10]);
    }
}
