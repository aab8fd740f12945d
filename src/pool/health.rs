//! Passive health of one backend: failures in a row take it out for a while, and one trial decides
//! whether it returns. Pure: the moment is an argument.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::Health as Rules;

/// Whether a backend is given work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is.
    Up,
    /// Its ejection has ended: the next request is its trial.
    Trial,
    /// It is not, before this moment: it failed, or its trial is under way.
    Ejected {
        /// When it is due for a trial, or for another one.
        until: Moment,
    },
}

/// The part of its weight, in thousandths, that a backend starts with.
const SHARE_MIN: u64 = 10;

/// What an outcome changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It was ejected.
    Ejected {
        /// Failures in a row.
        failures: u32,
        /// For how long.
        wait: Duration,
    },
    /// It came back.
    Recovered,
}

/// The health of one backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Failures in a row.
    failures: u32,
    /// Times it was taken out without a good spell between: the exponent of its back-off.
    outs: u32,
    out: Option<Ejection>,
    /// When it was last taken out, a failed trial aside.
    out_since: Moment,
    /// When it last came back.
    returned: Moment,
    /// Since when it has been given work: its first request, or its return.
    since: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ejection {
    until: Moment,
    on_trial: bool,
}

impl State {
    /// Whether it is given work at this moment.
    pub fn standing(&self, now: Moment) -> Standing {
        match self.out {
            None => Standing::Up,
            Some(Ejection { until, .. }) if now < until => Standing::Ejected { until },
            Some(_) => Standing::Trial,
        }
    }

    /// Since when it has been out, trials that failed included; `None` when it is not.
    pub fn out_since(&self) -> Option<Moment> {
        self.out.map(|_| self.out_since)
    }

    /// Since when it has been out, if that is so long and its last trial, if there was any, has
    /// failed; not while the next is due or under way.
    pub fn stays_out(&self, now: Moment, after: Duration) -> Option<Moment> {
        let Ejection { until, on_trial } = self.out?;
        let stays = now < until && !on_trial && now.since(self.out_since) >= after;
        stays.then_some(self.out_since)
    }

    /// What part of its weight it is given at this moment, in thousandths: a backend that is new or
    /// has returned starts small and has all after `slow_start`. The first to ask begins its time.
    pub fn share(&mut self, now: Moment, slow_start: Duration) -> u64 {
        let since = *self.since.get_or_insert(now);
        let (had, whole) = (now.since(since).as_millis(), slow_start.as_millis());
        if had >= whole {
            return 1000;
        }
        u64::try_from(had * 1000 / whole).unwrap_or(1000).max(SHARE_MIN)
    }

    /// A request is sent to a backend that is due. Until its outcome is known there is no other;
    /// should it never be told, the next trial may begin after the first back-off time.
    pub fn begin_trial(&mut self, now: Moment, rules: &Rules) {
        if self.standing(now) == Standing::Trial {
            self.out = Some(Ejection { until: now.after(rules.eject_time), on_trial: true });
        }
    }

    /// It answered.
    pub fn succeeded(&mut self, now: Moment) -> Option<Change> {
        self.failures = 0;
        self.out.take()?;
        self.returned = now;
        self.since = Some(now);
        Some(Change::Recovered)
    }

    /// It could not be reached, or gave no answer; `failures_max` of zero never takes it out.
    pub fn failed(&mut self, now: Moment, rules: &Rules) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        let goes_out = match self.out {
            None => rules.failures_max > 0 && self.failures >= rules.failures_max,
            // What was under way when it was taken out tells nothing new.
            Some(out) => out.on_trial || now >= out.until,
        };
        if !goes_out {
            return None;
        }
        // Longer in than it was out before: the back-off begins anew.
        if self.out.is_none() && now.since(self.returned) > back_off(self.outs, rules) {
            self.outs = 0;
        }
        if self.out.is_none() {
            self.out_since = now;
        }
        self.outs = self.outs.saturating_add(1);
        let wait = back_off(self.outs, rules);
        self.out = Some(Ejection { until: now.after(wait), on_trial: false });
        Some(Change::Ejected { failures: self.failures, wait })
    }
}

/// `eject_time` first, then doubled up to `eject_time_max`.
fn back_off(outs: u32, rules: &Rules) -> Duration {
    let doubled = 2_u32.saturating_pow(outs.saturating_sub(1));
    rules.eject_time.saturating_mul(doubled).min(rules.eject_time_max)
}

/// Which members are given work: those that are not out, and of those that are so many that no more
/// than half of the pool is kept out, the ones that would return first. At least one always is.
pub fn admitted(standings: &[Standing]) -> Vec<bool> {
    let out = |(index, standing): (usize, &Standing)| match standing {
        Standing::Ejected { until } => Some((*until, index)),
        Standing::Up | Standing::Trial => None,
    };
    let mut kept_out: Vec<(Moment, usize)> = standings.iter().enumerate().filter_map(out).collect();
    kept_out.sort_unstable();
    let too_many = kept_out.len().saturating_sub(standings.len() / 2);
    let mut admitted = vec![true; standings.len()];
    for &(_, index) in &kept_out[too_many..] {
        admitted[index] = false;
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::OutSessions;

    const RULES: Rules = Rules {
        failures_max: 3,
        eject_time: Duration::from_secs(10),
        eject_time_max: Duration::from_secs(60),
        sessions: OutSessions::Move,
        sessions_after: Duration::from_secs(25),
    };

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    fn out(seconds: u64) -> Standing {
        Standing::Ejected { until: at(seconds) }
    }

    fn ejected() -> State {
        let mut state = State::default();
        for _ in 0..3 {
            state.failed(at(0), &RULES);
        }
        state
    }

    #[test]
    fn only_failures_in_a_row_take_a_backend_out() {
        let mut state = State::default();
        for _ in 0..10 {
            assert_eq!(state.failed(at(0), &RULES), None);
            assert_eq!(state.failed(at(0), &RULES), None);
            assert_eq!(state.succeeded(at(0)), None);
        }
        state.failed(at(1), &RULES);
        state.failed(at(1), &RULES);
        let wait = Duration::from_secs(10);
        assert_eq!(state.failed(at(1), &RULES), Some(Change::Ejected { failures: 3, wait }));
        assert_eq!(state.standing(at(1)), out(11));
    }

    #[test]
    fn no_failures_max_never_takes_it_out() {
        let rules = Rules { failures_max: 0, ..RULES };
        let mut state = State::default();
        assert!((0..100).all(|_| state.failed(at(0), &rules).is_none()));
    }

    #[test]
    fn one_trial_decides_and_each_failed_one_doubles_the_wait_up_to_the_longest() {
        let mut state = ejected();
        let mut now = 0;
        for wait in [10, 20, 40, 60, 60] {
            assert_eq!(state.standing(at(now)), out(now + wait));
            now += wait;
            assert_eq!(state.standing(at(now)), Standing::Trial);
            state.begin_trial(at(now), &RULES);
            assert_eq!(state.standing(at(now)), out(now + 10));
            state.failed(at(now), &RULES);
        }
        state.begin_trial(at(now + 60), &RULES);
        assert_eq!(state.succeeded(at(now + 60)), Some(Change::Recovered));
        assert_eq!(state.standing(at(now + 60)), Standing::Up);
    }

    #[test]
    fn the_share_grows_from_the_first_request_and_again_from_each_return() {
        let slow_start = Duration::from_secs(20);
        let mut state = State::default();
        let share = |state: &mut State, seconds| state.share(at(seconds), slow_start);
        let grown: Vec<_> = [5, 6, 15, 24, 25, 99].map(|at| share(&mut state, at)).into();
        assert_eq!(grown, [10, 50, 500, 950, 1000, 1000]);
        assert!((0..3).filter_map(|_| state.failed(at(100), &RULES)).count() == 1);
        state.succeeded(at(110));
        assert_eq!([110, 120, 130].map(|at| share(&mut state, at)), [10, 500, 1000]);
        assert_eq!(State::default().share(at(0), Duration::ZERO), 1000);
    }

    #[test]
    fn what_was_under_way_when_it_was_taken_out_does_not_double_the_wait() {
        let mut state = ejected();
        assert_eq!(state.failed(at(5), &RULES), None);
        assert_eq!(state.standing(at(5)), out(10));
    }

    #[test]
    fn a_trial_whose_outcome_is_never_told_makes_room_for_another() {
        let mut state = ejected();
        state.begin_trial(at(10), &RULES);
        assert_eq!(state.standing(at(19)), out(20));
        assert_eq!(state.standing(at(20)), Standing::Trial);
    }

    #[test]
    fn the_wait_begins_anew_only_after_a_good_spell() {
        let again = |returned: u64, failed: u64| {
            let mut state = ejected();
            state.succeeded(at(returned));
            let failures = (0..3).filter_map(|_| state.failed(at(failed), &RULES));
            failures.last().unwrap()
        };
        let waits = |seconds| Change::Ejected { failures: 3, wait: Duration::from_secs(seconds) };
        assert_eq!(again(10, 15), waits(20));
        assert_eq!(again(10, 21), waits(10));
    }

    #[test]
    fn it_stays_out_when_a_trial_has_failed_after_so_long() {
        let mut state = ejected();
        let stays = |state: &State, seconds| state.stays_out(at(seconds), RULES.sessions_after);
        assert_eq!(stays(&state, 9), None, "too short");
        assert_eq!(stays(&state, 30), None, "nobody has tried since");
        state.begin_trial(at(30), &RULES);
        assert_eq!(stays(&state, 31), None, "nobody knows yet");
        state.failed(at(32), &RULES);
        assert_eq!((stays(&state, 32), state.out_since()), (Some(at(0)), Some(at(0))));
        assert_eq!(stays(&state, 52), None, "it is due");
        state.begin_trial(at(52), &RULES);
        state.succeeded(at(53));
        assert_eq!((stays(&state, 53), state.out_since()), (None, None));
    }

    #[test]
    fn never_more_than_half_is_kept_out_and_the_first_to_return_are_let_in() {
        let (standing, due) = (Standing::Up, Standing::Trial);
        assert_eq!(admitted(&[out(9)]), [true]);
        assert_eq!(admitted(&[out(9), standing]), [false, true]);
        assert_eq!(admitted(&[out(9), out(5)]), [false, true]);
        assert_eq!(admitted(&[out(9), due]), [false, true]);
        assert_eq!(admitted(&[out(5), out(5), out(5)]), [true, true, false]);
        assert_eq!(admitted(&[out(3), standing, out(1), out(2)]), [false, true, true, false]);
    }
}
