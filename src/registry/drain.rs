//! How sessions are drained together: which, why, what becomes of them, and when. Pure.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::end::Reason;

use super::facts::{Facts, Selector};
use super::note::{EndOrder, MoveOrder, Note};
use super::schedule::Schedule;
use super::subset::Subset;

/// What becomes of the sessions that an order matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Each reads a Close.
    Close,
    /// Of those that can be held, those that this matches go on with another backend where they
    /// can; all others read a Close.
    MoveOrClose(Selector),
    /// Those that can be held go on with another backend where they can; all others stay.
    MoveOrStay,
}

/// The one order that a reload, a stop, a restart, a rebalance, a move and a kick give.
#[derive(Clone, PartialEq, Debug)]
pub struct Drain {
    /// Its number. Given again, an order finds only sessions that do not follow it already.
    pub number: u64,
    /// Which sessions.
    pub selector: Selector,
    /// Only some of them; all where it is `None`.
    pub subset: Option<Subset>,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why.
    pub reason: Reason,
    /// An operator's own close code for the clients.
    pub code: Option<u16>,
    /// What the clients read beside the code, in place of the word for the reason.
    pub words: Option<Arc<str>>,
    /// When they are due.
    pub schedule: Schedule,
    /// From now until the transports of those that are left are closed.
    pub deadline: Duration,
}

/// How long a session that is ended by itself has for its last messages and both Closes.
const ALONE_DEADLINE: Duration = Duration::from_secs(25);

impl Drain {
    /// Closes sessions now. Nothing waits for it, and none finds it again.
    pub(super) fn at_once(selector: Selector, reason: Reason, code: Option<u16>) -> Drain {
        Drain {
            number: 0,
            selector,
            subset: None,
            disposition: Disposition::Close,
            reason,
            code,
            words: None,
            schedule: Schedule::at_once(),
            deadline: ALONE_DEADLINE,
        }
    }

    /// Whether the session `id` with these facts is told.
    pub(super) fn matches(&self, id: SessionId, facts: &Facts) -> bool {
        let moves_only = self.disposition == Disposition::MoveOrStay;
        self.selector.matches(id, facts) && (!moves_only || facts.holds)
    }

    /// Whether sessions that enter later are told as well: they were being opened as it was given.
    pub(super) fn can_match_newcomers(&self) -> bool {
        self.subset.is_none() && self.selector.can_match_newcomers()
    }

    /// What it is told, where the order was given at `given` and it is due at `at`.
    pub(super) fn note(&self, id: SessionId, facts: &Facts, at: Moment, given: Moment) -> Note {
        let deadline = given.after(self.deadline);
        let end = EndOrder { reason: self.reason, at, deadline, code: self.code };
        match &self.disposition {
            Disposition::MoveOrStay => Note::Move(MoveOrder { at, otherwise: None }),
            Disposition::MoveOrClose(movable) if facts.holds && movable.matches(id, facts) => {
                Note::Move(MoveOrder { at, otherwise: Some(end) })
            }
            Disposition::Close | Disposition::MoveOrClose(_) => Note::End(end),
        }
    }
}

/// A worker's part in a drain, so that the closes of all workers together come evenly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Which worker, from 0.
    pub worker: usize,
    /// Of how many.
    pub workers: usize,
    /// Sessions of this worker to be told, where the order is for a subset of them.
    pub subset: usize,
}

/// The moments at which this worker's `count` sessions are due, in order.
///
/// The schedule has one cell per session; the workers take turns within the cell, and jitter keeps
/// two closes of neighbours from falling together.
pub(super) fn moments(
    schedule: &Schedule,
    share: Share,
    count: usize,
    now: Moment,
    rng: &mut fastrand::Rng,
) -> impl Iterator<Item = Moment> {
    (0..count).map(move |position| {
        let turn = (share.worker as f64 + rng.f64()) / share.workers.max(1) as f64;
        let part = (position as f64 + turn.min(1.0)) / count.max(1) as f64;
        now.after(schedule.at(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closes in each second, of workers with these many sessions.
    fn per_second(window: u64, sessions: &[usize]) -> Vec<usize> {
        let schedule = Schedule::even(Duration::from_secs(window));
        let mut seconds = vec![0; 60];
        for (worker, count) in sessions.iter().enumerate() {
            let share = Share { worker, workers: sessions.len(), subset: 0 };
            let mut rng = fastrand::Rng::with_seed(worker as u64);
            for moment in moments(&schedule, share, *count, Moment::default(), &mut rng) {
                seconds[(moment.as_millis() / 1000) as usize] += 1;
            }
        }
        seconds.truncate(seconds.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        seconds
    }

    #[test]
    fn closes_per_second_are_flat_over_uneven_workers() {
        let seconds = per_second(10, &[3_000, 1_500, 500]);
        assert_eq!(seconds.len(), 10);
        assert!(seconds.iter().all(|count| (450..=550).contains(count)), "{seconds:?}");
    }

    #[test]
    fn a_few_sessions_on_many_workers_do_not_close_together() {
        assert_eq!(per_second(8, &[1; 8]), [1; 8]);
    }

    #[test]
    fn without_a_window_all_are_due_now() {
        assert_eq!(per_second(0, &[7, 3]), [10]);
    }
}
