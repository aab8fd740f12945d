//! The account with an authority (RFC 8555 §7.3).

use std::io;
use std::time::Duration;

use instant_acme::{Account, AccountCredentials, Error, ExternalAccountKey, NewAccount};
use tokio::time::sleep;

use super::ca_client::CaClient;
use super::name_lock::{LockAttempt, NameLock, STALE_AFTER};
use super::order_error::OrderError;
use super::state_dir::{self, StateDir};
use crate::base::clock;
use crate::config::plan::Acme;

/// How far this machine's clock may be from the authority's: certificates begin an hour before
/// they are made.
const CLOCK_MAX: i64 = 3600;

/// How often a step is tried whose nonce was refused; the crate below tries three times each.
pub(super) const NONCE_TRIES: usize = 10;

/// The lock of who makes an account; no name has a `+` in its middle.
const ACCOUNT_LOCK: &str = "account+";

/// How often it is looked whether another has made it.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// The account with the authority: the stored one, or a new one, which is stored. Of several
/// instances one makes it.
///
/// # Errors
/// The authority is away or refuses; the clocks are apart; the state cannot be used.
pub(super) async fn account(
    acme: &Acme,
    directory: &str,
    client: &CaClient,
    state: &StateDir,
) -> Result<Account, OrderError> {
    let due = clock::now().after(STALE_AFTER * 2);
    let mut seen = None;
    loop {
        if let Some(credentials) = stored(acme, state)? {
            let builder = Account::builder_with_http(Box::new(client.clone()));
            let account = builder.from_credentials(credentials).await;
            check_clock(client)?;
            return Ok(account?);
        }
        let (path, now) = (state.lock(ACCOUNT_LOCK), clock::now());
        // Who died with a name's lock mostly held this one too, and was waited for already.
        let attempt = NameLock::attempt(&path, seen.as_ref(), STALE_AFTER, (now, clock::wall()));
        match attempt? {
            // It may have been made just before.
            LockAttempt::Taken(_lock) if stored(acme, state)?.is_none() => {
                return make(acme, directory, client, state).await;
            }
            LockAttempt::Taken(_) => {}
            LockAttempt::Held(_) if now >= due => {
                return Err(io::Error::from(io::ErrorKind::ResourceBusy).into());
            }
            LockAttempt::Held(other) => {
                seen = Some(other);
                sleep(LOOK_PAUSE).await;
            }
        }
    }
}

fn stored(acme: &Acme, state: &StateDir) -> Result<Option<AccountCredentials>, OrderError> {
    let path = state.account(acme.email.as_deref(), acme.eab.as_ref().map(|eab| &*eab.id));
    let text = match state_dir::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(OrderError::State(error)),
    };
    match serde_json::from_str(&text) {
        Ok(credentials) => Ok(Some(credentials)),
        Err(error) => {
            let file = path.display();
            tracing::warn!(%file, %error, "ACME account cannot be read; a new one is made");
            Ok(None)
        }
    }
}

/// Forgets an account that the authority does not know any more.
///
/// # Errors
/// The state cannot be used.
pub(super) fn forget(acme: &Acme, state: &StateDir) -> io::Result<()> {
    let path = state.account(acme.email.as_deref(), acme.eab.as_ref().map(|eab| &*eab.id));
    // Somebody may know what it was good for.
    std::fs::rename(&path, path.with_extension("gone"))
}

async fn make(
    acme: &Acme,
    directory: &str,
    client: &CaClient,
    state: &StateDir,
) -> Result<Account, OrderError> {
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let eab = acme.eab.as_ref();
    let eab = eab.map(|eab| ExternalAccountKey::new(eab.id.to_string(), eab.key.bytes()));
    let made = patiently(async || {
        let builder = Account::builder_with_http(Box::new(client.clone()));
        builder.create(&new, directory.to_owned(), eab.as_ref()).await
    });
    let made = made.await;
    check_clock(client)?;
    let (account, credentials) = made?;
    let path = state.account(acme.email.as_deref(), acme.eab.as_ref().map(|eab| &*eab.id));
    let text = serde_json::to_string(&credentials).map_err(Error::from)?;
    state_dir::write(&path, &text)?;
    tracing::info!(%directory, account = account.id(), "ACME account made");
    Ok(account)
}

/// Whether this machine's clock is near the authority's, as far as it has told.
///
/// # Errors
/// It is not.
pub(super) fn check_clock(client: &CaClient) -> Result<(), OrderError> {
    let ahead = client.ahead();
    if ahead.abs() > CLOCK_MAX { Err(OrderError::Clock(ahead)) } else { Ok(()) }
}

/// Does one step, and again where its nonce was refused: that says nothing of what was asked for
/// (RFC 8555 §6.5).
pub(super) async fn patiently<T>(
    mut step: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match step().await {
            Err(Error::Api(problem))
                if tries < NONCE_TRIES
                    && problem.r#type.as_deref().is_some_and(|it| it.ends_with(":badNonce")) => {}
            done => return done,
        }
    }
}
