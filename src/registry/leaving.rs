//! Sessions that were told to go and have not gone yet, by drain.

use crate::base::clock::Moment;
use crate::end::Reason;

/// Drains whose counts are kept; of those with nobody left the oldest is forgotten first.
const DRAINS_KEPT_MAX: usize = 256;

/// What a session remembers of the order to go that it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaving {
    /// The drain's number.
    pub(super) drain: u64,
    /// Why.
    pub(super) reason: Reason,
    /// When it is due.
    pub(super) at: Moment,
    /// Whether it has gone once it is on another backend.
    pub(super) moves: bool,
}

impl Leaving {
    /// Whether this order is followed rather than the `old` one: an end goes before a move, and of
    /// two that are alike the earlier one.
    pub(super) fn goes_before(&self, old: &Leaving) -> bool {
        if self.moves == old.moves { self.at < old.at } else { old.moves }
    }
}

/// What became of the sessions that a drain told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DrainCount {
    /// Those that have not gone.
    pub left: usize,
    /// Those that are on another backend.
    pub moved: usize,
    /// Those that were only to move, and could not.
    pub stayed: usize,
}

impl DrainCount {
    /// Both together.
    pub fn plus(self, other: DrainCount) -> DrainCount {
        DrainCount {
            left: self.left + other.left,
            moved: self.moved + other.moved,
            stayed: self.stayed + other.stayed,
        }
    }
}

/// How the drains stand here. Drains under way are few.
#[derive(Default)]
pub(super) struct Left(Vec<(u64, DrainCount)>);

impl Left {
    /// One more is told.
    pub(super) fn add(&mut self, drain: u64) {
        match self.find(drain) {
            Some(tally) => tally.left += 1,
            None => {
                if self.0.len() >= DRAINS_KEPT_MAX
                    && let Some(over) = self.0.iter().position(|(_, tally)| tally.left == 0)
                {
                    self.0.remove(over);
                }
                self.0.push((drain, DrainCount { left: 1, ..DrainCount::default() }));
            }
        }
    }

    /// One has ended, or follows another order.
    pub(super) fn take(&mut self, drain: u64) {
        let Some(tally) = self.find(drain) else { return };
        tally.left = tally.left.saturating_sub(1);
        if *tally == DrainCount::default() {
            self.forget(drain);
        }
    }

    /// One is on another backend.
    pub(super) fn moved(&mut self, drain: u64) {
        if let Some(tally) = self.find(drain) {
            (tally.left, tally.moved) = (tally.left.saturating_sub(1), tally.moved + 1);
        }
    }

    /// One could not move.
    pub(super) fn stayed(&mut self, drain: u64) {
        if let Some(tally) = self.find(drain) {
            (tally.left, tally.stayed) = (tally.left.saturating_sub(1), tally.stayed + 1);
        }
    }

    pub(super) fn of(&self, drain: u64) -> DrainCount {
        let found = self.0.iter().find(|(number, _)| *number == drain);
        found.map_or(DrainCount::default(), |(_, tally)| *tally)
    }

    /// Nobody asks for this drain any more.
    pub(super) fn forget(&mut self, drain: u64) {
        self.0.retain(|(number, tally)| *number != drain || tally.left > 0);
    }

    fn find(&mut self, drain: u64) -> Option<&mut DrainCount> {
        self.0.iter_mut().find(|(number, _)| *number == drain).map(|(_, tally)| tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drain_counts_its_own() {
        let mut left = Left::default();
        [1, 2, 1, 1, 1, 1].into_iter().for_each(|drain| left.add(drain));
        left.take(2);
        left.take(1);
        left.take(7);
        left.moved(1);
        left.stayed(1);
        assert_eq!(left.of(1), DrainCount { left: 2, moved: 1, stayed: 1 });
        assert_eq!((left.of(2), left.of(7)), (DrainCount::default(), DrainCount::default()));
        assert_eq!(left.0.len(), 1);
        left.forget(1);
        assert_eq!(left.of(1).left, 2, "it is not over");
        left.take(1);
        left.moved(1);
        left.forget(1);
        assert_eq!(left.0.len(), 0);
    }

    #[test]
    fn drains_that_nobody_forgets_do_not_pile_up() {
        let mut left = Left::default();
        left.add(0);
        for drain in 1..2 * DRAINS_KEPT_MAX as u64 {
            left.add(drain);
            left.moved(drain);
        }
        assert_eq!((left.0.len(), left.of(0).left), (DRAINS_KEPT_MAX, 1));
    }

    #[test]
    fn an_end_goes_before_a_move() {
        let leaving = |at, moves| {
            let at = Moment::from_millis(at);
            Leaving { drain: 1, reason: Reason::Command, at, moves }
        };
        assert!(leaving(1, true).goes_before(&leaving(2, true)));
        assert!(!leaving(2, false).goes_before(&leaving(1, false)));
        assert!(leaving(2, false).goes_before(&leaving(1, true)));
        assert!(!leaving(1, true).goes_before(&leaving(2, false)));
    }
}
