//! One order: from the account to a certificate (RFC 8555 §7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Error, Identifier, NewOrder, Order,
    OrderStatus, Problem, RenewalInfo,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::Der;
use tokio::time::sleep;

use super::account::{NONCE_TRIES, check_clock, patiently};
use super::ca_client::{ExchangeError, retry_after};
use super::challenge_answer::ChallengeAnswer;
use super::challenge_kind::ChallengeKind;
use super::order_context::OrderContext;
use super::order_error::{OrderError, kind, one_line};
use super::schedule::RenewalWindow;
use crate::base::clock;
use crate::wire::pem::{self, Pem};
use crate::wire::x509::CertificateSerial;

/// How long the authority may take to decide.
const DECISION_TIMEOUT: Duration = Duration::from_secs(180);

/// First and longest pause before it is asked again whether it has decided.
const ASK_PAUSE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// A certificate that came.
pub(super) struct Ordered {
    /// Chain and key, as they are stored.
    pub(super) text: String,
    pub(super) pem: Pem,
    /// How the name was shown to be ours; `None` where the authority remembered.
    pub(super) shown_by: Option<&'static str>,
}

/// Orders a certificate for a name.
///
/// # Errors
/// See [`OrderError`].
pub(super) async fn order(
    account: &Account,
    name: &str,
    context: &OrderContext<'_>,
) -> Result<Ordered, OrderError> {
    check_profile(account, context)?;
    let mut order = Box::pin(new_order(account, name, context)).await?;
    // The account may be known since the clock was right.
    check_clock(context.client)?;
    let shown = Box::pin(authorize(&mut order, name, context)).await?;
    let shown_by = shown.as_ref().map(|answer| answer.kind.word());
    let wanted = [OrderStatus::Ready, OrderStatus::Valid];
    let decided = decided(&mut order, &wanted).await;
    if let Some(answer) = shown {
        answer.remove().await;
    }
    decided?;
    let key = KeyPair::generate().map_err(not_made)?;
    let mut params = CertificateParams::new([name.to_owned()]).map_err(not_made)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(not_made)?;
    patiently(async || order.finalize_csr(request.der()).await).await?;
    self::decided(&mut order, &[OrderStatus::Valid]).await?;
    let chain = patiently(async || order.certificate().await).await?;
    let chain = chain.ok_or_else(|| OrderError::Certificate("is not there".to_owned()))?;
    let text = format!("{}\n{}", chain.trim_end(), key.serialize_pem());
    let pem = check(&text, name)?;
    let now = clock::since_1970().as_secs() as i64;
    if now > pem.validity.not_after {
        return Err(OrderError::Certificate("has expired".to_owned()));
    }
    Ok(Ordered { text, pem, shown_by })
}

/// Whether the authority has the kind of certificates that is wanted.
fn check_profile(account: &Account, context: &OrderContext<'_>) -> Result<(), OrderError> {
    let Some(wanted) = &context.acme.profile else { return Ok(()) };
    let mut all: Vec<&str> = account.profiles().map(|profile| profile.name).collect();
    if all.iter().any(|name| **name == **wanted) {
        return Ok(());
    }
    all.sort_unstable();
    let has = match all[..] {
        [] => "none".to_owned(),
        _ => one_line(&all.join(", ")),
    };
    Err(OrderError::Refused(format!("it has no profile `{wanted}`; those that it has: {has}")))
}

fn not_made(error: rcgen::Error) -> OrderError {
    OrderError::Certificate(format!("cannot be asked for: {error}"))
}

async fn new_order(
    account: &Account,
    name: &str,
    context: &OrderContext<'_>,
) -> Result<Order, OrderError> {
    let identifiers = [Identifier::Dns(name.to_owned())];
    let replaced = context.replaces.and_then(identifier);
    let begin = async |replaces: Option<&CertificateIdentifier<'static>>| {
        let new = || {
            let mut new = NewOrder::new(&identifiers);
            if let Some(replaced) = replaces {
                new = new.replaces(replaced.clone());
            }
            match &context.acme.profile {
                Some(profile) => new.profile(profile),
                None => new,
            }
        };
        patiently(async || account.new_order(&new()).await).await
    };
    match begin(replaced.as_ref()).await {
        // One that knows nothing of renewals, or not of this one: it is an order like any other.
        Err(Error::Unsupported(_)) if replaced.is_some() => Ok(begin(None).await?),
        // It has taken the order, and does not say that it replaces anything.
        Err(Error::Other(error)) if replaced.is_some() && !error.is::<ExchangeError>() => {
            Ok(begin(None).await?)
        }
        Err(Error::Api(problem)) if replaced.is_some() && is_of_replaced(&problem) => {
            Ok(begin(None).await?)
        }
        begun => Ok(begun?),
    }
}

/// Whether an order was refused for what it says of the certificate that it replaces (RFC 9773
/// §5). Authorities use several words for it; these mean something else, and asking once more at
/// once is no answer to them.
fn is_of_replaced(problem: &Problem) -> bool {
    !matches!(
        kind(problem),
        "rateLimited"
            | "accountDoesNotExist"
            | "externalAccountRequired"
            | "invalidProfile"
            | "rejectedIdentifier"
            | "serverInternal"
            | "unsupportedIdentifier"
            | "userActionRequired"
    )
}

/// How an authority calls a certificate that it is asked about (RFC 9773 §4.1).
fn identifier(leaf: &[u8]) -> Option<CertificateIdentifier<'static>> {
    let CertificateSerial { authority_key, serial } = CertificateSerial::read(leaf)?;
    let (key, serial) = (Der::from_slice(authority_key), Der::from_slice(serial));
    Some(CertificateIdentifier::new(key, serial).into_owned())
}

/// When the authority wants a certificate renewed, and when it is to be asked again; `None` where
/// it has no opinion.
///
/// # Errors
/// The authority is away.
pub(super) async fn renewal_window(
    account: &Account,
    leaf: &[u8],
) -> Result<Option<(RenewalWindow, Duration)>, OrderError> {
    let Some(identifier) = identifier(leaf) else { return Ok(None) };
    match account.renewal_info(&identifier).await {
        Ok((RenewalInfo { suggested_window, .. }, after)) => {
            let start = suggested_window.start.unix_timestamp();
            let end = suggested_window.end.unix_timestamp();
            Ok(Some((RenewalWindow { start, end }, after)))
        }
        Err(Error::Unsupported(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Shows that the name is ours, unless the authority remembers.
async fn authorize(
    order: &mut Order,
    name: &str,
    context: &OrderContext<'_>,
) -> Result<Option<ChallengeAnswer>, OrderError> {
    let mut last = None;
    for _ in 0..NONCE_TRIES {
        let mut authorizations = order.authorizations();
        // One name has one.
        let mut authorization = match authorizations.next().await {
            Some(Ok(authorization)) => authorization,
            Some(Err(error)) => {
                last = Some(error);
                continue;
            }
            None => return Ok(None),
        };
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(None);
        }
        let is_offered = |kind: &&ChallengeKind| {
            authorization.challenges.iter().any(|offered| offered.r#type == kind.acme())
        };
        let Some(kind) = context.kinds.iter().find(is_offered).copied() else {
            return Err(OrderError::NoChallenge(no_challenge(context.kinds)));
        };
        let Some(mut challenge) = authorization.challenge(kind.acme()) else { return Ok(None) };
        let key = challenge.key_authorization();
        let answer = match kind {
            ChallengeKind::Http => ChallengeAnswer::http(context, &challenge.token, key.as_str())?,
            ChallengeKind::TlsAlpn => ChallengeAnswer::tls(context, name, key.digest().as_ref())?,
            ChallengeKind::Dns => ChallengeAnswer::dns(context, name, key.dns_value()).await?,
        };
        tracing::debug!(certificate = %name, challenge = kind.word(), "ACME challenge answered");
        return match patiently(async || challenge.set_ready().await).await {
            Ok(()) => Ok(Some(answer)),
            Err(error) => {
                answer.remove().await;
                Err(error.into())
            }
        };
    }
    Err(last.map_or(OrderError::Timeout(DECISION_TIMEOUT), OrderError::from))
}

fn no_challenge(kinds: &[ChallengeKind]) -> String {
    match kinds {
        [] => "there is no listener without TLS, none with, and no `acme.dns`".to_owned(),
        kinds => {
            let words = kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
            format!("the authority offers none of {words}")
        }
    }
}

/// Waits until the order is in one of these states.
async fn decided(order: &mut Order, wanted: &[OrderStatus]) -> Result<(), OrderError> {
    let due = clock::now().after(DECISION_TIMEOUT);
    let [mut pause, longest] = ASK_PAUSE;
    loop {
        let state = order.state();
        if wanted.contains(&state.status) {
            return Ok(());
        }
        if state.status == OrderStatus::Invalid {
            return Err(why_invalid(order).await);
        }
        if clock::now() >= due {
            return Err(OrderError::Timeout(DECISION_TIMEOUT));
        }
        let asked = retry_after().filter(|asked| *asked <= longest * 6);
        sleep(pause.max(asked.unwrap_or_default())).await;
        pause = (pause * 2).min(longest);
        patiently(async || order.refresh().await.map(drop)).await?;
    }
}

/// What the authority found wrong.
async fn why_invalid(order: &mut Order) -> OrderError {
    let of_order = order.state().error.as_ref().map(ToString::to_string);
    let mut authorizations = order.authorizations();
    if let Some(Ok(mut authorization)) = authorizations.next().await {
        // What is known is from before it was asked about.
        let _ = patiently(async || authorization.refresh().await.map(drop)).await;
        let found = authorization.challenges.iter().find_map(|one| one.error.as_ref());
        if let Some(problem) = found {
            let said = problem.to_string();
            return OrderError::Challenge(one_line(said.trim_start_matches("API error: ")));
        }
    }
    OrderError::Refused(of_order.map_or("it does not say why".to_owned(), |said| one_line(&said)))
}

/// Reads what came, and whether it can be shown for the name. One out of its time can: who finds it
/// so may have a wrong clock, and in its place there is only one that nobody trusts.
///
/// # Errors
/// It cannot.
pub(super) fn check(text: &str, name: &str) -> Result<Pem, OrderError> {
    let no = |why: String| OrderError::Certificate(why);
    let pem = pem::certified(text.as_bytes(), text.as_bytes()).map_err(|e| no(e.to_string()))?;
    if !pem.names.iter().any(|own| **own == *name) {
        return Err(no(one_line(&format!("is for {:?}", pem.names))));
    }
    Ok(pem)
}
