//! The taps of one worker: which there are, and which sessions they are for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

use super::facts::{Facts, Selector};
use super::local::Local;
use super::note::Note;
use super::tap::{TAP_KEPT_FOR, Tap, TapOrder, TapReading, TapTicket};

/// Taps of a process at a time.
pub const TAPS_MAX: usize = 16;

/// There are as many taps as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TapsFull;

impl fmt::Display for TapsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = TAP_KEPT_FOR.as_secs();
        write!(
            f,
            "{TAPS_MAX} sessions' tails are read already, as many as one process may have; end \
             one: it makes room within {seconds} s"
        )
    }
}

impl std::error::Error for TapsFull {}

thread_local! {
    /// By key.
    static TAPS: RefCell<BTreeMap<u64, WorkerTap>> = const { RefCell::new(BTreeMap::new()) };
}

struct WorkerTap {
    selector: Selector,
    tap: Rc<Tap>,
    until: Moment,
    left_out: usize,
}

impl WorkerTap {
    /// A session's facts were these `before`, where it was here, and are these `after`, where it
    /// still is. It gets the tap as it comes to match, and loses it as it ceases to: what the next
    /// user of a connection says is not shown as the last one's.
    fn follow(
        &mut self,
        id: SessionId,
        before: Option<&Facts>,
        after: Option<&Facts>,
    ) -> Option<TapTicket> {
        let matches = |facts: Option<&Facts>| facts.is_some_and(|it| self.selector.matches(id, it));
        match (matches(before), matches(after), self.tap.is_on(id)) {
            (false, true, false) => {
                let ticket = self.tap.put_on(id);
                self.left_out += usize::from(ticket.is_none());
                ticket
            }
            (true, false, false) => {
                self.left_out = self.left_out.saturating_sub(1);
                None
            }
            (_, false, true) => {
                self.tap.take_off(id);
                None
            }
            _ => None,
        }
    }
}

/// A session has other facts than `before`, or has entered where there were none: it has the taps
/// that are for it as it is now.
pub(super) fn follow(local: &mut Local, id: SessionId, before: Option<&Facts>) {
    TAPS.with_borrow_mut(|taps| {
        if taps.is_empty() {
            return;
        }
        let Some(facts) = local.facts(id) else { return };
        for tap in taps.values_mut() {
            if let Some(ticket) = tap.follow(id, before, Some(&facts)) {
                local.put(id.slot(), Note::Tap(ticket), Moment::default());
            }
        }
    });
}

/// A session leaves, and its taps leave it.
pub(super) fn leave(local: &mut Local, id: SessionId) {
    // At a worker's end the taps may be gone before its last sessions.
    let _ = TAPS.try_with(|taps| {
        let mut taps = taps.borrow_mut();
        if taps.is_empty() {
            return;
        }
        let facts = local.facts(id);
        taps.values_mut().for_each(|tap| drop(tap.follow(id, facts.as_ref(), None)));
    });
    local.leave(id);
}

/// Changes the facts of many sessions at once; they have the taps then that are for them.
pub(super) fn following(local: &mut Local, change: impl FnOnce(&mut Local)) {
    let is_tapped = !TAPS.with_borrow(BTreeMap::is_empty);
    let sessions = is_tapped.then(|| local.sessions()).into_iter().flatten();
    let before: Vec<_> = sessions.map(|(id, facts)| (id, facts.clone())).collect();
    change(local);
    before.iter().for_each(|(id, before)| follow(local, *id, Some(before)));
}

/// Ends the taps that are not read any more.
pub(super) fn sweep(now: Moment) {
    TAPS.with_borrow_mut(|taps| {
        taps.retain(|_, tap| {
            let is_read = now <= tap.until;
            if !is_read {
                tap.tap.end();
            }
            is_read
        });
    });
}

/// Reads a tap, which is set where there is none.
pub(super) fn read(
    local: &mut Local,
    order: &TapOrder,
    now: Moment,
) -> Result<TapReading, TapsFull> {
    sweep(now);
    TAPS.with_borrow_mut(|taps| {
        if let Some(tap) = taps.get_mut(&order.key) {
            tap.until = now.after(TAP_KEPT_FOR);
            let (frames, lost) = tap.tap.take();
            let (sessions, left_out) = (tap.tap.sessions(), tap.left_out);
            return Ok(TapReading { frames, lost, sessions, left_out, is_new: false });
        }
        if taps.len() >= TAPS_MAX {
            return Err(TapsFull);
        }
        let tap = Tap::new(order.payload_bytes);
        let matched: Vec<SessionId> = local.matching(&order.selector).map(|(id, _)| id).collect();
        let mut left_out = 0;
        for id in matched {
            // So few are woken in one tick.
            match tap.put_on(id) {
                Some(ticket) => local.put(id.slot(), Note::Tap(ticket), now),
                None => left_out += 1,
            }
        }
        let (selector, until) = (order.selector.clone(), now.after(TAP_KEPT_FOR));
        taps.insert(order.key, WorkerTap { selector, tap, until, left_out });
        Ok(TapReading { left_out, is_new: true, ..TapReading::default() })
    })
}

/// Ends a tap.
pub(super) fn end(key: u64) {
    TAPS.with_borrow_mut(|taps| taps.remove(&key).into_iter().for_each(|tap| tap.tap.end()));
}

#[cfg(test)]
mod tests {
    use super::super::tap::TAP_SESSIONS_MAX;
    use super::super::tests::facts;
    use super::*;

    fn order(key: u64) -> TapOrder {
        TapOrder { key, selector: Selector::All, payload_bytes: 0 }
    }

    #[test]
    fn a_tap_is_on_those_that_it_is_for_now_and_counts_those_it_has_no_room_for() {
        let (mut local, now) = (Local::new(0), Moment::from_millis(1));
        let enter = |local: &mut Local, backend: &str| {
            let id = local.enter(facts("/chat", backend, 0)).unwrap();
            follow(local, id, None);
            id
        };
        let before: Vec<_> = (0..TAP_SESSIONS_MAX).map(|_| enter(&mut local, "one")).collect();
        let selector = Selector::Backend { pool: "chat".into(), backend: "one".into() };
        let order = TapOrder { selector, ..order(1) };
        let read = |local: &mut Local| read(local, &order, now).unwrap();
        let state = |reading: TapReading| (reading.sessions, reading.left_out);
        read(&mut local);
        enter(&mut local, "other");
        let after: Vec<_> = (0..3).map(|_| enter(&mut local, "one")).collect();
        assert_eq!(state(read(&mut local)), (TAP_SESSIONS_MAX, 3));
        let settle = |local: &mut Local, id, backend: &str| {
            let before = local.facts(id);
            local.settled(id, "chat".into(), backend.into(), now);
            follow(local, id, before.as_ref());
        };
        // One that it is on goes elsewhere, one is away for a while, and so does one left out.
        settle(&mut local, before[0], "other");
        local.went_away(before[1], now);
        settle(&mut local, before[1], "one");
        settle(&mut local, after[0], "other");
        assert_eq!(state(read(&mut local)), (TAP_SESSIONS_MAX - 1, 2));
        for id in [before[1], after[1]] {
            leave(&mut local, id);
        }
        assert_eq!(state(read(&mut local)), (TAP_SESSIONS_MAX - 2, 1));
        settle(&mut local, after[0], "one");
        settle(&mut local, after[0], "one");
        assert_eq!(state(read(&mut local)), (TAP_SESSIONS_MAX - 1, 1));
        end(1);
    }

    #[test]
    fn there_are_so_many_taps_and_one_that_is_not_read_makes_room() {
        let mut local = Local::new(0);
        let at = Moment::from_millis;
        for key in 0..TAPS_MAX as u64 {
            assert!(read(&mut local, &order(key), at(1)).unwrap().is_new);
        }
        assert_eq!(read(&mut local, &order(99), at(2)).unwrap_err(), TapsFull);
        assert!(!read(&mut local, &order(3), at(9_000)).unwrap().is_new);
        assert!(read(&mut local, &order(99), at(10_002)).unwrap().is_new);
        end(99);
        end(3);
        assert!(TAPS.with_borrow(BTreeMap::is_empty), "the others were not read");
    }
}
