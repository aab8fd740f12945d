//! The taps of one worker: which there are, and which sessions they are for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

use super::facts::Selector;
use super::local::{Local, WAKES_PER_TICK_MAX};
use super::note::Note;
use super::tap::{TAP_KEPT_FOR, TAP_SESSIONS_MAX, Tap, TapOrder, TapReading, TapTicket};
use super::wheel::TICK;

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

/// Puts the taps on a session that it is to have, with the facts that it has now.
pub(super) fn entered(local: &mut Local, id: SessionId) {
    TAPS.with_borrow_mut(|taps| {
        if taps.is_empty() {
            return;
        }
        let Some(facts) = local.facts(id) else { return };
        for tap in taps.values_mut().filter(|tap| tap.selector.matches(id, &facts)) {
            match tap.tap.sessions() < TAP_SESSIONS_MAX {
                true => {
                    let ticket = TapTicket::new(&tap.tap, id);
                    local.put(id.slot(), Note::Tap(ticket), Moment::default());
                }
                false => tap.left_out += 1,
            }
        }
    });
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
        let left_out = matched.len().saturating_sub(TAP_SESSIONS_MAX);
        for (told, id) in matched.into_iter().take(TAP_SESSIONS_MAX).enumerate() {
            let at = now.after(TICK * (told / WAKES_PER_TICK_MAX) as u32);
            local.put(id.slot(), Note::Tap(TapTicket::new(&tap, id)), at);
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
    use super::*;

    fn order(key: u64) -> TapOrder {
        TapOrder { key, selector: Selector::All, payload_bytes: 0 }
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
