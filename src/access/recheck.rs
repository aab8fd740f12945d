//! The question to an auth server, asked once more for a session that lives.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::applicant::Rechecked;
use super::forward::{self, AuthError};
use super::proof::{AccessProof, ProofKind, StoredQuestion};
use super::verifier::Verifier;
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::config::plan::{AccessTest, AuthServer};
use crate::rewrite::Outbound;

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecheckVerdict {
    /// The session may live on; until another moment, where the server says one.
    Good(Option<Moment>),
    /// It may not.
    Revoked,
    /// The server says nothing. Without an answer since the last good one the session may live so
    /// long; for good when `None`.
    Unanswered(Option<Duration>),
}

impl Label for RecheckVerdict {
    fn label(&self) -> &'static str {
        match self {
            RecheckVerdict::Good(_) => "good",
            RecheckVerdict::Revoked => "revoked",
            RecheckVerdict::Unanswered(_) => "unanswered",
        }
    }
}

impl Verifier {
    /// How often sessions are asked about that were opened with this proof.
    pub fn recheck_interval(&self, proof: &AccessProof) -> Option<Duration> {
        match (self.test(), &proof.kind) {
            (AccessTest::Forward(rule), ProofKind::Question(_)) => rule.recheck,
            _ => None,
        }
    }

    /// Whether the token of this proof was taken back.
    pub fn is_revoked(&self, proof: &AccessProof) -> bool {
        match (self.test(), &proof.kind) {
            (AccessTest::Jwt(jwt), ProofKind::Token(names)) => {
                let revoked = jwt.revoked.as_ref();
                revoked.is_some_and(|revoked| names.iter().any(|name| revoked.list.has(name)))
            }
            _ => false,
        }
    }

    /// Asks whether a session may live on that was opened with this proof; `None` where the rule
    /// does not ask again.
    pub async fn recheck(&self, proof: &AccessProof, who: Rechecked<'_>) -> Option<RecheckVerdict> {
        let (AccessTest::Forward(rule), ProofKind::Question(question)) = (self.test(), &proof.kind)
        else {
            return None;
        };
        rule.recheck?;
        let standing = match self.ask_again(rule, question, who).await {
            Ok(Some(expires)) => RecheckVerdict::Good(expires),
            Ok(None) => RecheckVerdict::Revoked,
            Err(error) => {
                if !self.is_unanswered.swap(true, Ordering::Relaxed) {
                    let rule = &*proof.rule;
                    tracing::warn!(rule, %error, "live sessions cannot be asked about");
                }
                let most = rule.on_error.map(|_| rule.recheck_stale_max);
                self.cells().rechecks.count(RecheckVerdict::Unanswered(most));
                return Some(RecheckVerdict::Unanswered(most));
            }
        };
        if self.is_unanswered.swap(false, Ordering::Relaxed) {
            tracing::info!(rule = &*proof.rule, "live sessions are asked about again");
        }
        self.cells().rechecks.count(standing);
        Some(standing)
    }

    /// Until when the session may live, where that is said; `None` where it may not live on.
    async fn ask_again(
        &self,
        rule: &AuthServer,
        question: &StoredQuestion,
        who: Rechecked<'_>,
    ) -> Result<Option<Option<Moment>>, AuthError> {
        let (Some(outbound), Some(pool)) = (Outbound::restore(&question.0), self.pool()) else {
            return Err(AuthError::NotAsked);
        };
        let Some(answer) = forward::ask_again(rule, pool, &outbound, who).await? else {
            return Ok(None);
        };
        Ok(Some(match rule.expires {
            Some(_) => Some(forward::expires(rule, &answer)?),
            None => None,
        }))
    }
}
