//! One rule at work.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::denial::{Denial, DenialReason};
use super::passwords::{Attempt, Checked, PasswordChecker};
use crate::base::network::ClientNetwork;
use crate::config::plan::{AccessRule, AccessTest, Basic};
use crate::observe::metrics::{AccessMetrics, Metrics};
use crate::wire::credentials::{self, BasicCredentials, Shown};

/// Who wants to pass, as far as a rule asks.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The client's address, as the log has it; `None` is the peer of a unix socket.
    pub client: Option<IpAddr>,
    /// What the client's shares are counted by.
    pub network: ClientNetwork,
    /// The fields of the request.
    pub headers: &'a HeaderMap,
}

/// A rule and what it needs at work. The same `Arc` over reloads that do not change the rule.
#[derive(Debug)]
pub struct Verifier {
    plan: Arc<AccessRule>,
    cells: Arc<AccessMetrics>,
    passwords: Arc<PasswordChecker>,
    /// What a client is told that shows nothing, or nothing good.
    challenge: Option<HeaderValue>,
}

impl Verifier {
    /// Puts a rule to work, going on with the one before where it is the same.
    pub fn build(
        plan: &Arc<AccessRule>,
        before: Option<&Arc<Verifier>>,
        passwords: &Arc<PasswordChecker>,
        metrics: &Metrics,
    ) -> Arc<Verifier> {
        match before.filter(|before| before.plan == *plan) {
            Some(before) => Arc::clone(before),
            None => Arc::new(Verifier {
                plan: Arc::clone(plan),
                cells: metrics.access(&plan.name),
                passwords: Arc::clone(passwords),
                challenge: challenge(&plan.test),
            }),
        }
    }

    /// Whether the applicant may pass.
    pub(super) async fn verify(&self, applicant: &Applicant<'_>) -> Result<(), Denial> {
        let verdict = match &self.plan.test {
            AccessTest::Addresses(lists) if lists.allows(applicant.client) => Ok(()),
            AccessTest::Addresses(_) => Err(DenialReason::Address),
            AccessTest::Basic(basic) => self.password(basic, applicant).await,
        };
        verdict.map_err(|reason| self.denial(reason))
    }

    /// Whether name and password are a user's. A name that no user has costs what another costs.
    async fn password(&self, basic: &Basic, applicant: &Applicant<'_>) -> Result<(), DenialReason> {
        let Shown::Credentials(shown) = credentials::basic(applicant.headers) else {
            return Err(DenialReason::NoPassword);
        };
        let BasicCredentials { user, password } = &shown;
        let known = basic.users.get(user);
        let hash = known.or(basic.users.any()).ok_or(DenialReason::Password)?;
        let checked = self.passwords.check(Attempt { user, password, hash }, applicant.network);
        match checked.await {
            Checked::Right if known.is_some() => Ok(()),
            Checked::Right | Checked::Wrong => Err(DenialReason::Password),
            Checked::Busy => Err(DenialReason::PasswordsBusy),
        }
    }

    fn denial(&self, reason: DenialReason) -> Denial {
        let challenge = match reason {
            DenialReason::NoPassword | DenialReason::Password => self.challenge.clone(),
            DenialReason::Address | DenialReason::PasswordsBusy => None,
        };
        Denial { rule: Arc::clone(&self.plan.name), reason, challenge }
    }

    /// Removes what was shown to this rule and is for nobody behind it.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        match &self.plan.test {
            AccessTest::Basic(basic) if basic.strip => credentials::remove(headers, "Basic"),
            AccessTest::Basic(_) | AccessTest::Addresses(_) => {}
        }
    }

    /// Counts a request that the rule keeps out.
    pub(super) fn count(&self, reason: DenialReason) {
        self.cells.denied.count(reason);
    }
}

/// The challenge of a rule: RFC 7617 §2.
fn challenge(test: &AccessTest) -> Option<HeaderValue> {
    match test {
        AccessTest::Addresses(_) => None,
        AccessTest::Basic(basic) => {
            HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", basic.realm))
                .ok()
        }
    }
}
