//! How fast sessions are drained. Pure.

use std::time::Duration;

use crate::config::plan;
use crate::registry::Schedule;

/// What a session keeps, where no deadline was set, after the last one was told: a long frame may
/// have to come to its end first, and the other side's answer is worth waiting for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a deadline leaves to the last session that is told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How fast sessions are drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// They are spread over this time at least.
    pub window: Duration,
    /// Sessions per second at most: more sessions lengthen the window, within the deadline.
    pub rate_max: u32,
    /// From the order until the transports of those that are left are closed; [`PATIENCE`] after
    /// the window when `None`.
    pub deadline: Option<Duration>,
}

impl Pace {
    /// The configuration's, for a process that goes on running: nothing waits for the end.
    pub fn of(plan: &plan::Drain) -> Pace {
        Pace { window: plan.window, rate_max: plan.rate_max, deadline: None }
    }

    /// When so many sessions are due, and the deadline. The last to be told keeps some time before
    /// the deadline, to reach a frame's boundary and to hear the answer.
    pub(super) fn plan(&self, total: usize) -> (Schedule, Duration) {
        let needed = Duration::from_secs_f64(total as f64 / f64::from(self.rate_max.max(1)));
        let window = self.window.max(needed);
        let deadline = self.deadline.unwrap_or(window + PATIENCE);
        let last_words = LAST_WORDS.min(deadline / 5);
        (Schedule::even(window.min(deadline - last_words)), deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(window: u64, rate_max: u32, deadline: Option<u64>, total: usize) -> [u64; 2] {
        let (window, deadline) = (Duration::from_secs(window), deadline.map(Duration::from_secs));
        let (schedule, deadline) = Pace { window, rate_max, deadline }.plan(total);
        [schedule.length(), deadline].map(|time| time.as_secs())
    }

    #[test]
    fn a_big_site_has_the_time_its_rate_needs_and_a_small_one_the_window() {
        assert_eq!(planned(15, 500, None, 100), [15, 45]);
        assert_eq!(planned(15, 500, None, 100_000), [200, 230]);
    }

    #[test]
    fn a_deadline_comes_before_the_rate_and_leaves_the_last_one_some_seconds() {
        assert_eq!(planned(15, 500, Some(25), 100_000), [20, 25]);
        assert_eq!(planned(1, 1, Some(40), 1_000), [35, 40]);
        assert_eq!(planned(1, 1, Some(10), 1_000), [8, 10]);
    }
}
