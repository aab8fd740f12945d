//! What probes say of one backend: so many failed in a row keep work from it, so many passed bring
//! it back. Pure: the moment is an argument.

use std::sync::Arc;

use crate::base::clock::Moment;
use crate::config::plan::Probe as Rules;

/// What a probe came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeOutcome {
    /// The backend did all that it was asked.
    Passed,
    /// It could not be reached, as this tells.
    Unreachable(Arc<str>),
    /// It was reached, and did not do as it should.
    Failed(Arc<str>),
}

impl ProbeOutcome {
    /// What was wrong.
    pub(super) fn error(&self) -> Option<&Arc<str>> {
        match self {
            ProbeOutcome::Passed => None,
            ProbeOutcome::Unreachable(error) | ProbeOutcome::Failed(error) => Some(error),
        }
    }
}

/// What probes have found of a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProbeVerdict {
    /// None has passed yet, and not enough have failed.
    #[default]
    Unproven,
    /// It can do its work.
    Passing,
    /// It cannot.
    Failing,
}

/// What a probe changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VerdictChange {
    /// It passes from now on; whether work was kept from it until now.
    Passing {
        /// It had failed before.
        was_failing: bool,
    },
    /// So many have failed in a row.
    Failing(u32),
}

/// What there is to see of a backend's probes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeState {
    /// What they have found.
    pub verdict: ProbeVerdict,
    /// Since when.
    pub since: Moment,
    /// When the last one ended.
    pub last: Option<Moment>,
    /// What was wrong at the last one, if anything was.
    pub error: Option<Arc<str>>,
}

/// The probes of one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbedHealth {
    verdict: ProbeVerdict,
    since: Moment,
    /// Probes in a row that ended as the last one did.
    passed: u32,
    failed: u32,
    /// Whether the last one that failed did not reach it.
    was_unreachable: bool,
    last: Option<Moment>,
    error: Option<Arc<str>>,
}

impl ProbedHealth {
    pub(super) fn verdict(&self) -> ProbeVerdict {
        self.verdict
    }

    /// Since when it has failed, if it does.
    pub(super) fn failing_since(&self) -> Option<Moment> {
        (self.verdict == ProbeVerdict::Failing).then_some(self.since)
    }

    /// What there is to see.
    pub(super) fn state(&self) -> ProbeState {
        let (verdict, since, last) = (self.verdict, self.since, self.last);
        ProbeState { verdict, since, last, error: self.error.clone() }
    }

    /// Counts a probe.
    pub(super) fn record(
        &mut self,
        outcome: ProbeOutcome,
        now: Moment,
        rules: &Rules,
    ) -> Option<VerdictChange> {
        self.last = Some(now);
        let is_unreachable = matches!(outcome, ProbeOutcome::Unreachable(_));
        match outcome {
            ProbeOutcome::Passed => {
                (self.failed, self.error) = (0, None);
                self.passed = self.passed.saturating_add(1);
                let was_failing = self.verdict == ProbeVerdict::Failing;
                let is_enough = match self.verdict {
                    ProbeVerdict::Passing => false,
                    // The first is enough where nothing speaks against it.
                    ProbeVerdict::Unproven => true,
                    ProbeVerdict::Failing => self.passed >= rules.rise,
                };
                is_enough.then(|| self.pass(now, was_failing))
            }
            ProbeOutcome::Unreachable(error) | ProbeOutcome::Failed(error) => {
                (self.passed, self.error) = (0, Some(error));
                self.was_unreachable = is_unreachable;
                self.failed = self.failed.saturating_add(1);
                let fails = self.verdict != ProbeVerdict::Failing && self.failed >= rules.fall;
                fails.then(|| {
                    (self.verdict, self.since) = (ProbeVerdict::Failing, now);
                    VerdictChange::Failing(self.failed)
                })
            }
        }
    }

    /// It has answered somebody: what failed for not reaching it is disproved.
    pub(super) fn reached(&mut self, now: Moment) -> Option<VerdictChange> {
        let is_disproved = self.verdict == ProbeVerdict::Failing && self.was_unreachable;
        is_disproved.then(|| {
            self.failed = 0;
            self.pass(now, true)
        })
    }

    fn pass(&mut self, now: Moment, was_failing: bool) -> VerdictChange {
        (self.verdict, self.since) = (ProbeVerdict::Passing, now);
        VerdictChange::Passing { was_failing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::{Probe, ProbeCheck};

    fn failed() -> ProbeOutcome {
        ProbeOutcome::Failed("no".into())
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn so_many_in_a_row_change_the_verdict_and_one_of_the_other_kind_begins_anew() {
        let rules = Probe { rise: 2, fall: 3, ..Probe::new(ProbeCheck::Tcp) };
        let mut probed = ProbedHealth::default();
        let mut record = |outcome, second| probed.record(outcome, at(second), &rules);
        assert_eq!(record(failed(), 1), None);
        assert_eq!(
            record(ProbeOutcome::Passed, 2),
            Some(VerdictChange::Passing { was_failing: false })
        );
        assert_eq!(record(failed(), 3), None);
        assert_eq!(record(failed(), 4), None);
        assert_eq!(record(ProbeOutcome::Passed, 5), None);
        assert_eq!(record(failed(), 6), None);
        assert_eq!(record(failed(), 7), None);
        assert_eq!(record(failed(), 8), Some(VerdictChange::Failing(3)));
        assert_eq!(record(failed(), 9), None);
        assert_eq!(record(ProbeOutcome::Passed, 10), None);
        assert_eq!(record(failed(), 11), None);
        assert_eq!(record(ProbeOutcome::Passed, 12), None);
        assert_eq!(
            record(ProbeOutcome::Passed, 13),
            Some(VerdictChange::Passing { was_failing: true })
        );
    }

    #[test]
    fn an_answer_to_somebody_disproves_that_it_cannot_be_reached_and_nothing_else() {
        let rules = Probe { fall: 1, ..Probe::new(ProbeCheck::Tcp) };
        let mut probed = ProbedHealth::default();
        probed.record(failed(), at(1), &rules);
        assert_eq!((probed.reached(at(2)), probed.failing_since()), (None, Some(at(1))));
        probed.record(ProbeOutcome::Unreachable("refused".into()), at(3), &rules);
        assert_eq!(probed.reached(at(4)), Some(VerdictChange::Passing { was_failing: true }));
        assert_eq!((probed.reached(at(5)), probed.verdict()), (None, ProbeVerdict::Passing));
    }
}
