//! One rule at work.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, Uri};

use super::applicant::Applicant;
use super::denial::{AuthPage, Denial, DenialReason};
use super::even_shares::EvenShares;
use super::forward::{self, AuthError, AuthVerdict};
use super::identity::Identity;
use super::key_set::{FetchedKeys, KeySet, KeySetState};
use super::pass::{Grants, Pass};
use super::passwords::{Checked, PasswordChecker, ShownPassword};
use super::proof::{AccessProof, ProofKind, StoredQuestion};
use super::tokens::{self, VerifiedToken};
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::task::LocalBox;
use crate::config::plan::{AccessRule, AccessTest, AuthServer, Basic, Jwt, TokenKeySource};
use crate::observe::metrics::{AccessMetrics, KeySetFacts, Metrics};
use crate::pool::Pool;
use crate::tls::TlsError;
use crate::wire::credentials::{self, BasicCredentials, Shown};
use crate::wire::fields::is_same_spelt;
use crate::wire::token_keys::TokenKey;
use crate::wire::token_list::TokenList;

/// A rule and what it needs at work. The same `Arc` over reloads that do not change the rule.
#[derive(Debug)]
pub struct Verifier {
    plan: Arc<AccessRule>,
    cells: Arc<AccessMetrics>,
    passwords: Arc<PasswordChecker>,
    /// Keys that are fetched.
    key_set: Option<Arc<KeySet>>,
    /// The pool of a server that is asked.
    pool: Option<Arc<Pool>>,
    /// How early the sessions of its tokens end.
    shares: EvenShares,
    /// Whether that server gave no answer when it was last asked about a live session.
    pub(super) is_unanswered: AtomicBool,
    /// What a client is told that shows nothing, or nothing good.
    challenge: Option<HeaderValue>,
}

impl Verifier {
    /// Puts a rule to work, going on with the one before where it is the same. Keys that were
    /// fetched for a rule of this name are kept where they are of the same URL.
    ///
    /// # Errors
    /// No TLS can be made from the plan.
    pub fn build(
        plan: &Arc<AccessRule>,
        before: Option<&Arc<Verifier>>,
        passwords: &Arc<PasswordChecker>,
        pools: &BTreeMap<Arc<str>, Arc<Pool>>,
        metrics: &Metrics,
    ) -> Result<Arc<Verifier>, TlsError> {
        let pool = match &plan.test {
            AccessTest::Forward(forward) => pools.get(&forward.pool).cloned(),
            _ => None,
        };
        let is_same = |before: &&Arc<Verifier>| {
            before.plan == *plan
                && before.pool.as_ref().map(Arc::as_ptr) == pool.as_ref().map(Arc::as_ptr)
        };
        if let Some(before) = before.filter(is_same) {
            return Ok(Arc::clone(before));
        }
        let cells = metrics.access(&plan.name);
        let key_set = match &plan.test {
            AccessTest::Jwt(jwt) => match &jwt.keys {
                TokenKeySource::Url(url) => {
                    let before = before.and_then(|before| before.key_set.as_ref());
                    Some(KeySet::build(&plan.name, url, before, &cells)?)
                }
                TokenKeySource::Read(_) => None,
            },
            _ => None,
        };
        Ok(Arc::new(Verifier {
            plan: Arc::clone(plan),
            cells,
            passwords: Arc::clone(passwords),
            key_set,
            pool,
            shares: EvenShares::new(),
            is_unanswered: AtomicBool::new(false),
            challenge: challenge(&plan.test),
        }))
    }

    /// What keeps the rule's keys fresh while the rule is in force, where they are fetched; `None`
    /// where that was asked for before. It is for a thread that serves no requests.
    pub fn keep_keys(&self) -> Option<LocalBox<()>> {
        self.key_set.as_ref()?.keep()
    }

    /// How the keys stand that are fetched.
    pub fn key_set_state(&self) -> Option<KeySetState> {
        Some(self.key_set.as_ref()?.state())
    }

    /// The keys that were fetched last, for the process after this one.
    pub fn hand_over_keys(&self) -> Option<FetchedKeys> {
        self.key_set.as_ref()?.hand_over()
    }

    /// Begins with keys that the process before has fetched.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub fn take_keys(&self, handed: &FetchedKeys) -> Result<(), String> {
        self.key_set.as_ref().map_or(Ok(()), |set| set.take(handed))
    }

    /// What a scrape says of them, with the rule's name.
    pub fn key_set_facts(&self) -> Option<(Arc<str>, KeySetFacts)> {
        Some((Arc::clone(&self.plan.name), self.key_set.as_ref()?.facts()))
    }

    /// Whether the applicant may pass.
    pub(super) async fn verify(&self, applicant: &Applicant<'_>) -> Result<Pass, Denial> {
        let verdict = match &self.plan.test {
            AccessTest::Addresses(lists) if lists.allows(applicant.client) => Ok(Pass::FOR_GOOD),
            AccessTest::Addresses(_) => Err(DenialReason::Address),
            AccessTest::Basic(basic) => self.password(basic, applicant).await,
            AccessTest::Jwt(jwt) => self.token(jwt, applicant).await,
            AccessTest::Certificate(wanted) => match applicant.certificate {
                Some(shown) if wanted.takes(shown) => Ok(Pass::FOR_GOOD),
                Some(_) => Err(DenialReason::Certificate),
                None => Err(DenialReason::NoCertificate),
            },
            AccessTest::Forward(rule) => return self.forward(rule, applicant).await,
        };
        verdict.map_err(|reason| self.denial(reason))
    }

    /// Whether name and password are a user's. A name that no user has costs what another costs.
    async fn password(
        &self,
        basic: &Basic,
        applicant: &Applicant<'_>,
    ) -> Result<Pass, DenialReason> {
        let Shown::Credentials(shown) = credentials::basic(applicant.headers) else {
            return Err(DenialReason::NoPassword);
        };
        let BasicCredentials { user, password } = &shown;
        let known = basic.users.get(user);
        let hash = known.or(basic.users.any()).ok_or(DenialReason::Password)?;
        let checked =
            self.passwords.check(ShownPassword { user, password, hash }, applicant.network);
        match checked.await {
            Checked::Right if known.is_some() => {
                Ok(Pass { identity: Identity::of_user(user), ..Pass::FOR_GOOD })
            }
            Checked::Right | Checked::Wrong => Err(DenialReason::Password),
            Checked::Busy => Err(DenialReason::PasswordsBusy),
        }
    }

    /// Whether a request's token lets it pass, and for how long.
    async fn token(&self, jwt: &Jwt, applicant: &Applicant<'_>) -> Result<Pass, DenialReason> {
        let token = match tokens::find(&jwt.places, applicant.headers, applicant.uri) {
            Shown::Credentials(token) => token,
            Shown::Nothing => return Err(DenialReason::NoToken),
            Shown::Unreadable => return Err(DenialReason::TokenRequest),
        };
        let verified = match (&jwt.keys, &self.key_set) {
            (TokenKeySource::Read(keys), _) => verified(&token, &keys.loaded, jwt)?,
            (TokenKeySource::Url(_), Some(set)) => {
                fetched(&token, set, jwt, applicant.network).await?
            }
            (TokenKeySource::Url(_), None) => return Err(DenialReason::NoTokenKeys),
        };
        let VerifiedToken { left, claims } = verified;
        let left = tokens::session_time(jwt, left, self.shares.next());
        let expires = left.map_or(Moment::NEVER, |left| clock::now().after(left));
        let names = tokens::names(&claims);
        let is_listed = |list: &TokenList| names.iter().any(|name| list.has(name));
        if jwt.revoked.as_ref().is_some_and(|revoked| is_listed(&revoked.list)) {
            return Err(DenialReason::TokenRevoked);
        }
        // Kept where there is no list, too: there may be one once the token is in wrong hands.
        let proofs = self.proofs(expires, ProofKind::Token(names));
        Ok(Pass { expires, identity: Identity::of_token(claims), grants: None, proofs })
    }

    fn denial(&self, reason: DenialReason) -> Denial {
        let challenge = match (&self.plan.test, reason) {
            (_, DenialReason::PasswordsBusy | DenialReason::NoTokenKeys) => None,
            (AccessTest::Jwt(_), _) => bearer(&self.plan.name, reason),
            _ => self.challenge.clone(),
        };
        let retry_after = match (reason, &self.key_set) {
            (DenialReason::NoTokenKeys, Some(set)) => Some(set.retry_after()),
            (DenialReason::PasswordsBusy | DenialReason::AuthFailed, _) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        };
        Denial {
            rule: Arc::clone(&self.plan.name),
            reason,
            status: reason.status(),
            challenge,
            retry_after,
            page: None,
            detail: None,
        }
    }

    /// Asks the server of the rule.
    async fn forward(&self, rule: &AuthServer, applicant: &Applicant<'_>) -> Result<Pass, Denial> {
        let mut kind = ProofKind::Time;
        let asked = match (applicant.asking, &self.pool) {
            (Some(asking), Some(pool)) => {
                let question = forward::question(rule, applicant.headers, asking);
                if asking.is_handshake && rule.recheck.is_some() {
                    let stored = question.store();
                    if stored.len() > StoredQuestion::BYTES_MAX {
                        return Err(self.denial(DenialReason::AuthQuestionTooLarge));
                    }
                    kind = ProofKind::Question(StoredQuestion(stored.into()));
                }
                forward::ask(rule, pool, &question, applicant, asking).await
            }
            _ => Err(AuthError::NotAsked),
        };
        let passed = asked.and_then(|verdict| match verdict {
            AuthVerdict::Pass(answer) => {
                let expires = forward::expires(rule, &answer)?;
                Ok(Ok((forward::grants(rule, &answer), expires)))
            }
            AuthVerdict::Denied(page) => Ok(Err(page)),
        });
        match (passed, rule.on_error) {
            (Ok(Ok((grants, expires))), _) => {
                let grants = Some(Box::new(grants)).filter(|grants| **grants != Grants::default());
                Ok(Pass { expires, grants, proofs: self.proofs(expires, kind), ..Pass::FOR_GOOD })
            }
            (Ok(Err(page)), _) => Err(self.denied(page)),
            (Err(_), None) => {
                Ok(Pass { proofs: self.proofs(Moment::NEVER, kind), ..Pass::FOR_GOOD })
            }
            (Err(error), Some(status)) => {
                let detail = Some(error.to_string());
                Err(Denial { status, detail, ..self.denial(DenialReason::AuthFailed) })
            }
        }
    }

    /// What a right by this rule rests on; nothing where it has no end and is not judged again.
    fn proofs(&self, expires: Moment, kind: ProofKind) -> Vec<AccessProof> {
        let proof = AccessProof { rule: Arc::clone(&self.plan.name), expires, kind };
        match expires == Moment::NEVER && !proof.is_judged_again() {
            true => Vec::new(),
            false => vec![proof],
        }
    }

    /// Whether it would refuse a client for its address.
    pub(super) fn refuses_address(&self, client: Option<IpAddr>) -> bool {
        matches!(&self.plan.test, AccessTest::Addresses(lists) if !lists.allows(client))
    }

    /// How far a backend may put off the end of a session; `None` where none ends by this rule.
    pub(super) fn extension_max(&self) -> Option<Duration> {
        match &self.plan.test {
            AccessTest::Jwt(jwt) if jwt.session.expires => {
                Some(jwt.session.extend_max.unwrap_or_default())
            }
            AccessTest::Forward(rule) => rule.expires.as_ref().map(|_| Duration::ZERO),
            _ => None,
        }
    }

    /// What it tests.
    pub(super) fn test(&self) -> &AccessTest {
        &self.plan.test
    }

    /// The pool of the server that it asks.
    pub(super) fn pool(&self) -> Option<&Arc<Pool>> {
        self.pool.as_ref()
    }

    /// Where it counts.
    pub(super) fn cells(&self) -> &AccessMetrics {
        &self.cells
    }

    /// With the server's own answer, where it gave one.
    fn denied(&self, page: Option<AuthPage>) -> Denial {
        let status = page.as_ref().map_or(StatusCode::UNAUTHORIZED, |page| page.status);
        let page = page.map(Box::new);
        Denial { status, page, ..self.denial(DenialReason::AuthDenied) }
    }

    /// Removes what was shown to this rule and is for nobody behind it.
    pub(super) fn strip(&self, head: &mut Parts) {
        match &self.plan.test {
            AccessTest::Basic(basic) if basic.strip => {
                credentials::remove(&mut head.headers, "Basic");
            }
            AccessTest::Jwt(jwt) if jwt.strip => {
                tokens::strip(&jwt.places, &mut head.headers, &mut head.uri);
            }
            AccessTest::Forward(rule) => {
                let is_copied =
                    |name: &&HeaderName| rule.copy.iter().any(|copied| is_same_spelt(copied, name));
                let said: Vec<_> = head.headers.keys().filter(is_copied).cloned().collect();
                for name in said {
                    head.headers.remove(name);
                }
            }
            AccessTest::Basic(_)
            | AccessTest::Jwt(_)
            | AccessTest::Addresses(_)
            | AccessTest::Certificate(_) => {}
        }
    }

    /// Removes from a target what is for no log.
    pub(super) fn redact(&self, uri: &mut Uri) {
        if let AccessTest::Jwt(jwt) = &self.plan.test {
            tokens::redact(&jwt.places, uri);
        }
    }

    /// Counts a request that the rule keeps out.
    pub(super) fn count(&self, reason: DenialReason) {
        self.cells.denied.count(reason);
    }
}

/// Verifies a token at this moment.
fn verified(token: &str, keys: &[TokenKey], jwt: &Jwt) -> Result<VerifiedToken, DenialReason> {
    let since_1970 = clock::since_1970();
    tokens::verify(token, keys, jwt, since_1970.as_secs_f64())
}

/// The same with keys that are fetched: once more with later ones, where they could make it good.
async fn fetched(
    token: &str,
    set: &KeySet,
    jwt: &Jwt,
    client: ClientNetwork,
) -> Result<VerifiedToken, DenialReason> {
    let known = set.keys(client).await;
    let Some(keys) = &known.keys else { return Err(DenialReason::NoTokenKeys) };
    let reason = match verified(token, keys, jwt) {
        Err(reason) if reason.is_of_keys() => reason,
        verdict => return verdict,
    };
    let later = set.later(&known, client).await.and_then(|later| later.keys);
    later.map_or(Err(reason), |keys| verified(token, &keys, jwt))
}

/// The challenge of a rule of tokens: RFC 6750 §3.
fn bearer(rule: &str, reason: DenialReason) -> Option<HeaderValue> {
    let quotable = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    let realm: String = rule.chars().filter(quotable).collect();
    let challenge = match reason.token_error() {
        Some(error) => format!("Bearer realm=\"{realm}\", error=\"{error}\""),
        None => format!("Bearer realm=\"{realm}\""),
    };
    HeaderValue::try_from(challenge).ok()
}

/// The challenge of a rule of passwords: RFC 7617 §2.
fn challenge(test: &AccessTest) -> Option<HeaderValue> {
    match test {
        AccessTest::Basic(basic) => {
            HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", basic.realm))
                .ok()
        }
        _ => None,
    }
}
