//! An order's task: alone among instances, tried where it costs nothing if it has failed, and given
//! up when another instance has taken over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::Account;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::account::{self, account};
use super::ca_client::{CaClient, with_retry_after};
use super::challenge_kind::ChallengeKind;
use super::failure_note::FailureNote;
use super::name_lock::{LONG_AGO, LockAttempt, NameLock, REFRESH_EVERY, SeenLock};
use super::order_context::OrderContext;
use super::order_error::OrderError;
use super::ordering::{self, Ordered, renewal_window};
use super::schedule::RenewalWindow;
use super::state_dir::{self, FileVersion, StateDir};
use crate::acme::challenges::Challenges;
use crate::acme::states::NameStates;
use crate::base::clock;
use crate::config::plan::Acme;
use crate::tls::IssuedCertificates;

/// The time for a whole order, but for its waits for DNS.
const ORDER_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What orders share.
pub(super) struct OrderShared {
    pub(super) acme: Acme,
    pub(super) state: StateDir,
    pub(super) client: CaClient,
    pub(super) challenges: Arc<Challenges>,
    pub(super) states: Arc<NameStates>,
    pub(super) issued: Arc<IssuedCertificates>,
    /// Held while it is asked for.
    pub(super) account: Mutex<Option<Account>>,
}

/// What came of work for a name.
pub(super) enum Done {
    /// There is a certificate; what could not be written, and why.
    Issued(Box<(Ordered, Option<io::Error>)>),
    /// Another instance is at it.
    Held(SeenLock),
    /// Another instance has done it.
    Elsewhere,
    /// It has failed a while ago, here before a restart or elsewhere.
    Noted(FailureNote),
    Failed(OrderError, Option<Duration>),
    Window(Option<(RenewalWindow, Duration)>),
}

/// What an order begins with.
pub(super) struct OrderWish {
    pub(super) kinds: Vec<ChallengeKind>,
    pub(super) leaf: Option<Arc<[u8]>>,
    pub(super) version: Option<FileVersion>,
    pub(super) seen: Option<SeenLock>,
    pub(super) tries_staging: bool,
    /// What is known here of failures so far.
    pub(super) failures: u32,
    pub(super) now: i64,
}

/// Orders for one name, if no other instance does.
pub(super) async fn order(shared: &OrderShared, name: &str, wish: OrderWish) -> Done {
    let path = shared.state.lock(name);
    let now = (clock::now(), clock::wall());
    let attempt = NameLock::attempt(&path, wish.seen.as_ref(), LONG_AGO, now);
    let lock = match attempt {
        Ok(LockAttempt::Taken(lock)) => lock,
        Ok(LockAttempt::Held(seen)) => return Done::Held(seen),
        Err(error) => return Done::Failed(error.into(), None),
    };
    let file = state_dir::version(&shared.state.certificate(name));
    if file.is_ok_and(|version| version.is_some() && version != wish.version) {
        return Done::Elsewhere;
    }
    let noted = shared.state.noted_failure(name);
    if let Some(note) = noted.filter(|note| note.holds(wish.failures, wish.now)) {
        return Done::Noted(note);
    }
    let limit = order_timeout(&shared.acme);
    let ordered = async {
        // An order is large: each layer would have it on the stack once more.
        let ordered = Box::pin(order_locked(shared, name, &wish));
        let ordered = clock::by(clock::now().after(limit), ordered).await;
        ordered.unwrap_or(Err(OrderError::Timeout(limit)))
    };
    tokio::select! {
        (ordered, retry_after) = with_retry_after(ordered) => match ordered {
            Ok(ordered) => Done::Issued(Box::new(ordered)),
            Err(error) => Done::Failed(error, retry_after),
        },
        error = refresh(&lock) => Done::Failed(error, None),
    }
}

/// The time for a whole order: its waits for DNS, and what an authority may take for the rest that
/// answers each question at the last moment.
fn order_timeout(acme: &Acme) -> Duration {
    let of_dns = acme.dns.as_ref().map(|hook| hook.wait + 2 * hook.timeout);
    ORDER_TIMEOUT + of_dns.unwrap_or_default()
}

async fn order_locked(
    shared: &OrderShared,
    name: &str,
    wish: &OrderWish,
) -> Result<(Ordered, Option<io::Error>), OrderError> {
    if let (true, Some(staging)) = (wish.tries_staging, &shared.acme.directory.staging) {
        Box::pin(try_staging(shared, staging, name, wish)).await?;
    }
    let account = Box::pin(account_of(shared)).await?;
    let context = OrderContext {
        acme: &shared.acme,
        client: &shared.client,
        state: &shared.state,
        challenges: &shared.challenges,
        kinds: &wish.kinds,
        replaces: wish.leaf.as_deref(),
    };
    match Box::pin(ordering::order(&account, name, &context)).await {
        Ok(ordered) => {
            let written = state_dir::write(&shared.state.certificate(name), &ordered.text);
            shared.state.forget_failure(name);
            Ok((ordered, written.err()))
        }
        Err(error) => {
            // Its directory may be another when it is asked for again.
            shared.account.lock().await.take();
            if matches!(error, OrderError::NoAccount) {
                account::forget(&shared.acme, &shared.state)?;
            }
            Err(error)
        }
    }
}

/// Whether an order would succeed, where failures are counted apart.
async fn try_staging(
    shared: &OrderShared,
    directory: &str,
    name: &str,
    wish: &OrderWish,
) -> Result<(), OrderError> {
    let acme = Acme { eab: None, ..shared.acme.clone() };
    let state = StateDir::new(&acme.state, directory);
    let client = &shared.client;
    state.make()?;
    let account = account(&acme, directory, client, &state).await?;
    let context = OrderContext {
        acme: &acme,
        client,
        state: &shared.state,
        challenges: &shared.challenges,
        kinds: &wish.kinds,
        replaces: None,
    };
    ordering::order(&account, name, &context).await.map(drop)
}

async fn account_of(shared: &OrderShared) -> Result<Account, OrderError> {
    let mut known = shared.account.lock().await;
    if let Some(account) = &*known {
        return Ok(account.clone());
    }
    let Acme { directory, .. } = &shared.acme;
    let made = account(&shared.acme, &directory.url, &shared.client, &shared.state).await?;
    *known = Some(made.clone());
    Ok(made)
}

/// Refreshes a lock for as long as it is ours; ends with why it is not.
async fn refresh(lock: &NameLock) -> OrderError {
    loop {
        sleep(REFRESH_EVERY).await;
        match lock.refresh(clock::wall()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return OrderError::LockLost;
            }
            // A disk that is full now may have room at the next time.
            Err(_) => {}
        }
    }
}

/// Asks the authority when it wants a certificate renewed.
pub(super) async fn window(shared: &OrderShared, leaf: &[u8]) -> Done {
    let asked = async { renewal_window(&account_of(shared).await?, leaf).await };
    match asked.await {
        Ok(said) => Done::Window(said),
        Err(error) => {
            tracing::debug!(%error, "the authority does not say when to renew");
            Done::Window(None)
        }
    }
}
