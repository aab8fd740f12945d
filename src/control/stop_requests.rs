//! How often the process was asked to stop, and by whom.

use std::time::Duration;

use crate::base::clock::Moment;

/// What the newest process says of its own stop to an older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NewestStop {
    /// When its drain begins: until then it accepts, and a client that is closed would come back
    /// only to be closed again.
    pub(super) begins: Moment,
    /// How long the drain may take; as configured here where it is not said.
    pub(super) patience: Option<Duration>,
}

/// Requests to stop so far. A service manager may signal each process of a service, so that an
/// older one hears of one stop twice: by its signal, and by the newest process.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct StopRequests {
    /// Signals, and commands of this process.
    here: u32,
    /// Words of the newest process.
    by_newest: u32,
    newest: Option<NewestStop>,
}

impl StopRequests {
    /// One more, of this process's own.
    pub(super) fn add(&mut self) {
        self.here = self.here.saturating_add(1);
    }

    /// One more, of the newest process; what it said first stands.
    pub(super) fn add_newest(&mut self, newest: NewestStop) {
        self.by_newest = self.by_newest.saturating_add(1);
        self.newest.get_or_insert(newest);
    }

    /// Whether to stop.
    pub(super) fn is_stop(&self) -> bool {
        self.here.max(self.by_newest) > 0
    }

    /// Whether to stop at once: it was asked for a second time.
    pub(super) fn is_urgent(&self) -> bool {
        self.here.max(self.by_newest) > 1
    }

    /// What the newest process said of its own stop.
    pub(super) fn newest(&self) -> Option<NewestStop> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stop_that_is_heard_from_two_sides_is_one() {
        let at = |second: u64| Moment::from_millis(second * 1_000);
        let newest = |second| NewestStop { begins: at(second), patience: None };
        let mut asked = StopRequests::default();
        assert!(!asked.is_stop());
        asked.add();
        asked.add_newest(newest(5));
        assert!(asked.is_stop() && !asked.is_urgent());
        let mut signals = asked;
        signals.add();
        assert!(signals.is_urgent());
        asked.add_newest(newest(9));
        assert!(asked.is_urgent());
        assert_eq!(asked.newest(), Some(newest(5)));
    }
}
