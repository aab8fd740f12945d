//! How sessions are moved together: which, how many, and at which pace.

use std::time::Duration;

use crate::base::clock::Moment;

use super::facts::{Facts, Who};

/// An order to leave backends for others. Only sessions that can be held are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moving {
    /// Whose sessions.
    pub who: Who,
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
