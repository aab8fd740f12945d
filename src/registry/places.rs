//! Where sessions are: one record for all that are in the same place.

use std::collections::HashSet;
use std::sync::Arc;

use super::facts::Place;
use super::note::Names;

/// Places that may be kept although nobody is there any more.
const EMPTY_PLACES_MAX: usize = 64;

/// The places of a worker's sessions, and at most as many others, or [`EMPTY_PLACES_MAX`].
#[derive(Default)]
pub(super) struct Places {
    known: HashSet<Arc<Place>>,
    /// Those that somebody was in when it was last looked.
    used: usize,
}

impl Places {
    /// The record of this place that its sessions share.
    pub(super) fn shared(&mut self, place: Arc<Place>) -> Arc<Place> {
        if let Some(known) = self.known.get(&place) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.used + self.used.max(EMPTY_PLACES_MAX) {
            self.known.retain(|place| Arc::strong_count(place) > 1);
            self.used = self.known.len();
        }
        self.known.insert(Arc::clone(&place));
        place
    }

    /// The place under its listener's new name, where that has one.
    pub(super) fn renamed(&mut self, place: &Arc<Place>, names: &Names) -> Arc<Place> {
        let Some(listener) = names.get(&place.listener) else { return Arc::clone(place) };
        self.shared(Arc::new(Place { listener: Arc::clone(listener), ..(**place).clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(backend: usize) -> Arc<Place> {
        let backend = backend.to_string().into();
        let [listener, route, pool] = ["https", "/chat", "chat"].map(Arc::from);
        Arc::new(Place { listener, route, pool, backend })
    }

    #[test]
    fn a_place_is_kept_once_and_not_for_ever() {
        let mut places = Places::default();
        let mine = places.shared(place(0));
        assert!(Arc::ptr_eq(&mine, &places.shared(place(0))));
        for backend in 1..10 * EMPTY_PLACES_MAX {
            drop(places.shared(place(backend)));
        }
        assert!(places.known.len() <= 1 + EMPTY_PLACES_MAX, "{}", places.known.len());
        assert!(Arc::ptr_eq(&mine, &places.shared(place(0))));
    }
}
