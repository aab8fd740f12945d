//! Which backends have too many sessions, and how many leave them now. Pure: the moment is an
//! argument.
//!
//! A pool that grew is uneven until its long sessions have ended, which may take days. Here it is
//! decided who is asked to move. So that nothing swings, a pool must be uneven for a while before
//! anything is done; a change of its backends begins that while anew; once begun, it is levelled to
//! half of the threshold; and what was asked and is not seen yet counts as done.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan;

/// How long a session that was asked to move may take, until it is counted where it is again.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// What of the rate may be made up for at once when a look comes late.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// How one backend stands.
#[derive(Clone, Debug)]
pub struct Level {
    /// Its address.
    pub backend: Arc<str>,
    /// Its sessions.
    pub sessions: usize,
    /// Its share, by the same measure as the others'; 0 for one that should have none, such as a
    /// backup while others are up.
    pub weight: u64,
    /// Sessions it may have.
    pub sessions_max: Option<usize>,
}

/// So many sessions of a backend are to move to others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leave {
    /// The backend's address.
    pub backend: Arc<str>,
    /// How many.
    pub sessions: usize,
}

/// What a look has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// Sessions that would have to move for the pool to be even; 0 while it is even enough.
    pub would_move: usize,
    /// Those to be moved now.
    pub leave: Vec<Leave>,
}

/// What is remembered of a pool between looks.
#[derive(Debug, Default)]
pub struct Rebalance {
    /// The backends that should have sessions.
    members: Vec<Arc<str>>,
    /// Since when it is uneven.
    uneven: Option<Moment>,
    /// For how long it was before that, in a process before this one.
    waited: Duration,
    /// It was resumed, and no session has been seen yet: they come back to this process.
    is_resumed: bool,
    is_levelling: bool,
    looked: Moment,
    /// Sessions that may be asked by now.
    allowance: f64,
    asked: Vec<PendingMoves>,
}

/// What outlives a process of it: another that takes over goes on with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RebalanceState {
    /// The backends that should have sessions.
    pub members: Vec<Arc<str>>,
    /// For how long the pool has been uneven.
    pub uneven: Option<Duration>,
    /// Whether sessions are being moved.
    pub is_levelling: bool,
}

/// What a backend will have once those that were asked have moved.
#[derive(Debug)]
struct PendingMoves {
    backend: Arc<str>,
    sessions: usize,
    until: Moment,
}

impl Rebalance {
    /// What another process goes on with; `None` where nothing has begun.
    pub fn state(&self, now: Moment) -> Option<RebalanceState> {
        let uneven = self.uneven.map(|since| now.since(since) + self.waited);
        let (members, is_levelling) = (self.members.clone(), self.is_levelling);
        (uneven.is_some() || is_levelling).then_some(RebalanceState {
            members,
            uneven,
            is_levelling,
        })
    }

    /// Goes on with what another process has left.
    pub fn resume(state: RebalanceState, now: Moment) -> Rebalance {
        let RebalanceState { members, uneven, is_levelling } = state;
        // The clock of this process may not have run for so long.
        let waited = uneven.unwrap_or_default();
        Rebalance {
            members,
            uneven: uneven.map(|_| now),
            waited,
            is_resumed: true,
            is_levelling,
            looked: now,
            ..Rebalance::default()
        }
    }

    /// Whether sessions are being moved.
    pub fn is_levelling(&self) -> bool {
        self.is_levelling
    }

    /// Fewer sessions of a backend were told than were to leave it: what was not asked does not
    /// count.
    pub fn told(&mut self, backend: &str, wanted: usize, told: usize) {
        let missing = wanted.saturating_sub(told);
        if let Some(asked) = self.asked.iter_mut().find(|asked| *asked.backend == *backend) {
            asked.sessions += missing;
            self.allowance += missing as f64;
        }
    }

    /// Looks at a pool's backends; to be done every second or so.
    pub fn look(&mut self, now: Moment, levels: &[Level], rules: &plan::Rebalance) -> Look {
        let members = levels.iter().filter(|level| level.weight > 0);
        let members: Vec<_> = members.map(|level| Arc::clone(&level.backend)).collect();
        if members != self.members {
            (self.uneven, self.is_levelling, self.members) = (None, false, members);
            self.waited = Duration::ZERO;
        }
        self.is_resumed &= levels.iter().all(|level| level.sessions == 0);
        if self.is_resumed {
            return Look::default();
        }
        let fair = fair(levels);
        let targets = targets(levels, &fair);
        let seen: Vec<usize> = levels.iter().map(|level| level.sessions).collect();
        let threshold = f64::from(rules.threshold_percent) / 100.0;
        let would_move = match is_within(levels, &fair, &seen, threshold, 1.0) {
            true => 0,
            false => excess(&targets, &seen),
        };
        self.decide(now, would_move > 0, rules.after);
        let mut leave = Vec::new();
        let expected = self.expected(now, levels);
        if self.is_levelling && is_within(levels, &fair, &expected, threshold / 2.0, 0.0) {
            self.is_levelling = expected != seen;
        } else if self.is_levelling {
            let total: usize = seen.iter().sum();
            let most = self.allowed(now, total, rules.percent_per_minute_max);
            leave = self.ask(now, levels, &targets, expected, most);
        }
        self.looked = now;
        Look { would_move, leave }
    }

    fn decide(&mut self, now: Moment, is_uneven: bool, after: Duration) {
        if !is_uneven {
            (self.uneven, self.waited) = (None, Duration::ZERO);
            return;
        }
        let since = *self.uneven.get_or_insert(now);
        if !self.is_levelling && now.since(since) + self.waited >= after {
            (self.is_levelling, self.allowance, self.looked) = (true, 0.0, now);
        }
    }

    /// What the backends will have when those that were asked have moved.
    fn expected(&mut self, now: Moment, levels: &[Level]) -> Vec<usize> {
        self.asked.retain(|asked| now < asked.until);
        let expected = levels.iter().map(|level| {
            let asked = self.asked.iter().find(|asked| asked.backend == level.backend);
            asked.map_or(level.sessions, |asked| asked.sessions.min(level.sessions))
        });
        expected.collect()
    }

    /// How many may be asked now, by the rate.
    fn allowed(&mut self, now: Moment, total: usize, percent_per_minute: u32) -> usize {
        let per_second = total as f64 * f64::from(percent_per_minute) / 100.0 / 60.0;
        let passed = now.since(self.looked).min(CATCH_UP_MAX).as_secs_f64();
        let most = 1.0 + per_second * CATCH_UP_MAX.as_secs_f64();
        self.allowance = (self.allowance + per_second * passed).min(most);
        self.allowance as usize
    }

    /// Shares out what may be asked: always to the backend that is furthest above its target.
    fn ask(
        &mut self,
        now: Moment,
        levels: &[Level],
        targets: &[usize],
        mut expected: Vec<usize>,
        most: usize,
    ) -> Vec<Leave> {
        let before = expected.clone();
        for _ in 0..most.min(excess(targets, &expected)) {
            let above = |index: &usize| expected[*index].saturating_sub(targets[*index]);
            let Some(highest) = (0..expected.len()).max_by_key(above) else { break };
            expected[highest] -= 1;
        }
        let mut leave = Vec::new();
        for (index, level) in levels.iter().enumerate() {
            let sessions = before[index] - expected[index];
            if sessions == 0 {
                continue;
            }
            let backend = Arc::clone(&level.backend);
            self.allowance -= sessions as f64;
            self.asked.retain(|asked| asked.backend != backend);
            let until = now.after(SETTLE_TIMEOUT);
            let asked =
                PendingMoves { backend: Arc::clone(&backend), sessions: expected[index], until };
            self.asked.push(asked);
            leave.push(Leave { backend, sessions });
        }
        leave
    }
}

/// What each backend should have: by weight, and where that is more than it may have, that much.
pub(super) fn fair(levels: &[Level]) -> Vec<f64> {
    let mut fair: Vec<f64> = vec![0.0; levels.len()];
    let mut is_full = vec![false; levels.len()];
    let mut left = levels.iter().map(|level| level.sessions).sum::<usize>() as f64;
    // Each round fills at least one backend, or is the last.
    for _ in 0..levels.len() {
        let open = || (0..levels.len()).filter(|index| !is_full[*index]);
        let weights: u64 = open().map(|index| levels[index].weight).sum();
        if weights == 0 {
            break;
        }
        let share = left / weights as f64;
        let over = |index: &usize| {
            let most = levels[*index].sessions_max.map_or(f64::INFINITY, |most| most as f64);
            share * levels[*index].weight as f64 > most
        };
        let full: Vec<usize> = open().filter(over).collect();
        if full.is_empty() {
            open().for_each(|index| fair[index] = share * levels[index].weight as f64);
            break;
        }
        for index in full {
            fair[index] = levels[index].sessions_max.unwrap_or_default() as f64;
            is_full[index] = true;
            left -= fair[index];
        }
    }
    fair
}

/// The fair shares in whole sessions, which add up to all there are: each rounded down, then one
/// more for those with the largest remainders, and of equal ones for who has most. What none may
/// have stays where it is.
pub(super) fn targets(levels: &[Level], fair: &[f64]) -> Vec<usize> {
    let total: usize = levels.iter().map(|level| level.sessions).sum();
    let mut targets: Vec<usize> = fair.iter().map(|fair| fair.floor() as usize).collect();
    let mut left = total.saturating_sub(targets.iter().sum());
    let mut order: Vec<usize> = (0..levels.len()).filter(|index| fair[*index] > 0.0).collect();
    order.sort_by(|one, other| {
        let remainder = |index: usize| fair[index] - fair[index].floor();
        let by_remainder = remainder(*other).total_cmp(&remainder(*one));
        by_remainder.then(levels[*other].sessions.cmp(&levels[*one].sessions))
    });
    let may_have_more =
        |index: usize, target: usize| levels[index].sessions_max.is_none_or(|most| target < most);
    for index in order {
        if left > 0 && may_have_more(index, targets[index]) {
            targets[index] += 1;
            left -= 1;
        }
    }
    for (target, level) in targets.iter_mut().zip(levels) {
        let stays = left.min(level.sessions.saturating_sub(*target));
        *target += stays;
        left -= stays;
    }
    targets
}

/// How many sessions are above their backends' targets.
fn excess(targets: &[usize], sessions: &[usize]) -> usize {
    targets.iter().zip(sessions).map(|(target, had)| had.saturating_sub(*target)).sum()
}

/// Whether all backends are within `part` of their fair shares and `slack` sessions more; what
/// cannot be shared out in whole sessions does not count.
fn is_within(levels: &[Level], fair: &[f64], sessions: &[usize], part: f64, slack: f64) -> bool {
    (0..levels.len()).all(|index| {
        let (fair, had) = (fair[index], sessions[index] as f64);
        let most = (fair * (1.0 + part)).max(fair.ceil()) + slack;
        let least = (fair * (1.0 - part)).min(fair.floor()) - slack;
        had <= most && had >= least
    })
}
