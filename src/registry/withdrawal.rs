//! Orders to go that stand no more, or that are put off.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::drain::Drain;
use super::facts::Selector;
use super::local::{Local, Slot, WAKES_PER_TICK_MAX};
use super::note::Note;
use super::overslept::later;
use super::wheel::TICK;
use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::end::Reason;

/// What sessions were told, and need not do any more.
#[derive(Clone, Debug)]
pub enum Withdrawal {
    /// To leave what is there again.
    Returned {
        /// Why they were told.
        reason: Reason,
        /// What is there again, as the orders named it.
        parts: HashSet<Selector>,
    },
    /// To go by the drain of this number.
    Drain(u64),
}

impl Withdrawal {
    /// What is left of an order; `None` where nothing about it changes.
    fn left_of(&self, drain: &Drain) -> Option<Selector> {
        match self {
            Withdrawal::Returned { reason, .. } if drain.reason != *reason => None,
            Withdrawal::Returned { parts, .. } => drain.selector.without(parts),
            Withdrawal::Drain(number) => {
                (drain.number == *number).then(|| Selector::AnyOf([].into()))
            }
        }
    }
}

/// Orders without what was withdrawn of them, by their numbers.
struct Revised<'a> {
    withdrawal: &'a Withdrawal,
    drains: HashMap<u64, Option<Arc<Drain>>>,
}

impl Revised<'_> {
    /// The order as it stands now; `None` where nothing about it changes.
    fn of(&mut self, drain: &Arc<Drain>) -> Option<Arc<Drain>> {
        let revise = || {
            let selector = self.withdrawal.left_of(drain)?;
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
            self.left.withdrawn(followed, orders.drain());
            let notes: Vec<_> = orders.iter().map(|one| (one.note.clone(), one.at)).collect();
            session.leaving.take_if(|orders| orders.followed().is_none());
            let at = now.after(TICK * (told / WAKES_PER_TICK_MAX) as u32);
            self.put(slot as u32, Note::Withdrawn, at);
            notes.into_iter().for_each(|(note, at)| self.put(slot as u32, note, at));
            told += 1;
        }
        told
    }

    /// Puts off what was due after `last`, when sessions were looked at before they slept, by the
    /// time until `now`; answers for how many sessions.
    pub(super) fn put_off(&mut self, last: Moment, now: Moment) -> usize {
        let slept = now.since(last);
        let mut told = 0;
        for slot in 0..self.slots.len() {
            let Slot::Taken(session) = &mut self.slots[slot] else { continue };
            let Some(orders) = &mut session.leaving else { continue };
            if orders.iter().all(|leaving| leaving.at <= last) {
                continue;
            }
            orders.retain(|leaving| {
                if leaving.at > last {
                    leaving.at = leaving.at.after(slept);
                    leaving.note = later(&leaving.note, slept);
                }
                true
            });
            let notes: Vec<_> = orders.iter().map(|one| (one.note.clone(), one.at)).collect();
            self.put(slot as u32, Note::Withdrawn, now);
            notes.into_iter().for_each(|(note, at)| self.put(slot as u32, note, at));
            told += 1;
        }
        told
    }
}
