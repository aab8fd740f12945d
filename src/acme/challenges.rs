//! What an authority is answered that asks whether a name is ours: from memory, and where it is not
//! there, from what another instance has put into the directory of state.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::base::clock;
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::tls::Acceptor;

/// Where an authority asks over plain HTTP (HTTP-01, RFC 8555 §8.3); a token follows.
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// Bytes of a token; those in use have 43.
const TOKEN_BYTES_MAX: usize = 128;

/// Questions that wait together for a look at the directory of state, and how long.
const WAITING_MAX: usize = 64;
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// What there is to answer with.
#[derive(Clone, Default)]
pub(super) struct Answers {
    /// Key authorizations by token (HTTP-01).
    pub(super) tokens: HashMap<Arc<str>, Arc<str>>,
    /// By the name that is asked about (TLS-ALPN-01).
    pub(super) acceptors: HashMap<Arc<str>, Arc<Acceptor>>,
}

/// Looks at the directory of state: how many have begun, and how many have ended.
#[derive(Clone, Copy, Default)]
pub(super) struct Looks {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

/// The answers of this process. Everybody asks; one task fills it.
pub struct Challenges {
    pub(super) own: ArcSwap<Answers>,
    pub(super) of_others: ArcSwap<Answers>,
    /// Asks for a look.
    pub(super) asked: Notify,
    /// `None` while nobody looks.
    pub(super) looks: watch::Sender<Option<Looks>>,
    waiting: Arc<Shares>,
}

impl Challenges {
    /// None, and nobody who orders.
    pub fn new() -> Challenges {
        Challenges {
            own: ArcSwap::default(),
            of_others: ArcSwap::default(),
            asked: Notify::new(),
            looks: watch::Sender::new(None),
            waiting: Shares::new(WAITING_MAX),
        }
    }

    /// The key authorization of the token in this path, which a client asks for over plain HTTP;
    /// `None` of every other path, and of a token that no instance has.
    pub async fn key_authorization(&self, path: &str, client: ClientNetwork) -> Option<Arc<str>> {
        let token = path.strip_prefix(CHALLENGE_PATH).filter(|token| is_token(token))?;
        self.find(client, |answers| answers.tokens.get(token).cloned()).await
    }

    /// What answers an authority that asks about this name over TLS.
    pub async fn acceptor(&self, name: &str, client: ClientNetwork) -> Option<Arc<Acceptor>> {
        self.find(client, |answers| answers.acceptors.get(name).cloned()).await
    }

    async fn find<T>(
        &self,
        client: ClientNetwork,
        of: impl Fn(&Answers) -> Option<T>,
    ) -> Option<T> {
        let known = || of(&self.own.load_full()).or_else(|| of(&self.of_others.load_full()));
        if let Some(found) = known() {
            return Some(found);
        }
        // A look that is under way may have begun too early.
        let next = (*self.looks.borrow())?.begun + 1;
        let _place = self.waiting.try_take(client)?;
        let mut looks = self.looks.subscribe();
        self.asked.notify_one();
        let looked = looks.wait_for(|looks| looks.is_none_or(|looks| looks.ended >= next));
        let _ = clock::by(clock::now().after(LOOK_TIMEOUT), looked).await?;
        known()
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").finish_non_exhaustive()
    }
}

/// Whether it is a token: letters of base64url (RFC 8555 §8.1), so that it names a file in its
/// directory and none elsewhere.
pub(super) fn is_token(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_letter)
}
