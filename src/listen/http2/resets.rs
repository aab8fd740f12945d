//! Rapid reset: streams opened only to be reset cost their server more than their client
//! (CVE-2023-44487), and no limit of open streams holds them back.

use std::cell::Cell;
use std::time::Duration;

use crate::base::clock::Moment;

/// The time in which a client's resets are counted.
pub const RESETS_WINDOW: Duration = Duration::from_secs(30);

/// A connection's streams that were reset before they were answered.
pub(super) struct Resets {
    max: u32,
    count: Cell<u32>,
    since: Cell<Moment>,
}

impl Resets {
    pub(super) fn new(max: u32) -> Resets {
        Resets { max, count: Cell::new(0), since: Cell::default() }
    }

    /// Counts one.
    pub(super) fn add(&self, now: Moment) {
        if now.since(self.since.get()) > RESETS_WINDOW {
            self.since.set(now);
            self.count.set(0);
        }
        self.count.set(self.count.get() + 1);
    }

    /// Whether there are more than any honest client makes.
    pub(super) fn are_too_many(&self) -> bool {
        self.count.get() > self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_too_many_only_within_the_window() {
        let resets = Resets::new(2);
        let start = Moment::from_millis(1_000_000);
        resets.add(start);
        resets.add(start);
        assert!(!resets.are_too_many());
        resets.add(start.after(RESETS_WINDOW * 2));
        assert!(!resets.are_too_many());
        resets.add(start.after(RESETS_WINDOW * 2));
        resets.add(start.after(RESETS_WINDOW * 2));
        assert!(resets.are_too_many());
    }
}
