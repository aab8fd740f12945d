//! One rule at work.

use std::net::IpAddr;
use std::sync::Arc;

use super::denial::{Denial, DenialReason};
use crate::config::plan::{AccessRule, AccessTest};
use crate::observe::metrics::{AccessMetrics, Metrics};

/// Who wants to pass, as far as a rule asks.
#[derive(Clone, Copy, Debug)]
pub struct Applicant {
    /// The client's address, as the log has it; `None` is the peer of a unix socket.
    pub client: Option<IpAddr>,
}

/// A rule and what it needs at work. The same `Arc` over reloads that do not change the rule.
#[derive(Debug)]
pub struct Verifier {
    plan: Arc<AccessRule>,
    cells: Arc<AccessMetrics>,
}

impl Verifier {
    /// Puts a rule to work, going on with the one before where it is the same.
    pub fn build(
        plan: &Arc<AccessRule>,
        before: Option<&Arc<Verifier>>,
        metrics: &Metrics,
    ) -> Arc<Verifier> {
        match before.filter(|before| before.plan == *plan) {
            Some(before) => Arc::clone(before),
            None => {
                let cells = metrics.access(&plan.name);
                Arc::new(Verifier { plan: Arc::clone(plan), cells })
            }
        }
    }

    /// Whether the applicant may pass.
    pub(super) fn verify(&self, applicant: &Applicant) -> Result<(), Denial> {
        let verdict = match &self.plan.test {
            AccessTest::Addresses(lists) if lists.allows(applicant.client) => Ok(()),
            AccessTest::Addresses(_) => Err(DenialReason::Address),
        };
        verdict.map_err(|reason| Denial { rule: Arc::clone(&self.plan.name), reason })
    }

    /// Counts a request that the rule keeps out.
    pub(super) fn count(&self, reason: DenialReason) {
        self.cells.denied.count(reason);
    }
}
