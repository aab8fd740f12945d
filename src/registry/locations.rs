//! Where sessions are: one record for all that are in the same place.

use std::collections::HashMap;
use std::sync::Arc;

use super::facts::{Facts, Location};
use super::note::Names;

/// Locations that may be kept although nobody is there any more.
const EMPTY_LOCATIONS_MAX: usize = 64;

/// The locations of a worker's sessions, and at most as many others, or [`EMPTY_LOCATIONS_MAX`].
#[derive(Default)]
pub(super) struct Locations {
    known: foldhash::HashSet<Arc<Location>>,
    /// Those that somebody was in when it was last looked.
    used: usize,
}

impl Locations {
    /// The record of this place that its sessions share.
    pub(super) fn shared(&mut self, location: Arc<Location>) -> Arc<Location> {
        if let Some(known) = self.known.get(&location) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.used + self.used.max(EMPTY_LOCATIONS_MAX) {
            self.known.retain(|location| Arc::strong_count(location) > 1);
            self.used = self.known.len();
        }
        self.known.insert(Arc::clone(&location));
        location
    }

    /// The place under its listener's new name, where that has one.
    pub(super) fn renamed(&mut self, location: &Arc<Location>, names: &Names) -> Arc<Location> {
        let Some(listener) = names.get(&location.socket) else { return Arc::clone(location) };
        self.shared(Arc::new(Location { listener: Arc::clone(listener), ..(**location).clone() }))
    }
}

/// Sessions in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LocationCount {
    /// How many.
    pub sessions: usize,
    /// Those among them that can be held while their upstream is away, and so moved to another.
    pub holding: usize,
}

impl LocationCount {
    /// Counts more in the same place.
    pub(super) fn add(&mut self, more: LocationCount) {
        self.sessions += more.sessions;
        self.holding += more.holding;
    }
}

/// How many of these sessions are in each place.
pub(super) fn by_location<'a>(
    sessions: impl Iterator<Item = &'a Facts>,
) -> HashMap<Arc<Location>, LocationCount> {
    let mut counts: HashMap<_, LocationCount> = HashMap::new();
    for facts in sessions {
        let one = LocationCount { sessions: 1, holding: usize::from(facts.holds) };
        match counts.get_mut(&facts.location) {
            Some(count) => count.add(one),
            None => drop(counts.insert(Arc::clone(&facts.location), one)),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn location(backend: usize) -> Arc<Location> {
        facts("/chat", &backend.to_string(), 0).location
    }

    #[test]
    fn a_place_is_kept_once_and_not_for_ever() {
        let mut locations = Locations::default();
        let mine = locations.shared(location(0));
        assert!(Arc::ptr_eq(&mine, &locations.shared(location(0))));
        for backend in 1..10 * EMPTY_LOCATIONS_MAX {
            drop(locations.shared(location(backend)));
        }
        assert!(locations.known.len() <= 1 + EMPTY_LOCATIONS_MAX, "{}", locations.known.len());
        assert!(Arc::ptr_eq(&mine, &locations.shared(location(0))));
    }
}
