//! The retry budget: how many requests may be tried again, so that a pool in trouble is not given
//! several times its load. Pure: the moment is an argument.

use crate::base::clock::Moment;
use crate::config::plan::Retry;

/// Seconds that are remembered.
const WINDOW: usize = 10;

/// Requests and retries of the last ten seconds.
#[derive(Debug, Default)]
pub struct Budget {
    seconds: [Second; WINDOW],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    /// Which second since the clock's start.
    number: u64,
    requests: u64,
    retries: u64,
}

impl Budget {
    /// Counts a request's first attempt.
    pub fn request(&mut self, now: Moment) {
        self.second(now).requests += 1;
    }

    /// Whether one retry more is within the budget; then it is counted.
    pub fn retry(&mut self, now: Moment, rules: &Retry) -> bool {
        let current = self.second(now);
        let always = current.retries < u64::from(rules.budget_min_per_second);
        let oldest = current.number.saturating_sub(WINDOW as u64 - 1);
        let recent = self.seconds.iter().filter(|second| second.number >= oldest);
        let (requests, retries) = recent.fold((0, 0), |(requests, retries), second| {
            (requests + second.requests, retries + second.retries)
        });
        let within = (retries + 1) * 100 <= requests * u64::from(rules.budget_percent);
        let granted = always || within;
        self.second(now).retries += u64::from(granted);
        granted
    }

    fn second(&mut self, now: Moment) -> &mut Second {
        let number = now.as_millis() / 1000;
        let second = &mut self.seconds[number as usize % WINDOW];
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(budget_percent: u32, budget_min_per_second: u32) -> Retry {
        Retry { attempts_max: 3, budget_percent, budget_min_per_second }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000 + 7)
    }

    fn granted(budget: &mut Budget, now: Moment, rules: &Retry) -> usize {
        (0..1000).filter(|_| budget.retry(now, rules)).count()
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let mut budget = Budget::default();
        (0..100).for_each(|_| budget.request(at(3)));
        assert_eq!(granted(&mut budget, at(3), &rules(20, 0)), 20);
        (0..100).for_each(|_| budget.request(at(4)));
        assert_eq!(granted(&mut budget, at(5), &rules(20, 0)), 20);
    }

    #[test]
    fn what_is_older_than_ten_seconds_no_longer_counts() {
        let mut budget = Budget::default();
        (0..100).for_each(|_| budget.request(at(0)));
        assert_eq!(granted(&mut budget, at(9), &rules(10, 0)), 10);
        assert_eq!(granted(&mut budget, at(10), &rules(10, 0)), 0);
        (0..50).for_each(|_| budget.request(at(18)));
        assert_eq!(granted(&mut budget, at(18), &rules(20, 0)), 0, "ten of second 9 are counted");
        assert_eq!(granted(&mut budget, at(19), &rules(20, 0)), 10);
    }

    #[test]
    fn a_quiet_pool_can_retry_so_often_each_second() {
        let mut budget = Budget::default();
        assert_eq!(granted(&mut budget, at(0), &rules(20, 3)), 3);
        assert_eq!(granted(&mut budget, at(0), &rules(20, 3)), 0);
        assert_eq!(granted(&mut budget, at(1), &rules(20, 3)), 3);
    }
}
