//! Sessions of a worker, looked for: by what they are, with the help of labels where it can be.

use std::collections::HashSet;
use std::rc::Rc;
use std::task::Waker;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

use super::facts::{Facts, Seen, Selector};
use super::local::{Local, SessionEntry, Slot};
use super::note::Note;
use super::push_order::{PushCount, PushOrder, PushStep};

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

    /// The oldest of them, the oldest first.
    pub(super) fn list(&self, selector: &Selector, most: usize) -> Vec<Seen> {
        let matching = self.matching(selector).map(|(id, facts)| (facts.opened, id));
        let mut oldest: Vec<(Moment, SessionId)> = matching.collect();
        if most < oldest.len() {
            oldest.select_nth_unstable(most);
            oldest.truncate(most);
        }
        oldest.sort_unstable();
        oldest.into_iter().filter_map(|(_, id)| self.seen(id)).collect()
    }

    /// Those of which this is so.
    pub(super) fn filter(&self, is_so: impl Fn(&Facts) -> bool) -> Vec<SessionId> {
        let matching = self.sessions().filter(|(_, facts)| is_so(facts));
        matching.map(|(id, _)| id).collect()
    }

    /// A session as it is seen from outside, when it lives.
    pub(super) fn seen(&self, id: SessionId) -> Option<Seen> {
        let entry = self.entry(id.slot()).filter(|entry| entry.generation == id.generation())?;
        let orders = entry.leaving.as_ref();
        Some(Seen {
            id,
            facts: entry.facts.clone(),
            target: self.targets.text(entry.target),
            leaving: orders.and_then(|orders| Some(orders.followed()?.drain.reason)),
        })
    }

    /// A session's waker, to be called; taken, since the session stores it anew when it is polled.
    pub(super) fn take_waker(&mut self, id: SessionId) -> Option<Waker> {
        match self.slots.get_mut(id.slot() as usize)? {
            Slot::Taken(session) if session.generation == id.generation() => session.waker.take(),
            _ => None,
        }
    }

    /// Puts a message into the mailboxes of the sessions that it is for; gives who is to be woken,
    /// at once and not by the wheel: a message is not to wait for a tick.
    pub(super) fn push(&mut self, order: &PushOrder, now: Moment) -> (PushCount, Vec<Waker>) {
        let (mut count, mut wakers) = (PushCount::default(), Vec::new());
        // Looked up once: an exception asked of each session would be asked a hundred times.
        let except = order.except.iter().flat_map(|except| self.matching(except));
        let except: HashSet<u32> = except.map(|(id, _)| id.slot()).collect();
        let matched = self.matching(&order.selector);
        let matched: Vec<u32> =
            matched.map(|(id, _)| id.slot()).filter(|slot| !except.contains(slot)).collect();
        for slot in matched {
            let Some(Slot::Taken(session)) = self.slots.get_mut(slot as usize) else { continue };
            let Some(terms) = order.terms(&session.facts) else { continue };
            count.matched += 1;
            if order.dry_run {
                continue;
            }
            let mail = session.mail.get_or_insert_default();
            let load = Rc::clone(mail.load());
            match order.step(terms, session.facts.pushable, &load, now) {
                PushStep::Queue(delivery) => {
                    count.queued += 1;
                    mail.put(Note::Push(delivery));
                }
                PushStep::Full { ends } => {
                    count.full += 1;
                    if !ends {
                        continue;
                    }
                    mail.put(Note::NoRoom);
                }
                PushStep::Refuse => {
                    count.refused += 1;
                    // It may never get one: no mailbox stays behind.
                    session.mail = session.mail.take().filter(|mail| !mail.is_empty());
                    continue;
                }
            }
            wakers.extend(session.waker.take());
        }
        (count, wakers)
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
            let mut slots: Vec<u32> = here.map(|id| id.slot()).collect();
            // One may be named twice, or beside another that had its slot before.
            slots.sort_unstable();
            slots.dedup();
            slots
        };
        let ids = selector.parts().iter().find_map(|part| match part {
            Selector::Session(id) => Some(here(&[*id])),
            Selector::Sessions(ids) => Some(here(ids)),
            _ => None,
        });
        let labelled = || self.labels.rarest(selector.labels());
        ids.or_else(labelled).or_else(|| self.united(selector))
    }

    /// The same where any of several is asked for, each of which can be looked up.
    fn united(&self, selector: &Selector) -> Option<Vec<u32>> {
        let several = selector.parts().iter().find_map(|part| match part {
            Selector::AnyOf(several) => Some(several),
            _ => None,
        })?;
        let mut is_one = vec![false; self.slots.len()];
        for one in &**several {
            for slot in self.narrowed(one)? {
                if let Some(is_one) = is_one.get_mut(slot as usize) {
                    *is_one = true;
                }
            }
        }
        let slots = is_one.into_iter().enumerate().filter(|(_, is_one)| *is_one);
        Some(slots.map(|(slot, _)| slot as u32).collect())
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
