//! Sessions that were told to go and have not gone yet, by drain.

use crate::base::clock::Moment;
use crate::end::Why;

/// What a session remembers of the order to go that it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaving {
    /// The drain's number.
    pub(super) drain: u64,
    /// Why.
    pub(super) why: Why,
    /// When its Close is due.
    pub(super) at: Moment,
}

/// How many sessions each drain still has here. Drains under way are few.
#[derive(Default)]
pub(super) struct Left(Vec<(u64, usize)>);

impl Left {
    pub(super) fn add(&mut self, drain: u64) {
        match self.0.iter_mut().find(|(number, _)| *number == drain) {
            Some((_, left)) => *left += 1,
            None => self.0.push((drain, 1)),
        }
    }

    pub(super) fn take(&mut self, drain: u64) {
        let Some(at) = self.0.iter().position(|(number, _)| *number == drain) else { return };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.swap_remove(at);
        }
    }

    pub(super) fn of(&self, drain: u64) -> usize {
        self.0.iter().find(|(number, _)| *number == drain).map_or(0, |(_, left)| *left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drain_counts_its_own() {
        let mut left = Left::default();
        [1, 2, 1, 1].into_iter().for_each(|drain| left.add(drain));
        left.take(2);
        left.take(1);
        left.take(7);
        assert_eq!((left.of(1), left.of(2), left.of(7)), (2, 0, 0));
        assert_eq!(left.0.len(), 1);
    }
}
