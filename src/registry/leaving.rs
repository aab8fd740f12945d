//! Sessions that were told to go and have not gone yet, by drain.

use std::sync::Arc;

use super::drain::Drain;
use super::note::Note;
use crate::base::clock::Moment;

/// Drains whose counts are kept; of those with nobody left the oldest is forgotten first.
const DRAINS_KEPT_MAX: usize = 256;

/// Orders to go that a session remembers; of more, those that it would follow last are forgotten.
const ORDERS_MAX: usize = 8;

/// An order to go, as a session was given it.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    /// The order.
    pub(super) drain: Arc<Drain>,
    /// What the session was told.
    pub(super) note: Note,
    /// When it is due.
    pub(super) at: Moment,
}

impl Leaving {
    /// Whether it has gone once it is on another backend.
    pub(super) fn moves(&self) -> bool {
        matches!(self.note, Note::Move(_))
    }

    /// Whether this order is followed rather than the `old` one: an end goes before a move, and of
    /// two that are alike the earlier one.
    fn goes_before(&self, old: &Leaving) -> bool {
        if self.moves() == old.moves() { self.at < old.at } else { old.moves() }
    }
}

/// The orders to go that a session was given and has not obeyed; it follows the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders(Vec<Leaving>);

impl Orders {
    /// The one it follows.
    pub(super) fn followed(&self) -> Option<&Leaving> {
        self.0.first()
    }

    /// The number of the drain that it follows.
    pub(super) fn drain(&self) -> Option<u64> {
        self.followed().map(|leaving| leaving.drain.number)
    }

    /// Whether it was given the order of this drain.
    pub(super) fn has(&self, drain: u64) -> bool {
        self.0.iter().any(|leaving| leaving.drain.number == drain)
    }

    /// One more.
    pub(super) fn add(&mut self, leaving: Leaving) {
        let after = self.0.iter().take_while(|old| !leaving.goes_before(old)).count();
        self.0.insert(after, leaving);
        self.0.truncate(ORDERS_MAX);
    }

    /// Keeps those of which this is true.
    pub(super) fn retain(&mut self, keep: impl FnMut(&mut Leaving) -> bool) {
        self.0.retain_mut(keep);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Leaving> {
        self.0.iter()
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
    /// Those that need not go any more: the order was withdrawn from them.
    pub withdrawn: usize,
}

impl DrainCount {
    /// Both together.
    pub fn plus(self, other: DrainCount) -> DrainCount {
        DrainCount {
            left: self.left + other.left,
            moved: self.moved + other.moved,
            stayed: self.stayed + other.stayed,
            withdrawn: self.withdrawn + other.withdrawn,
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

    /// One follows this drain in place of the one before.
    pub(super) fn follow(&mut self, before: Option<u64>, drain: Option<u64>) {
        if before != drain {
            drain.into_iter().for_each(|drain| self.add(drain));
            before.into_iter().for_each(|before| self.take(before));
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

    /// One need not follow the drain before any more, and follows this one, if any.
    pub(super) fn withdrawn(&mut self, before: Option<u64>, drain: Option<u64>) {
        if before != drain {
            drain.into_iter().for_each(|drain| self.add(drain));
            if let Some(tally) = before.and_then(|before| self.find(before)) {
                tally.left = tally.left.saturating_sub(1);
                tally.withdrawn += 1;
            }
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
    use super::super::note::{EndOrder, MoveOrder};
    use super::super::tests::at_once;
    use super::*;
    use crate::end::Reason;
    use crate::registry::Selector;

    #[test]
    fn each_drain_counts_its_own() {
        let mut left = Left::default();
        [1, 2, 1, 1, 1, 1].into_iter().for_each(|drain| left.add(drain));
        left.take(2);
        left.take(1);
        left.take(7);
        left.moved(1);
        left.stayed(1);
        assert_eq!(left.of(1), DrainCount { left: 2, moved: 1, stayed: 1, withdrawn: 0 });
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
            let drain = Arc::new(at_once(Selector::All, Reason::Command));
            let end = EndOrder { reason: Reason::Command, at, deadline: at, code: None };
            let order = MoveOrder { at, otherwise: None };
            let note = if moves { Note::Move(order) } else { Note::End(end) };
            Leaving { drain, note, at }
        };
        assert!(leaving(1, true).goes_before(&leaving(2, true)));
        assert!(!leaving(2, false).goes_before(&leaving(1, false)));
        assert!(leaving(2, false).goes_before(&leaving(1, true)));
        assert!(!leaving(1, true).goes_before(&leaving(2, false)));
        let mut orders = Orders::default();
        [(3, true), (5, false), (2, true), (4, false), (5, false)]
            .into_iter()
            .for_each(|(at, moves)| orders.add(leaving(at, moves)));
        let order: Vec<u64> = orders.iter().map(|leaving| leaving.at.as_millis()).collect();
        assert_eq!(order, [4, 5, 5, 2, 3]);
        (0..20).for_each(|at| orders.add(leaving(at, false)));
        assert_eq!(orders.iter().count(), ORDERS_MAX);
    }
}
