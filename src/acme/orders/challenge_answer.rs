//! An answer that is there for an authority which asks whether a name is ours (RFC 8555 §8).

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::sleep;

use super::challenge_kind::ChallengeKind;
use super::dns_hook::{self, HookCall};
use super::order_context::OrderContext;
use super::order_error::{OrderError, one_line};
use super::state_dir;
use crate::acme::challenges::{Challenges, is_token};
use crate::config::plan::DnsHook;
use crate::tls::Acceptor;

/// An answer that is there for the authority, until it is removed.
pub(super) struct ChallengeAnswer {
    pub(super) kind: ChallengeKind,
    kept: KeptAnswer,
    record: Option<DnsRecord>,
}

struct DnsRecord {
    hook: DnsHook,
    name: String,
    value: String,
}

/// What of an answer goes when it is dropped, however the order ends.
struct KeptAnswer {
    challenges: Arc<Challenges>,
    path: Option<PathBuf>,
    token: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl KeptAnswer {
    fn new(challenges: &Arc<Challenges>) -> KeptAnswer {
        KeptAnswer { challenges: Arc::clone(challenges), path: None, token: None, name: None }
    }
}

impl Drop for KeptAnswer {
    fn drop(&mut self) {
        self.challenges.change(|answers| {
            self.token.iter().for_each(|token| drop(answers.tokens.remove(token)));
            self.name.iter().for_each(|name| drop(answers.acceptors.remove(name)));
        });
        // One that cannot be removed is removed when it is old.
        self.path.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

impl ChallengeAnswer {
    pub(super) fn http(
        context: &OrderContext<'_>,
        token: &str,
        key: &str,
    ) -> Result<ChallengeAnswer, OrderError> {
        if !is_token(token) {
            let said = format!("the authority's token is none: {:?}", one_line(token));
            return Err(OrderError::NoChallenge(said));
        }
        let mut kept = KeptAnswer::new(context.challenges);
        let (token, key): (Arc<str>, Arc<str>) = (token.into(), key.into());
        let path = context.state.token(&token);
        context.challenges.change(|answers| {
            answers.tokens.insert(Arc::clone(&token), Arc::clone(&key));
        });
        kept.token = Some(token);
        state_dir::write(&path, &key)?;
        kept.path = Some(path);
        Ok(ChallengeAnswer { kind: ChallengeKind::Http, kept, record: None })
    }

    pub(super) fn tls(
        context: &OrderContext<'_>,
        name: &str,
        digest: &[u8],
    ) -> Result<ChallengeAnswer, OrderError> {
        let mut kept = KeptAnswer::new(context.challenges);
        let made = Acceptor::answering(name, digest);
        let made = made.map_err(|error| OrderError::NoChallenge(error.to_string()))?;
        let (name, made): (Arc<str>, _) = (name.into(), Arc::new(made));
        let path = context.state.digest(&name);
        context.challenges.change(|answers| {
            answers.acceptors.insert(Arc::clone(&name), Arc::clone(&made));
        });
        kept.name = Some(name);
        state_dir::write(&path, &hex(digest))?;
        kept.path = Some(path);
        Ok(ChallengeAnswer { kind: ChallengeKind::TlsAlpn, kept, record: None })
    }

    pub(super) async fn dns(
        context: &OrderContext<'_>,
        name: &str,
        value: String,
    ) -> Result<ChallengeAnswer, OrderError> {
        let hook = context.acme.dns.clone();
        let hook = hook.ok_or_else(|| OrderError::NoChallenge("no `acme.dns`".to_owned()))?;
        let name = format!("_acme-challenge.{}", name.trim_start_matches("*."));
        let wait = hook.wait;
        let record = DnsRecord { hook, name, value };
        let kept = KeptAnswer::new(context.challenges);
        let called = dns_hook::call(&record.hook, HookCall::Present, &record.name, &record.value);
        let called = called.await;
        let answer = ChallengeAnswer { kind: ChallengeKind::Dns, kept, record: Some(record) };
        if let Err(error) = called {
            answer.remove().await;
            return Err(error);
        }
        sleep(wait).await;
        Ok(answer)
    }

    /// Removes it; a record that stays is said, and does no harm.
    pub(super) async fn remove(self) {
        drop(self.kept);
        let Some(DnsRecord { hook, name, value }) = self.record else { return };
        if let Err(error) = dns_hook::call(&hook, HookCall::Remove, &name, &value).await {
            tracing::warn!(record = %name, %error, "ACME record is not removed");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that [`hex`] has written; `None` where it was not that.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
