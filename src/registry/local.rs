//! A worker's slab of sessions: facts, waker, mailbox and deadline of each.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::base::clock::Moment;
use crate::base::id::SessionId;

use super::drain::{Drain, Share, moments};
use super::facts::{Facts, Location, NOBODY};
use super::label_index::LabelIndex;
use super::leaving::{DrainCount, Leaving, Left, Orders};
use super::locations::Locations;
use super::note::{Mail, Names, Note, RuleChanges};
use super::sweeps::{Sweep, SweepNote, Sweeps};
use super::targets::{TargetIndex, Targets};
use super::token_index::TokenIndex;
use super::wheel::{KEYS_KEPT, TICK, Wheel};
use crate::wire::label::SessionLabels;
use crate::wire::resume::Token;

/// Sessions one worker can hold: what a session id has room for.
pub const SESSIONS_MAX: usize = 1 << 24;

/// Sessions one sweep wakes per tick, so that a note to very many delays no message of the others.
pub(super) const WAKES_PER_TICK_MAX: usize = 1024;

const NONE: u32 = u32::MAX;

/// The worker holds as many sessions as an id can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this worker holds all the sessions it can: {SESSIONS_MAX}")
    }
}

impl std::error::Error for Full {}

pub(super) enum Slot {
    /// The next vacant slot.
    Vacant(u32),
    Taken(SessionEntry),
}

pub(super) struct SessionEntry {
    pub(super) generation: u32,
    /// What it was asked for with.
    pub(super) target: TargetIndex,
    pub(super) facts: Facts,
    pub(super) waker: Option<Waker>,
    /// Boxed: notes are rare, sessions are many.
    pub(super) mail: Option<Box<Mail>>,
    /// Boxed: few are leaving.
    pub(super) leaving: Option<Box<Orders>>,
    /// When it wants to be woken; may have moved later than what the wheel holds.
    deadline: Moment,
}

/// Everything of one worker.
pub(super) struct Local {
    pub(super) worker: u8,
    pub(super) slots: Vec<Slot>,
    vacant: u32,
    live: usize,
    pub(super) left: Left,
    /// Counts every entry, so that no id ever names another session, even after the slab shrank.
    entered: u32,
    wheel: Wheel,
    locations: Locations,
    pub(super) labels: LabelIndex,
    pub(super) tokens: TokenIndex,
    pub(super) targets: Targets,
    pub(super) sweeps: Sweeps,
    rng: fastrand::Rng,
    /// Whether the task that turns the wheel lives.
    pub(super) turning: bool,
}

impl Local {
    pub(super) fn new(worker: u8) -> Local {
        Local {
            worker,
            slots: Vec::new(),
            vacant: NONE,
            live: 0,
            left: Left::default(),
            entered: 0,
            wheel: Wheel::default(),
            locations: Locations::default(),
            labels: LabelIndex::default(),
            tokens: TokenIndex::default(),
            targets: Targets::default(),
            sweeps: Sweeps::default(),
            rng: fastrand::Rng::new(),
            turning: false,
        }
    }

    pub(super) fn enter(&mut self, facts: Facts) -> Result<SessionId, Full> {
        let (generation, opened) = (self.entered, facts.opened);
        if self.vacant == NONE && self.slots.len() >= SESSIONS_MAX {
            return Err(Full);
        }
        let facts = Facts { location: self.locations.shared(facts.location), ..facts };
        let (deadline, labels) = (Moment::NEVER, facts.labels.clone());
        let (waker, mail, leaving, target) = (None, None, None, TargetIndex::NONE);
        let session = SessionEntry { generation, target, facts, waker, mail, leaving, deadline };
        let slot = self.vacant;
        let slot = if let Some(Slot::Vacant(next)) = self.slots.get(slot as usize) {
            self.vacant = *next;
            self.slots[slot as usize] = Slot::Taken(session);
            slot
        } else {
            self.slots.push(Slot::Taken(session));
            (self.slots.len() - 1) as u32
        };
        self.labels.insert(slot, &labels);
        self.live += 1;
        self.entered = self.entered.wrapping_add(1);
        let id = SessionId::new(self.worker, slot, generation);
        if !self.sweeps.is_empty() {
            self.catch_up(id, opened, None);
        }
        Ok(id)
    }

    /// Tells a newcomer what it missed since `since`, while it shook hands; one that was here
    /// `before` was told what it matched by then.
    fn catch_up(&mut self, id: SessionId, since: Moment, before: Option<&Facts>) {
        let Some(session) = session(&mut self.slots, id) else { return };
        let mut facts = session.facts.clone();
        if before.is_none()
            && let Some(rules) = self.sweeps.rules_since(&facts.route, since)
        {
            self.put(id.slot(), Note::Rules(rules), Moment::default());
        }
        let did_match = |drain: &Drain| before.is_some_and(|facts| drain.matches(id, facts));
        let sweeps = std::mem::take(&mut self.sweeps);
        for Sweep { given, what } in sweeps.since(since) {
            match what {
                SweepNote::Drain(drain) if drain.matches(id, &facts) && !did_match(drain) => {
                    let at = given.after(drain.schedule.at(self.rng.f64()));
                    let note = drain.note(id, &facts, at, *given);
                    self.send_away(id.slot(), drain, note, at);
                }
                SweepNote::Drain(_) => {}
                SweepNote::Renamed(_) if before.is_some() => {}
                SweepNote::Renamed(names) => {
                    facts.location = self.locations.renamed(&facts.location, names);
                }
            }
        }
        self.sweeps = sweeps;
        if let Some(session) = self::session(&mut self.slots, id) {
            session.facts = facts;
        }
    }

    pub(super) fn rename_listeners(&mut self, names: &Arc<Names>, now: Moment) {
        for slot in &mut self.slots {
            if let Slot::Taken(session) = slot {
                session.facts.location = self.locations.renamed(&session.facts.location, names);
            }
        }
        self.sweeps.keep(Sweep { given: now, what: SweepNote::Renamed(Arc::clone(names)) });
    }

    pub(super) fn leave(&mut self, id: SessionId) {
        let Some(session) = session(&mut self.slots, id) else { return };
        if let Some(drain) = session.leaving.as_ref().and_then(|orders| orders.drain()) {
            self.left.take(drain);
        }
        self.labels.remove(id.slot(), &session.facts.labels);
        self.tokens.remove(id.slot());
        self.targets.release(session.target);
        self.slots[id.slot() as usize] = Slot::Vacant(self.vacant);
        self.vacant = id.slot();
        self.wheel.disarm(id.slot());
        self.live -= 1;
        if self.live == 0 {
            self.slots.clear();
            self.slots.shrink_to(KEYS_KEPT);
            self.vacant = NONE;
            self.wheel.shrink();
        }
    }

    pub(super) fn poll_note(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<Note> {
        let Some(session) = session(&mut self.slots, id) else { return Poll::Pending };
        if let Some(mail) = &mut session.mail {
            let note = mail.take();
            if mail.is_empty() {
                session.mail = None;
            }
            if let Some(note) = note {
                return Poll::Ready(note);
            }
        }
        match &mut session.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(super) fn wake_at(&mut self, id: SessionId, at: Moment) {
        let Some(session) = session(&mut self.slots, id) else { return };
        session.deadline = at;
        if at < self.wheel.at(id.slot()) {
            self.wheel.arm(id.slot(), at);
        }
    }

    /// The waker of one session whose deadline has come; `None` when there are no more.
    pub(super) fn due(&mut self, now: Moment) -> Option<Waker> {
        while let Some(slot) = self.wheel.pop(now) {
            let Some(Slot::Taken(session)) = self.slots.get_mut(slot as usize) else { continue };
            if session.deadline <= now {
                session.deadline = Moment::NEVER;
            } else {
                self.wheel.arm(slot, session.deadline);
                if session.mail.is_none() {
                    continue;
                }
            }
            // Taken, not cloned: the session stores it anew when it is polled.
            if let Some(waker) = session.waker.take() {
                return Some(waker);
            }
        }
        None
    }

    pub(super) fn drain(&mut self, drain: &Drain, now: Moment, share: Share) -> usize {
        let (mut rng, drain) = (self.rng.fork(), Arc::new(drain.clone()));
        let matched = self.candidates(&drain.selector);
        let matched = matched.filter(|(id, facts)| drain.matches(*id, facts));
        let matched = matched.map(|(id, facts)| (id.slot(), facts));
        let matched = matched.filter(|(slot, _)| !self.follows(*slot, drain.number));
        let told: Vec<u32> = match &drain.subset {
            Some(subset) => subset.choose(matched, share.subset, now, &mut rng),
            None => matched.map(|(slot, _)| slot).collect(),
        };
        let moments = moments(&drain.schedule, share, told.len(), now, &mut rng);
        for (slot, at) in told.iter().zip(moments) {
            let Some(Slot::Taken(session)) = self.slots.get(*slot as usize) else { continue };
            let id = SessionId::new(self.worker, *slot, session.generation);
            let note = drain.note(id, &session.facts, at, now);
            self.send_away(*slot, &drain, note, at);
        }
        if drain.can_match_newcomers() {
            self.sweeps.keep(Sweep { given: now, what: SweepNote::Drain(drain) });
        }
        told.len()
    }

    /// A session that was expected under this token has begun: what came for it is its.
    pub(super) fn begin(&mut self, token: Token, id: SessionId) {
        let Some(mail) = self.tokens.begin(token, id) else { return };
        let Some(session) = session(&mut self.slots, id) else { return };
        if !mail.is_empty() && mail.is_for(session.facts.pushable) {
            session.mail.get_or_insert_default().adopt(mail);
        }
    }

    /// Tells one session, when it still lives, without a look at the others.
    pub(super) fn drain_one(&mut self, id: SessionId, drain: Drain, now: Moment) {
        let Some(facts) = self.facts(id) else { return };
        let note = drain.note(id, &facts, now, now);
        self.send_away(id.slot(), &Arc::new(drain), note, now);
    }

    /// Gives a session the order to go, and counts it with the drain it then follows.
    fn send_away(&mut self, slot: u32, drain: &Arc<Drain>, note: Note, at: Moment) {
        let Some(Slot::Taken(session)) = self.slots.get_mut(slot as usize) else { return };
        let orders = session.leaving.get_or_insert_default();
        let before = orders.drain();
        orders.add(Leaving { drain: Arc::clone(drain), note: note.clone(), at });
        self.left.follow(before, orders.drain());
        drain.words.iter().for_each(|words| self.put(slot, Note::Words(Arc::clone(words)), at));
        self.put(slot, note, at);
    }

    fn follows(&self, slot: u32, drain: u64) -> bool {
        let Some(Slot::Taken(session)) = self.slots.get(slot as usize) else { return true };
        session.leaving.as_ref().is_some_and(|orders| orders.has(drain))
    }

    /// What became of the sessions that this drain told.
    pub(super) fn drained(&self, drain: u64) -> DrainCount {
        self.left.of(drain)
    }

    pub(super) fn forget_drain(&mut self, drain: u64) {
        self.left.forget(drain);
    }

    pub(super) fn update_rules(&mut self, changes: &Arc<RuleChanges>, now: Moment) -> usize {
        let mut told = 0;
        for slot in 0..self.slots.len() {
            let Slot::Taken(session) = &self.slots[slot] else { continue };
            if let Some(rules) = changes.get(&session.facts.route) {
                let note = Note::Rules(Arc::clone(rules));
                self.put(slot as u32, note, now.after(TICK * (told / WAKES_PER_TICK_MAX) as u32));
                told += 1;
            }
        }
        self.sweeps.keep_rules(changes, now);
        told
    }

    /// Its upstream is away.
    pub(super) fn went_away(&mut self, id: SessionId, now: Moment) {
        self.locate(id, None, NOBODY.into(), now);
    }

    /// It has an upstream again.
    pub(super) fn settled(
        &mut self,
        id: SessionId,
        pool: Arc<str>,
        backend: Arc<str>,
        chosen: Moment,
    ) {
        if let Some(drain) = self.follow_no_more(id) {
            self.left.moved(drain);
        }
        self.locate(id, Some(pool), backend, chosen);
    }

    /// It has other labels now.
    pub(super) fn relabel(&mut self, id: SessionId, labels: SessionLabels) {
        let Some(session) = session(&mut self.slots, id) else { return };
        self.labels.remove(id.slot(), &session.facts.labels);
        self.labels.insert(id.slot(), &labels);
        session.facts.labels = labels;
    }

    /// It was to move, and cannot.
    pub(super) fn stays(&mut self, id: SessionId, now: Moment) {
        if let Some(drain) = self.follow_no_more(id) {
            self.left.stayed(drain);
        }
        if let Some(session) = session(&mut self.slots, id) {
            session.facts.settled = now;
        }
    }

    /// The drain whose order to move a session followed; it follows no such order any more.
    fn follow_no_more(&mut self, id: SessionId) -> Option<u64> {
        let session = session(&mut self.slots, id)?;
        let orders = session.leaving.as_mut()?;
        let followed = orders.followed().filter(|leaving| leaving.moves());
        let drain = followed.map(|leaving| leaving.drain.number);
        orders.retain(|leaving| !leaving.moves());
        session.leaving.take_if(|orders| orders.followed().is_none());
        drain
    }

    fn locate(&mut self, id: SessionId, pool: Option<Arc<str>>, backend: Arc<str>, since: Moment) {
        let Some(session) = session(&mut self.slots, id) else { return };
        // Of what it was on before it has left.
        session.mail.iter_mut().for_each(|mail| mail.forget_move());
        session.mail.take_if(|mail| mail.is_empty());
        let before = session.facts.clone();
        let pool = pool.unwrap_or_else(|| Arc::clone(&before.pool));
        let location = Location { pool, backend, ..(*before.location).clone() };
        let location = self.locations.shared(Arc::new(location));
        session.facts = Facts { location, settled: since, ..before.clone() };
        self.catch_up(id, since, Some(&before));
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Puts a note into a mailbox; its session is woken by the wheel's next tick after `at`.
    pub(super) fn put(&mut self, slot: u32, note: Note, at: Moment) {
        let Some(Slot::Taken(session)) = self.slots.get_mut(slot as usize) else { return };
        session.mail.get_or_insert_default().put(note);
        if at < self.wheel.at(slot) {
            self.wheel.arm(slot, at);
        }
    }
}

/// The session an id names, if it still lives.
fn session(slots: &mut [Slot], id: SessionId) -> Option<&mut SessionEntry> {
    match slots.get_mut(id.slot() as usize) {
        Some(Slot::Taken(session)) if session.generation == id.generation() => Some(session),
        _ => None,
    }
}

/// What a session costs here, facts included: the design's budget is 350 bytes.
#[cfg(test)]
pub(super) const BYTES_PER_SESSION: usize = size_of::<Slot>() + Wheel::BYTES_PER_KEY;
