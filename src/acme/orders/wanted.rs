//! What a configuration wants of certificates.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::challenge_kind::ChallengeKind;
use crate::config::plan::{Acme, Plan};
use crate::tls::IssuedCertificates;

/// What the process needs of certificates.
#[derive(Clone)]
pub struct AcmeWork {
    /// The configuration in force.
    pub plan: Arc<Plan>,
    /// Where certificates go.
    pub issued: Arc<IssuedCertificates>,
    /// Whether another process orders from now on, or none: the authority is answered all the same,
    /// for the connection that it asks on may lead here still.
    pub is_leaving: bool,
}

/// What is wanted, as the plan says it.
#[derive(Clone, PartialEq)]
pub(super) struct AcmeWanted {
    pub(super) acme: Acme,
    pub(super) names: BTreeSet<Arc<str>>,
    /// The ways to show that a name is ours.
    pub(super) kinds: Vec<ChallengeKind>,
}

impl AcmeWanted {
    /// What a plan wants; nothing where it has no names.
    pub(super) fn of(plan: &Plan) -> Option<AcmeWanted> {
        let acme = plan.acme.clone()?;
        let tls = || plan.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let names: BTreeSet<_> = tls().flat_map(|tls| &tls.acme).cloned().collect();
        let mut kinds = Vec::new();
        match &acme.dns {
            Some(_) => kinds.push(ChallengeKind::Dns),
            None => {
                if plan.listeners.iter().any(|listener| listener.tls.is_none()) {
                    kinds.push(ChallengeKind::Http);
                }
                kinds.push(ChallengeKind::TlsAlpn);
            }
        }
        (!names.is_empty()).then_some(AcmeWanted { acme, names, kinds })
    }
}
