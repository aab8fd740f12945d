//! What live sessions report of themselves: a line of the log every so often, and what passed in
//! them for somebody who watches.
//!
//! Nothing is counted here on the path of a message, and no session has a timer for it: a round
//! goes through the slab, some slots each tick, and asks each session there by a note.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

use super::facts::{Seen, Selector};
use super::local::{Local, Slot, WAKES_PER_TICK_MAX};
use super::note::{DueReport, Note};
use super::traffic::SessionTraffic;
use super::wheel::TICK;

/// Sessions of a worker that are asked in a second at most for somebody who watches: a worker with
/// more of them takes longer for a round.
const WATCHED_PER_SECOND_MAX: usize = 5_000;

/// How often a session is asked for somebody who watches, where there are few.
const WATCHED_EVERY: Duration = Duration::from_secs(1);

/// How long after the last question sessions are still asked.
const WATCHED_FOR: Duration = Duration::from_secs(10);

/// What passed in a session, and how fast of late.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Activity {
    /// Until it was asked last.
    pub traffic: SessionTraffic,
    /// Messages in a second, both ways, between the last two times it was asked.
    pub message_rate: f64,
    /// Bytes in a second, likewise.
    pub byte_rate: f64,
    at: Moment,
}

/// By what the busiest sessions are found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BusiestBy {
    /// Bytes in a second.
    #[default]
    ByteRate,
    /// Messages in a second.
    MessageRate,
    /// All bytes since it was opened.
    Bytes,
}

impl BusiestBy {
    fn of(self, activity: &Activity) -> f64 {
        match self {
            BusiestBy::ByteRate => activity.byte_rate,
            BusiestBy::MessageRate => activity.message_rate,
            BusiestBy::Bytes => total(&activity.traffic).1 as f64,
        }
    }
}

/// Messages and bytes, both ways.
fn total(SessionTraffic { client, upstream, .. }: &SessionTraffic) -> (u64, u64) {
    let messages = client.messages.saturating_add(upstream.messages);
    (messages, client.bytes.saturating_add(upstream.bytes))
}

/// A way through the slab that takes so long, and begins anew.
#[derive(Debug)]
struct SlabRound {
    every: Duration,
    cursor: usize,
    at: Moment,
    /// Slots that are due, and the part of one.
    due: f64,
}

impl SlabRound {
    fn new(every: Duration, now: Moment) -> SlabRound {
        SlabRound { every, cursor: 0, at: now, due: 0.0 }
    }

    /// The slots of this many whose turn it is by now.
    fn step(&mut self, slots: usize, now: Moment) -> impl Iterator<Item = usize> + use<> {
        let share = now.since(self.at).as_secs_f64() / self.every.as_secs_f64();
        self.at = now;
        self.due += share * slots as f64;
        let count = (self.due as usize).min(slots).min(WAKES_PER_TICK_MAX);
        // What is too much for a tick lengthens the round.
        self.due = (self.due - count as f64).min(1.0);
        let from = if self.cursor < slots { self.cursor } else { 0 };
        if let Some(next) = (from + count).checked_rem(slots) {
            self.cursor = next;
        }
        (from..from + count).map(move |slot| slot % slots)
    }
}

/// What one worker's sessions are asked to report, and what they did.
#[derive(Default)]
struct Reports {
    logged: Option<SlabRound>,
    watched: Option<Watched>,
}

struct Watched {
    until: Moment,
    round: SlabRound,
    activities: HashMap<SessionId, Activity>,
}

thread_local! {
    static REPORTS: RefCell<Reports> = RefCell::default();
}

/// Has each session of this worker write a line of the log so often; none where `None`.
pub fn log_every(every: Option<Duration>, now: Moment) {
    REPORTS.with_borrow_mut(|reports| {
        if reports.logged.as_ref().map(|round| round.every) != every {
            reports.logged = every.map(|every| SlabRound::new(every, now));
        }
    });
}

/// A session of this worker reports what passed in it.
pub fn reported(id: SessionId, traffic: SessionTraffic, now: Moment) {
    REPORTS.with_borrow_mut(|reports| {
        let Some(Watched { activities, .. }) = &mut reports.watched else { return };
        let (mut message_rate, mut byte_rate) = (0.0, 0.0);
        if let Some(before) = activities.get(&id) {
            let seconds = now.since(before.at).as_secs_f64();
            if seconds <= 0.0 {
                return;
            }
            let ((messages, bytes), (old_messages, old_bytes)) =
                (total(&traffic), total(&before.traffic));
            message_rate = messages.saturating_sub(old_messages) as f64 / seconds;
            byte_rate = bytes.saturating_sub(old_bytes) as f64 / seconds;
        }
        activities.insert(id, Activity { traffic, message_rate, byte_rate, at: now });
    });
}

/// Forgets what a session reported, which has left.
pub(super) fn left(id: SessionId) {
    // At a worker's end this may be gone before its last sessions.
    let _ = REPORTS.try_with(|reports| {
        if let Some(watched) = &mut reports.borrow_mut().watched {
            watched.activities.remove(&id);
        }
    });
}

/// Asks the sessions whose turn it is.
pub(super) fn sweep(local: &mut Local, now: Moment) {
    REPORTS.with_borrow_mut(|Reports { logged, watched }| {
        let slots = local.slots.len();
        if let Some(round) = logged {
            let report = DueReport { logged: true, watched: false };
            round.step(slots, now).for_each(|slot| ask(local, slot, report, now));
        }
        watched.take_if(|watched| watched.until < now);
        if let Some(Watched { round, .. }) = watched {
            let seconds = slots as f64 / WATCHED_PER_SECOND_MAX as f64;
            round.every = WATCHED_EVERY.max(Duration::from_secs_f64(seconds)) - TICK / 2;
            let report = DueReport { logged: false, watched: true };
            round.step(slots, now).for_each(|slot| ask(local, slot, report, now));
        }
    });
}

fn ask(local: &mut Local, slot: usize, report: DueReport, now: Moment) {
    if let Some(Slot::Taken(_)) = local.slots.get(slot) {
        local.put(slot as u32, Note::Due(report), now);
    }
}

/// The busiest sessions of this worker that are matched, busiest first. Who asks watches: from now
/// on, and for ten seconds, sessions are asked what passed in them; those that were not yet are not
/// listed.
pub(super) fn busiest(
    local: &Local,
    selector: &Selector,
    by: BusiestBy,
    most: usize,
    now: Moment,
) -> Vec<(Seen, Activity)> {
    REPORTS.with_borrow_mut(|reports| {
        let watched = reports.watched.get_or_insert_with(|| Watched {
            until: now,
            round: SlabRound::new(WATCHED_EVERY, now),
            activities: HashMap::new(),
        });
        watched.until = now.after(WATCHED_FOR);
        let matched =
            |id: &SessionId| local.facts(*id).is_some_and(|facts| selector.matches(*id, &facts));
        let found = watched.activities.iter().filter(|(id, _)| matched(id));
        let mut found: Vec<(SessionId, Activity)> =
            found.map(|(id, activity)| (*id, *activity)).collect();
        found.sort_by(|(one, busy), (other, busier)| {
            let by_rate = by.of(busier).total_cmp(&by.of(busy));
            by_rate.then_with(|| one.cmp(other))
        });
        found.truncate(most);
        let seen = |(id, activity)| Some((local.seen(id)?, activity));
        found.into_iter().filter_map(seen).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_comes_to_each_slot_once() {
        for slots in [1, 7, 100, 5_000] {
            let at = |tick: u64| Moment::from_millis(tick * 100);
            let mut round = SlabRound::new(Duration::from_secs(10), at(0));
            let mut seen = vec![0; slots];
            for tick in 1..=1_000 {
                let due: Vec<usize> = round.step(slots, at(tick)).collect();
                assert!(due.len() <= slots.div_ceil(100) + 1, "{} at once", due.len());
                due.into_iter().for_each(|slot| seen[slot] += 1);
            }
            // In 100 s, ten rounds, but for a rounding.
            assert!(seen.iter().all(|times| (9..=10).contains(times)), "{slots}: {seen:?}");
        }
    }

    #[test]
    fn a_round_of_no_slots_and_one_of_too_many_is_borne() {
        let mut round = SlabRound::new(Duration::from_secs(1), Moment::default());
        assert_eq!(round.step(0, Moment::from_millis(5_000)).count(), 0);
        let many = round.step(1 << 20, Moment::from_millis(9_000)).count();
        assert_eq!(many, WAKES_PER_TICK_MAX);
        // A slab that shrank meanwhile begins at its front.
        assert!(round.step(3, Moment::from_millis(9_900)).all(|slot| slot < 3));
    }
}
