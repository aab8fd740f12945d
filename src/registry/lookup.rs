//! Sessions of a worker, looked for: by what they are, with the help of labels where it can be.

use crate::base::id::SessionId;

use super::facts::{Facts, Seen, Selector};
use super::local::{Local, SessionEntry, Slot};

impl Local {
    pub(super) fn facts(&self, id: SessionId) -> Option<Facts> {
        match self.slots.get(id.slot() as usize) {
            Some(Slot::Taken(session)) if session.generation == id.generation() => {
                Some(session.facts.clone())
            }
            _ => None,
        }
    }

    pub(super) fn count(&self, selector: &Selector) -> usize {
        self.matching(selector).count()
    }

    pub(super) fn list(&self, selector: &Selector, most: usize) -> Vec<Seen> {
        let seen = self.matching(selector).take(most).map(|(id, facts)| Seen {
            id,
            facts: facts.clone(),
            target: self.entry(id.slot()).and_then(|entry| self.targets.text(entry.target)),
            leaving: self.entry(id.slot()).and_then(|entry| {
                let orders = entry.leaving.as_ref();
                orders.and_then(|orders| Some(orders.followed()?.drain.reason))
            }),
        });
        seen.collect()
    }

    /// The sessions that a selector matches.
    pub(super) fn matching(
        &self,
        selector: &Selector,
    ) -> impl Iterator<Item = (SessionId, &Facts)> {
        self.candidates(selector).filter(|(id, facts)| selector.matches(*id, facts))
    }

    /// Those that it can match: where it asks for labels or ids, only sessions that have them.
    pub(super) fn candidates(
        &self,
        selector: &Selector,
    ) -> impl Iterator<Item = (SessionId, &Facts)> {
        let narrowed = self.narrowed(selector);
        let all = narrowed.is_none().then(|| self.sessions());
        let narrowed = narrowed.into_iter().flatten().filter_map(|slot| self.in_slot(slot));
        all.into_iter().flatten().chain(narrowed)
    }

    /// The slots to look into, where they are not all.
    fn narrowed(&self, selector: &Selector) -> Option<Vec<u32>> {
        let here = |ids: &[SessionId]| {
            let here = ids.iter().filter(|id| id.worker() == self.worker);
            here.map(|id| id.slot()).collect()
        };
        let ids = selector.parts().iter().find_map(|part| match part {
            Selector::Session(id) => Some(here(&[*id])),
            Selector::Sessions(ids) => Some(here(ids)),
            _ => None,
        });
        ids.or_else(|| self.labels.rarest(selector.labels()))
    }

    fn entry(&self, slot: u32) -> Option<&SessionEntry> {
        match self.slots.get(slot as usize)? {
            Slot::Taken(entry) => Some(entry),
            Slot::Vacant(_) => None,
        }
    }

    fn in_slot(&self, slot: u32) -> Option<(SessionId, &Facts)> {
        let entry = self.entry(slot)?;
        Some((SessionId::new(self.worker, slot, entry.generation), &entry.facts))
    }

    /// Keeps what a session was asked for with.
    pub(super) fn keep_target(&mut self, id: SessionId, target: &str) {
        let Some(Slot::Taken(entry)) = self.slots.get_mut(id.slot() as usize) else { return };
        self.targets.release(entry.target);
        entry.target = self.targets.keep(target);
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = (SessionId, &Facts)> {
        (0..self.slots.len() as u32).filter_map(|slot| self.in_slot(slot))
    }
}
