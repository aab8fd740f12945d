//! What was told to all sessions, kept for those who had not entered yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;

use super::drain::Drain;
use super::note::{Names, RuleChanges};
use crate::config::plan::Rules;
use crate::end::Reason;

/// Sweeps remembered for those who were still shaking hands; the oldest is forgotten first. As many
/// are of callers that end sessions, and of all else: who logs users out by the hundred must not
/// have it forgotten that a backend goes.
const SWEEPS_KEPT_MAX: usize = 64;

/// How long a sweep is remembered: longer than any handshake may take.
const SWEEPS_KEPT_FOR: Duration = Duration::from_secs(300);

/// What was told to all.
pub(super) struct Sweep {
    pub(super) given: Moment,
    pub(super) what: SweepNote,
}

impl Sweep {
    /// Whether single sessions are ended by it, of which there may be many.
    fn is_kick(&self) -> bool {
        matches!(&self.what, SweepNote::Drain(drain) if drain.reason == Reason::Kick)
    }
}

pub(super) enum SweepNote {
    Drain(Arc<Drain>),
    Renamed(Arc<Names>),
}

/// The last sweeps, in order; of new rules the last of each route, since one reload may have those
/// of ten thousand routes.
#[derive(Default)]
pub(super) struct Sweeps {
    sweeps: VecDeque<Sweep>,
    rules: HashMap<Arc<str>, (Moment, Arc<Rules>)>,
}

impl Sweeps {
    pub(super) fn keep(&mut self, sweep: Sweep) {
        let now = sweep.given;
        self.sweeps.retain(|old| now.since(old.given) <= SWEEPS_KEPT_FOR);
        let is_kick = sweep.is_kick();
        let alike = |old: &Sweep| old.is_kick() == is_kick;
        if self.sweeps.iter().filter(|old| alike(old)).count() >= SWEEPS_KEPT_MAX
            && let Some(oldest) = self.sweeps.iter().position(alike)
        {
            self.sweeps.remove(oldest);
        }
        self.sweeps.push_back(sweep);
    }

    /// Puts orders in the place of others; those that match nothing any more are forgotten.
    pub(super) fn revise(&mut self, mut revise: impl FnMut(&Arc<Drain>) -> Option<Arc<Drain>>) {
        for sweep in &mut self.sweeps {
            if let SweepNote::Drain(drain) = &mut sweep.what
                && let Some(revised) = revise(drain)
            {
                *drain = revised;
            }
        }
    }

    /// New rules, given at this moment.
    pub(super) fn keep_rules(&mut self, changes: &RuleChanges, now: Moment) {
        // Keys as well: the old ones are those of a plan that is gone.
        self.rules.retain(|route, (given, _)| {
            now.since(*given) <= SWEEPS_KEPT_FOR && !changes.contains_key(route)
        });
        let new = changes.iter().map(|(route, rules)| (route.clone(), (now, rules.clone())));
        self.rules.extend(new);
    }

    /// Whether nothing is kept that anyone can have missed.
    pub(super) fn is_empty(&self) -> bool {
        self.sweeps.is_empty() && self.rules.is_empty()
    }

    /// The route's last rules, where they were given at this moment or later.
    pub(super) fn rules_since(&self, route: &str, moment: Moment) -> Option<Arc<Rules>> {
        let (given, rules) = self.rules.get(route)?;
        (moment <= *given).then(|| Arc::clone(rules))
    }

    /// Those given at this moment or later.
    pub(super) fn since(&self, moment: Moment) -> impl Iterator<Item = &Sweep> {
        self.sweeps.iter().filter(move |sweep| moment <= sweep.given)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Selector;
    use super::super::tests::{at_once, rules};
    use super::*;

    #[test]
    fn a_backend_that_goes_is_not_forgotten_for_all_the_sessions_that_callers_end() {
        let mut sweeps = Sweeps::default();
        let given = Moment::from_millis(1_000);
        let mut keep = |reason| {
            let drain = Arc::new(at_once(Selector::All, reason));
            sweeps.keep(Sweep { given, what: SweepNote::Drain(drain) });
        };
        keep(Reason::Removed);
        (0..1_000).for_each(|_| keep(Reason::Kick));
        let kept = || sweeps.since(given).map(Sweep::is_kick).collect::<Vec<_>>();
        assert_eq!((kept().len(), kept()[0]), (SWEEPS_KEPT_MAX + 1, false));
        (0..1_000).for_each(|_| {
            let drain = Arc::new(at_once(Selector::All, Reason::Removed));
            sweeps.keep(Sweep { given, what: SweepNote::Drain(drain) });
        });
        assert_eq!(sweeps.since(given).count(), 2 * SWEEPS_KEPT_MAX);
    }

    #[test]
    fn of_each_route_the_last_rules_are_kept_and_nothing_of_older_plans() {
        let mut sweeps = Sweeps::default();
        let at = |second: u64| Moment::from_millis(second * 1_000);
        let first: Arc<str> = "/chat".into();
        sweeps.keep_rules(&RuleChanges::from([(Arc::clone(&first), rules(1))]), at(1));
        for second in 2..200 {
            sweeps.keep_rules(&RuleChanges::from([("/chat".into(), rules(second))]), at(second));
        }
        assert_eq!(Arc::strong_count(&first), 1);
        let close_timeout = |since| Some(sweeps.rules_since("/chat", at(since))?.close_timeout);
        assert_eq!(close_timeout(3), Some(Duration::from_secs(199)));
        assert_eq!((close_timeout(200), sweeps.rules.len()), (None, 1));
        sweeps.keep_rules(&RuleChanges::from([("/other".into(), rules(1))]), at(600));
        assert_eq!(sweeps.rules.len(), 1);
    }
}
