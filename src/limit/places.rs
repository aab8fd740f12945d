//! Places of sessions: so many at once for each value of a key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key_hash::{KeyHash, KeyHasher};
use crate::base::id::SessionId;

/// The places that sessions have, by key. A key is kept for as long as it has a place, so there are
/// no more keys than sessions.
#[derive(Debug)]
pub struct SessionPlaces {
    hasher: KeyHasher,
    keys: Mutex<HashMap<KeyHash, Vec<PlaceHolder>>>,
}

/// Who has a place of a key. The first of its list came first.
#[derive(Debug)]
struct PlaceHolder {
    number: u64,
    /// The session, once it is one.
    session: Option<SessionId>,
    /// Who gets the place, where it goes for another.
    heir: Option<u64>,
}

/// A place; its drop gives it back.
#[derive(Debug)]
pub struct SessionPlace {
    places: Arc<SessionPlaces>,
    key: KeyHash,
    number: u64,
}

impl SessionPlaces {
    /// None is taken.
    pub fn new() -> Arc<SessionPlaces> {
        Arc::new(SessionPlaces { hasher: KeyHasher::new(), keys: Mutex::default() })
    }

    /// Takes one of `max` places for a value of the limit by this name. Where all are taken there
    /// is none; or, if the oldest session is to go, the one that it will leave.
    pub fn take(
        self: &Arc<SessionPlaces>,
        limit: &str,
        value: &[u8],
        max: usize,
        oldest_goes: bool,
    ) -> Option<SessionPlace> {
        let key = self.hasher.hash((limit, value));
        let mut keys = self.lock();
        let holders = keys.entry(key).or_default();
        let number = holders.last().map_or(0, |last| last.number + 1);
        let staying = holders.iter().filter(|one| one.heir.is_none()).count();
        if staying >= max {
            // Whoever shakes hands still cannot be told to go.
            let can_go = |one: &&mut PlaceHolder| one.heir.is_none() && one.session.is_some();
            let oldest = holders.iter_mut().filter(|_| oldest_goes).find(can_go)?;
            oldest.heir = Some(number);
        }
        holders.push(PlaceHolder { number, session: None, heir: None });
        Some(SessionPlace { places: Arc::clone(self), key, number })
    }

    /// What is behind the lock is whole even after a panic: every change is of one list.
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Vec<PlaceHolder>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionPlace {
    /// The session that has the place has begun; the one that is to end for it.
    pub fn seated(&self, session: SessionId) -> Option<SessionId> {
        let mut keys = self.places.lock();
        let holders = keys.get_mut(&self.key)?;
        holders.iter_mut().find(|one| one.number == self.number)?.session = Some(session);
        holders.iter().find(|one| one.heir == Some(self.number))?.session
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        let mut keys = self.places.lock();
        let Entry::Occupied(mut holders) = keys.entry(self.key) else { return };
        let Some(at) = holders.get().iter().position(|one| one.number == self.number) else {
            return;
        };
        let gone = holders.get_mut().remove(at);
        if gone.session.is_none() {
            // It came to nothing: who was to go for it stays.
            let giver = holders.get_mut().iter_mut().find(|one| one.heir == Some(self.number));
            giver.into_iter().for_each(|giver| giver.heir = None);
        }
        if holders.get().is_empty() {
            holders.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u32) -> SessionId {
        SessionId::new(0, number, 1)
    }

    #[test]
    fn a_key_has_so_many_places_and_gives_them_back() {
        let places = SessionPlaces::new();
        let take = |value: &str| places.take("a", value.as_bytes(), 2, false);
        let held = [take("x").unwrap(), take("x").unwrap()];
        assert!(take("x").is_none());
        assert!(take("y").is_some() && places.take("b", b"x", 2, false).is_some());
        drop(held);
        assert_eq!(places.lock().len(), 0);
        assert!(take("x").is_some());
    }

    #[test]
    fn the_oldest_session_goes_once_the_newcomer_has_begun() {
        let places = SessionPlaces::new();
        let take = || places.take("a", b"x", 2, true);
        let held: Vec<SessionPlace> = (0..2).map(|_| take().unwrap()).collect();
        assert!(take().is_none(), "those that shake hands cannot go");
        for (number, place) in held.iter().enumerate() {
            assert_eq!(place.seated(session(number as u32)), None);
        }
        drop(take().unwrap());
        let third = take().unwrap();
        let fourth = take().unwrap();
        assert!(take().is_none(), "two go already");
        assert_eq!(fourth.seated(session(3)), Some(session(1)));
        assert_eq!(third.seated(session(2)), Some(session(0)));
        let fifth = take().unwrap();
        assert_eq!(fifth.seated(session(4)), Some(session(2)));
        drop((held, third, fourth, fifth));
        assert_eq!(places.lock().len(), 0);
    }

    #[test]
    fn a_place_given_back_is_no_ones_who_came_later() {
        let places = SessionPlaces::new();
        drop(places.take("a", b"x", 1, false));
        let second = places.take("a", b"x", 1, false).unwrap();
        assert_eq!(second.seated(session(7)), None);
        let third = places.take("a", b"x", 1, true).unwrap();
        assert_eq!(third.seated(session(8)), Some(session(7)));
    }
}
