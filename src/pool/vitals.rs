//! The health of one backend: what real requests have shown, and what probes have found. It is
//! given work while both let it. Pure: the moment is an argument.

use std::sync::Arc;
use std::time::Duration;

use super::health::{Change, Evidence, PassiveHealth, Standing};
use super::probed::{ProbeOutcome, ProbeState, ProbeVerdict, ProbedHealth, VerdictChange};
use crate::base::clock::Moment;
use crate::config::plan::Health as Rules;

/// What is known of a backend's health.
#[derive(Clone, Debug, Default)]
pub(super) struct Vitals {
    passive: PassiveHealth,
    probed: ProbedHealth,
    /// It is new, and no probe of it has passed: of consequence where `before_use` is wanted.
    is_new: bool,
}

/// What one report changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct VitalsChange {
    /// What requests say.
    pub(super) passive: Option<Change>,
    /// What probes say.
    pub(super) probed: Option<VerdictChange>,
}

impl Vitals {
    /// Those of a backend that was not there before.
    pub(super) fn of_new() -> Vitals {
        Vitals { is_new: true, ..Vitals::default() }
    }

    /// It has worked before, for another process.
    pub(super) fn trust(&mut self) {
        self.is_new = false;
    }

    /// These rules are in force: what probes have found is forgotten where there are none.
    pub(super) fn apply(&mut self, rules: &Rules) {
        if rules.probe.is_none() {
            (self.probed, self.is_new) = (ProbedHealth::default(), false);
        }
    }

    /// Whether it is given work at this moment.
    pub(super) fn standing(&self, now: Moment, rules: &Rules) -> Standing {
        let passive = self.passive.standing(now);
        let Some(probe) = &rules.probe else { return passive };
        match (self.probed.verdict(), passive) {
            (ProbeVerdict::Unproven, _) if self.is_new && probe.before_use => Standing::Unproven,
            (ProbeVerdict::Failing, Standing::Ejected { until }) => Standing::Ejected { until },
            // No request is its trial: the next probe is.
            (ProbeVerdict::Failing, Standing::Trial) => {
                Standing::Ejected { until: now.after(probe.every) }
            }
            // It can be reached, and is used before those that cannot where too few are left.
            (ProbeVerdict::Failing, _) => {
                Standing::Ejected { until: self.probed.failing_since().unwrap_or(now) }
            }
            (ProbeVerdict::Unproven | ProbeVerdict::Passing, passive) => passive,
        }
    }

    /// Whether it was not found to be out of reach, whatever else speaks against it.
    pub(super) fn is_reachable(&self) -> bool {
        self.passive.ejected_since().is_none()
    }

    /// Since when work has been kept from it, trials that failed included; `None` when it is not.
    pub(super) fn out_since(&self, rules: &Rules) -> Option<Moment> {
        let failing = rules.probe.as_ref().and_then(|_| self.probed.failing_since());
        [self.passive.ejected_since(), failing].into_iter().flatten().min()
    }

    /// [`Vitals::out_since`], if that is so long that its sessions are to leave.
    pub(super) fn stays_out(&self, now: Moment, rules: &Rules) -> Option<Moment> {
        let after = rules.sessions_after;
        let failing = rules.probe.as_ref().and_then(|_| self.probed.failing_since());
        let fails_long = failing.is_some_and(|since| now.since(since) >= after);
        let stays = fails_long || self.passive.stays_unreachable(now, after).is_some();
        if stays { self.out_since(rules) } else { None }
    }

    /// What part of its weight it is given at this moment, in thousandths.
    pub(super) fn share(&mut self, now: Moment, slow_start: Duration) -> u64 {
        self.passive.share(now, slow_start)
    }

    /// A request is sent to it.
    pub(super) fn begin_trial(&mut self, now: Moment, rules: &Rules) {
        self.passive.begin_trial(now, rules);
    }

    /// When somebody who waits may try it although it is ejected; `None` when it is not.
    pub(super) fn waiting_trial(&self) -> Option<Moment> {
        self.passive.waiting_trial()
    }

    /// Somebody who waits tries it.
    pub(super) fn begin_waiting_trial(&mut self, now: Moment) {
        self.passive.begin_waiting_trial(now);
    }

    /// Records what an attempt of this client told.
    pub(super) fn record(
        &mut self,
        evidence: Evidence,
        client: Option<u64>,
        now: Moment,
        rules: &Rules,
    ) -> VitalsChange {
        let passive = self.passive.record(evidence, client, now, rules);
        let probed = match evidence {
            Evidence::Healthy => self.probed.reached(now),
            _ => None,
        };
        VitalsChange { passive, probed }
    }

    /// Records what a probe came to; a probe that is not wanted any more tells nothing.
    pub(super) fn probed(
        &mut self,
        outcome: ProbeOutcome,
        now: Moment,
        rules: &Rules,
    ) -> VitalsChange {
        let Some(probe) = &rules.probe else { return VitalsChange::default() };
        let (passed, is_unreachable) = match &outcome {
            ProbeOutcome::Passed => (true, false),
            ProbeOutcome::Unreachable(_) => (false, true),
            ProbeOutcome::Failed(_) => (false, false),
        };
        let probed = self.probed.record(outcome, now, probe);
        let passive = match probed {
            // Work is kept from it, and who waits for one tries it now and then.
            Some(VerdictChange::Failing(failures)) if is_unreachable => {
                self.passive.fall(failures, now, rules)
            }
            _ if passed && self.probed.verdict() == ProbeVerdict::Passing => self.passive.rise(now),
            _ => None,
        };
        if probed == Some(VerdictChange::Passing { was_failing: true }) {
            self.passive.start_slowly(now);
        }
        VitalsChange { passive, probed }
    }

    /// What there is to see of its probes; `None` where there are none.
    pub(super) fn probe_state(&self, rules: &Rules) -> Option<ProbeState> {
        rules.probe.as_ref().map(|_| self.probed.state())
    }
}

impl VitalsChange {
    /// Says in the log what has changed.
    pub(super) fn tell(&self, pool: &str, backend: &str, reachable: bool, error: Option<Arc<str>>) {
        match self.probed {
            Some(VerdictChange::Failing(failures)) => {
                let error = error.as_deref().unwrap_or_default();
                tracing::warn!(%pool, %backend, failures, error, "backend fails its probes");
            }
            Some(VerdictChange::Passing { was_failing: true }) => {
                tracing::info!(%pool, %backend, "backend passes its probes again");
            }
            Some(VerdictChange::Passing { was_failing: false }) => {
                tracing::debug!(%pool, %backend, "backend passes its probes");
            }
            None => {}
        }
        match self.passive {
            None => {}
            Some(Change::Recovered) => {
                tracing::info!(%pool, %backend, "backend recovered");
            }
            Some(Change::Ejected { failures, wait }) => {
                let seconds = wait.as_secs_f64();
                tracing::warn!(%pool, %backend, failures, reachable, seconds, "backend ejected");
            }
        }
    }
}
