//! How sessions are let go together: who, why, and at which pace. Pure.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::end::Reason;

use super::facts::{Facts, Selector};
use super::note::{EndOrder, MoveOrder, Note};

/// What a deadline leaves to the last session that is told to go.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The time over which `total` closes are spread: the window, or longer where the rate asks for it.
pub fn spread(window: Duration, rate_max: Option<u32>, total: usize) -> Duration {
    let capped = match rate_max {
        Some(rate) => Duration::from_secs_f64(total as f64 / f64::from(rate.max(1))),
        None => Duration::ZERO,
    };
    window.max(capped)
}

/// What becomes of the sessions that an order means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Each reads a Close.
    Close,
    /// Of those that can be held, those that this means go on with another backend where they can;
    /// all others read a Close.
    MoveOrClose(Selector),
    /// Those that can be held go on with another backend where they can; all others stay.
    MoveOrStay,
}

/// The one order that reload, stop, restart, rebalance and kick speak.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drain {
    /// Its number. Given again, an order finds only sessions that it had not told before.
    pub number: u64,
    /// Whose sessions.
    pub who: Selector,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why.
    pub why: Reason,
    /// An operator's own close code for the clients.
    pub code: Option<u16>,
    /// Closes are spread evenly over this time.
    pub window: Duration,
    /// Closes per second at most, over all workers: lengthens the window, within the deadline.
    pub rate_max: Option<u32>,
    /// From now until the transports of those that are left are closed.
    pub deadline: Duration,
}

impl Drain {
    /// At once, and half a minute at most for what is in flight: what a kick is.
    pub fn at_once(who: Selector, why: Reason) -> Drain {
        let deadline = Duration::from_secs(30);
        let (disposition, window) = (Disposition::Close, Duration::ZERO);
        Drain { number: 0, who, disposition, why, code: None, window, rate_max: None, deadline }
    }

    /// Whether the session `id` with these facts is told.
    pub(super) fn matches(&self, id: SessionId, facts: &Facts) -> bool {
        self.who.matches(id, facts) && (self.disposition != Disposition::MoveOrStay || facts.holds)
    }

    /// What it is told, where the order was given at `given` and it is due at `at`.
    pub(super) fn note(&self, id: SessionId, facts: &Facts, at: Moment, given: Moment) -> Note {
        let deadline = given.after(self.deadline);
        let let_go = EndOrder { why: self.why, at, deadline, code: self.code };
        match &self.disposition {
            Disposition::MoveOrStay => Note::Move(MoveOrder { at, otherwise: None }),
            Disposition::MoveOrClose(who) if facts.holds && who.matches(id, facts) => {
                Note::Move(MoveOrder { at, otherwise: Some(let_go) })
            }
            Disposition::Close | Disposition::MoveOrClose(_) => Note::End(let_go),
        }
    }

    /// The window as it will be for `total` sessions. The last to be closed keeps some time before
    /// the deadline, to reach a frame's boundary and to hear the answer.
    pub fn window_for(&self, total: usize) -> Duration {
        let last_words = LAST_WORDS.min(self.deadline / 5);
        spread(self.window, self.rate_max, total).min(self.deadline - last_words)
    }
}

/// A worker's part in a drain, so that the closes of all workers together come evenly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Which worker, from 0.
    pub worker: usize,
    /// Of how many.
    pub workers: usize,
    /// Sessions to let go on all workers together; the rate cap is for them all.
    pub total: usize,
}

impl Share {
    /// The share of the only worker there is.
    pub const ALONE: Share = Share { worker: 0, workers: 1, total: 0 };
}

/// The moments at which this worker's `count` sessions are due, in order.
///
/// The window has one cell per session; the workers take turns within the cell, and jitter keeps
/// two closes of neighbours from falling together.
pub(super) fn moments(
    drain: &Drain,
    share: Share,
    count: usize,
    now: Moment,
    rng: &mut fastrand::Rng,
) -> impl Iterator<Item = Moment> {
    let window = drain.window_for(share.total.max(count));
    let cell = window.as_secs_f64() / count.max(1) as f64;
    (0..count).map(move |position| {
        let turn = (share.worker as f64 + rng.f64()) / share.workers.max(1) as f64;
        now.after(Duration::from_secs_f64(cell * (position as f64 + turn.min(1.0))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(window: u64, rate_max: Option<u32>, deadline: u64) -> Drain {
        let window = Duration::from_secs(window);
        let deadline = Duration::from_secs(deadline);
        let (who, disposition, why) = (Selector::All, Disposition::Close, Reason::Stop);
        Drain { number: 1, who, disposition, why, code: None, window, rate_max, deadline }
    }

    /// Closes in each second, of workers with these many sessions.
    fn per_second(drain: &Drain, sessions: &[usize]) -> Vec<usize> {
        let total = sessions.iter().sum();
        let mut seconds = vec![0; 60];
        for (worker, count) in sessions.iter().enumerate() {
            let share = Share { worker, workers: sessions.len(), total };
            let mut rng = fastrand::Rng::with_seed(worker as u64);
            for moment in moments(drain, share, *count, Moment::default(), &mut rng) {
                seconds[(moment.as_millis() / 1000) as usize] += 1;
            }
        }
        seconds.truncate(seconds.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        seconds
    }

    #[test]
    fn closes_per_second_are_flat_over_uneven_workers() {
        let seconds = per_second(&drain(10, None, 25), &[3_000, 1_500, 500]);
        assert_eq!(seconds.len(), 10);
        assert!(seconds.iter().all(|count| (450..=550).contains(count)), "{seconds:?}");
    }

    #[test]
    fn a_few_sessions_on_many_workers_do_not_close_together() {
        let seconds = per_second(&drain(8, None, 25), &[1; 8]);
        assert_eq!(seconds, [1; 8]);
    }

    #[test]
    fn the_rate_lengthens_the_window_but_not_past_the_deadline() {
        let seconds = per_second(&drain(1, Some(100), 50), &[600, 600]);
        assert_eq!(seconds.len(), 12);
        assert!(seconds.iter().all(|count| *count <= 104), "{seconds:?}");
        // Whoever is told last has some seconds left.
        assert_eq!(drain(1, Some(1), 40).window_for(1_000), Duration::from_secs(35));
        assert_eq!(drain(1, Some(1), 10).window_for(1_000), Duration::from_secs(8));
    }

    #[test]
    fn without_a_window_all_are_due_now() {
        assert_eq!(per_second(&drain(0, None, 5), &[7, 3]), [10]);
    }
}
