//! How fast sessions are drained. Pure.

use std::time::Duration;

use crate::config::plan;
use crate::registry::{Schedule, Stretch};

/// What a session keeps, where no deadline was set, after the last one was told: a long frame may
/// have to come to its end first, and the other side's answer is worth waiting for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a deadline leaves to the last session that is told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The part of a second's sessions that an order without a window tells at once.
const AT_ONCE_PART: f64 = 10.0;

/// The longest schedule: what is asked for beyond is as good as never.
const LENGTH_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Steps in which an even level is found: to a part in 10^15.
const HALVINGS: usize = 50;

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

    /// When so many sessions are due, beside what other drains use of the rate, and the deadline.
    /// The last to be told keeps some time before the deadline, to reach a frame's boundary and to
    /// hear the answer; where the rate does not fit before that, it is exceeded.
    pub(super) fn plan(&self, total: usize, usage: &Usage) -> (Schedule, Duration) {
        let rate = f64::from(self.rate_max.max(1));
        // Few sessions that are to go at once do not wait behind a drain of many.
        let at_once = match self.window.is_zero() {
            true => (total as f64).min((rate / AT_ONCE_PART).max(1.0).floor()),
            false => 0.0,
        };
        let rest = total as f64 - at_once;
        let length = self.window.as_secs_f64().max(usage.time_for(rest, rate));
        let length = Duration::try_from_secs_f64(length).unwrap_or(LENGTH_MAX).min(LENGTH_MAX);
        let deadline = self.deadline.unwrap_or(length + PATIENCE);
        let last = deadline - LAST_WORDS.min(deadline / 5);
        if length > last {
            return (Schedule::even(last), deadline);
        }
        let free = usage.free(length.as_secs_f64(), rate);
        let first = Stretch { length: Duration::ZERO, sessions: at_once };
        let rest = level(&free, rest).zip(&free).map(|(sessions, (seconds, _))| Stretch {
            length: Duration::from_secs_f64(*seconds),
            sessions,
        });
        (Schedule::of(std::iter::once(first).chain(rest)), deadline)
    }
}

/// How the drains under way use the rate, from now on: all of a process share one.
#[derive(Clone, Default, Debug)]
pub(super) struct Usage(Vec<Used>);

/// Sessions told per second from one moment to another, in seconds from now.
#[derive(Clone, Copy, Debug)]
struct Used {
    from: f64,
    until: f64,
    per_second: f64,
}

impl Usage {
    /// Adds a drain of so many sessions that was given this long ago.
    pub(super) fn add(&mut self, schedule: &Schedule, sessions: usize, age: Duration) {
        let all: f64 = schedule.stretches().iter().map(|one| one.sessions).sum();
        let mut from = -age.as_secs_f64();
        for Stretch { length, sessions: part } in schedule.stretches() {
            let until = from + length.as_secs_f64();
            if until > 0.0 && *part > 0.0 && !length.is_zero() {
                let per_second = sessions as f64 * part / all / length.as_secs_f64();
                self.0.push(Used { from: from.max(0.0), until, per_second });
            }
            from = until;
        }
    }

    /// What is left of the rate within so many seconds: for how long how much per second.
    fn free(&self, length: f64, rate: f64) -> Vec<(f64, f64)> {
        let mut cuts: Vec<f64> = self.0.iter().flat_map(|used| [used.from, used.until]).collect();
        cuts.extend([0.0, length]);
        cuts.retain(|cut| (0.0..=length).contains(cut));
        cuts.sort_unstable_by(f64::total_cmp);
        let pairs = cuts.windows(2).filter(|pair| pair[1] > pair[0]);
        let free = pairs.map(|pair| {
            let at = |used: &&Used| used.from <= pair[0] && used.until >= pair[1];
            let used: f64 = self.0.iter().filter(at).map(|used| used.per_second).sum();
            (pair[1] - pair[0], (rate - used).max(0.0))
        });
        free.collect()
    }

    /// Seconds until there was room for so many under the rate.
    fn time_for(&self, sessions: f64, rate: f64) -> f64 {
        let (mut left, mut time) = (sessions, 0.0);
        let last = self.0.iter().map(|used| used.until).fold(0.0, f64::max);
        for (seconds, per_second) in self.free(last, rate) {
            if seconds * per_second >= left {
                return time + left / per_second.max(f64::MIN_POSITIVE);
            }
            left -= seconds * per_second;
            time += seconds;
        }
        time + left / rate
    }
}

/// Spreads sessions over what is free, as evenly as that allows: how many in each part.
fn level(free: &[(f64, f64)], sessions: f64) -> impl Iterator<Item = f64> {
    let taken = |level: f64| free.iter().map(move |(time, rate)| time * rate.min(level));
    let (mut low, mut high) = (0.0, free.iter().map(|(_, rate)| *rate).fold(0.0, f64::max));
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        match taken(middle).sum::<f64>() < sessions {
            true => low = middle,
            false => high = middle,
        }
    }
    taken(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(window: u64, rate_max: u32, deadline: Option<u64>, total: usize) -> [u64; 2] {
        let (window, deadline) = (Duration::from_secs(window), deadline.map(Duration::from_secs));
        let (schedule, deadline) =
            Pace { window, rate_max, deadline }.plan(total, &Usage::default());
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

    #[test]
    fn drains_under_way_share_one_rate() {
        let pace =
            |window| Pace { window: Duration::from_secs(window), rate_max: 20, deadline: None };
        let mut usage = Usage::default();
        let mut seconds = [0.0; 60];
        for _ in 0..4 {
            let (schedule, _) = pace(1).plan(100, &usage);
            usage.add(&schedule, 100, Duration::ZERO);
        }
        for used in &usage.0 {
            for (second, count) in seconds.iter_mut().enumerate() {
                let (from, until) = (second as f64, second as f64 + 1.0);
                let overlap = (used.until.min(until) - used.from.max(from)).max(0.0);
                *count += overlap * used.per_second;
            }
        }
        assert!(seconds.iter().all(|count| *count <= 20.01), "{seconds:?}");
        assert!((seconds.iter().sum::<f64>() - 400.0).abs() < 1.0, "{seconds:?}");
        // One that is to go at once does.
        let (kick, _) = pace(0).plan(1, &usage);
        assert_eq!(kick.length(), Duration::ZERO);
        // A long window is not in the way of another.
        let mut slow = Usage::default();
        slow.add(&Schedule::even(Duration::from_secs(86_400)), 1, Duration::ZERO);
        assert_eq!(pace(0).plan(100, &slow).0.length().as_secs(), 4);
    }
}
