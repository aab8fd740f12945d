//! Orders to go whose cause is gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::drain::Drain;
use super::facts::Selector;
use super::local::{Local, Slot, WAKES_PER_TICK_MAX};
use super::note::Note;
use super::wheel::TICK;
use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::end::Reason;

/// What sessions were told to leave, and need not leave any more.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Why they were told.
    pub reason: Reason,
    /// What is there again, as the orders named it.
    pub parts: HashSet<Selector>,
}

/// Orders without the parts that are there again, by their numbers.
struct Revised<'a> {
    withdrawal: &'a Withdrawal,
    drains: HashMap<u64, Option<Arc<Drain>>>,
}

impl Revised<'_> {
    /// The order as it stands now; `None` where nothing about it changes.
    fn of(&mut self, drain: &Arc<Drain>) -> Option<Arc<Drain>> {
        if drain.reason != self.withdrawal.reason {
            return None;
        }
        let revise = || {
            let selector = drain.selector.without(&self.withdrawal.parts)?;
            Some(Arc::new(Drain { selector, ..(**drain).clone() }))
        };
        self.drains.entry(drain.number).or_insert_with(revise).clone()
    }
}

impl Local {
    /// Withdraws orders from sessions that they match no more; answers from how many. What else
    /// such a session was told stands.
    pub(super) fn withdraw(&mut self, withdrawal: &Withdrawal, now: Moment) -> usize {
        let mut revised = Revised { withdrawal, drains: HashMap::new() };
        self.sweeps.revise(|drain| revised.of(drain));
        let mut told = 0;
        for slot in 0..self.slots.len() {
            let Slot::Taken(session) = &mut self.slots[slot] else { continue };
            let Some(orders) = &mut session.leaving else { continue };
            let id = SessionId::new(self.worker, slot as u32, session.generation);
            let (followed, before) = (orders.drain(), orders.iter().count());
            orders.retain(|leaving| {
                let Some(drain) = revised.of(&leaving.drain) else { return true };
                leaving.drain = drain;
                leaving.drain.matches(id, &session.facts)
            });
            if orders.iter().count() == before {
                continue;
            }
            self.left.follow(followed, orders.drain());
            let notes: Vec<_> = orders.iter().map(|one| (one.note.clone(), one.at)).collect();
            session.leaving.take_if(|orders| orders.followed().is_none());
            let at = now.after(TICK * (told / WAKES_PER_TICK_MAX) as u32);
            self.put(slot as u32, Note::Withdrawn, at);
            notes.into_iter().for_each(|(note, at)| self.put(slot as u32, note, at));
            told += 1;
        }
        told
    }
}
