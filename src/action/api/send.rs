//! `POST /v1/push`: a message to sessions.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::context::{ApiContext, ApiRefusal, object, read};
use super::instances::{ApiRequest, INSTANCE_ANSWER_TIMEOUT, TotalOutcome, everywhere};
use super::json;
use super::objects::objects;
use super::parameters::QueryParameters;
use super::push_report::PushReport;
use super::targets::{NamedSession, PushTargets, TARGETS};
use crate::base::body::Body;
use crate::base::clock;
use crate::config::Wait;
use crate::registry::{PushLevel, PushMessage, PushOrder, Selector};
use crate::wire::media_type::is_of_type;
use crate::wire::message::message;

/// How long a caller waits for what becomes of a message, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that it may.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Targets in one request's `to`, and in its `except`: workers look each of them up.
const TARGETS_MAX: usize = 100;

/// Bytes of a request in JSON beside its message.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;

/// A message to sessions.
#[derive(Clone, Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct PushRequest {
    /// Any of these.
    #[serde(deserialize_with = "objects")]
    pub to: Vec<PushTargets>,
    /// But none of these.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "objects")]
    pub except: Vec<PushTargets>,
    /// A text message; or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// a binary one, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// What is waited for: `queued`, `written` or `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// How long, such as `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// It is not sent: for how many sessions it would be is all that is asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl ApiRequest for PushRequest {
    const ASK: &'static str = "push";
}

/// A request as it is carried out.
struct CheckedPush {
    /// As it was asked for, but the message.
    to: Vec<PushTargets>,
    but: Vec<PushTargets>,
    selector: Selector,
    except: Option<Selector>,
    /// Whether it is for single sessions, named one by one.
    is_single: bool,
    payload: Bytes,
    is_text: bool,
    level: PushLevel,
    timeout: Duration,
    /// Whether it is only counted.
    dry_run: bool,
}

/// Answers a request.
pub(super) async fn answer(
    context: &ApiContext,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    let (targets, parameters) = PushTargets::of_query(head, &["as", "wait", "timeout"])?;
    let bytes_max = context.message_bytes_max();
    let wanted = match targets.is_empty() {
        // A message in JSON says itself to whom it goes, and all else; escaped it is longer.
        true => {
            if let Some(name) = parameters.beside(&TARGETS) {
                let why = format!(
                    "`{name}` in the query is for a message whose targets are there, too; \
                     without one the body is JSON and says all of it"
                );
                return Err(ApiRefusal::BadRequest(why));
            }
            let body = read(body, 6 * bytes_max + ENVELOPE_BYTES_MAX).await?;
            let request: PushRequest = object(&body)?;
            request.checked()?
        }
        false => {
            let payload = read(body, bytes_max).await?;
            CheckedPush::raw(head, &parameters, targets, payload)?
        }
    };
    let (status, report) = push_checked(context, &wanted).await?;
    Ok(json::answer(status, &report))
}

/// Sends a message: status and report.
///
/// # Errors
/// Why it is refused.
pub async fn push(
    context: &ApiContext,
    request: PushRequest,
) -> Result<(StatusCode, Value), ApiRefusal> {
    push_checked(context, &request.checked()?).await
}

async fn push_checked(
    context: &ApiContext,
    wanted: &CheckedPush,
) -> Result<(StatusCode, Value), ApiRefusal> {
    let report = deliver(context, wanted).await?;
    let is_none = report.outcome.matched == 0 && report.is_whole();
    let status = match is_none && wanted.is_single {
        true if lives(context, wanted).await => match wanted.except {
            Some(_) => StatusCode::OK,
            None => return Err(ApiRefusal::Unpushable),
        },
        true => StatusCode::GONE,
        false => StatusCode::OK,
    };
    Ok((status, json!(report)))
}

/// Whether any of the sessions lives here, can it be sent a message or not.
async fn lives(context: &ApiContext, wanted: &CheckedPush) -> bool {
    let selector = context.only_covered(wanted.selector.clone());
    context.sessions.count(&selector).await.matched > 0
}

/// Sends one session a message: a text where it is UTF-8.
pub(super) async fn to_one(
    context: &ApiContext,
    session: NamedSession,
    payload: Bytes,
) -> Result<(), ApiRefusal> {
    let targets = PushTargets::one(session);
    let is_text = str::from_utf8(&payload).is_ok();
    let wanted = CheckedPush::of(targets, payload, is_text, PushLevel::Queued, TIMEOUT)?;
    let report = deliver(context, &wanted).await?;
    match report.outcome {
        PushReport { queued: 1.., .. } => Ok(()),
        PushReport { full: 1.., .. } => Err(ApiRefusal::NoRoom),
        PushReport { refused: 1.., .. } => Err(ApiRefusal::Undeliverable),
        _ if lives(context, &wanted).await => Err(ApiRefusal::Unpushable),
        _ => Err(report.unanswered().unwrap_or(ApiRefusal::Gone)),
    }
}

/// Sends a message here and in older processes.
async fn deliver(
    context: &ApiContext,
    wanted: &CheckedPush,
) -> Result<TotalOutcome<PushReport>, ApiRefusal> {
    let message = wanted.message(context)?;
    let own = carry_out(context, wanted, message);
    let patience = match wanted.level {
        PushLevel::Queued => INSTANCE_ANSWER_TIMEOUT,
        _ => wanted.timeout + INSTANCE_ANSWER_TIMEOUT,
    };
    let asked = || wanted.request();
    everywhere(context, asked, patience, own).await
}

/// Sends it to the sessions of this process.
pub(super) async fn push_here(
    context: &ApiContext,
    request: PushRequest,
) -> Result<PushReport, ApiRefusal> {
    let wanted = request.checked()?;
    let message = wanted.message(context)?;
    Ok(carry_out(context, &wanted, message).await)
}

async fn carry_out(
    context: &ApiContext,
    wanted: &CheckedPush,
    message: Arc<PushMessage>,
) -> PushReport {
    let pushed = context.routes.iter().filter_map(|(route, covered)| {
        Some((Arc::clone(route), Arc::clone(covered.push.as_ref()?)))
    });
    let order = PushOrder {
        message: Arc::clone(&message),
        selector: wanted.selector.clone(),
        except: wanted.except.clone(),
        dry_run: wanted.dry_run,
        routes: Arc::new(pushed.collect()),
    };
    let count = context.sessions.push(order).await;
    if wanted.level > PushLevel::Queued {
        // What is not known by then is told as not known.
        let _ = timeout(wanted.timeout, message.settled()).await;
    }
    PushReport::new(count, message.outcome())
}

impl PushRequest {
    fn checked(self) -> Result<CheckedPush, ApiRefusal> {
        let bad = |why: &str| ApiRefusal::BadRequest(why.to_owned());
        let (payload, is_text) = match (self.text, self.base64) {
            (Some(text), None) => (Bytes::from(text), true),
            (None, Some(base64)) => {
                let bytes = STANDARD.decode(base64).map_err(|_| bad("`base64` is not base64"))?;
                (Bytes::from(bytes), false)
            }
            _ => return Err(bad("a message has either `text` or `base64`")),
        };
        let is_single = !self.to.is_empty() && self.to.iter().all(PushTargets::is_single);
        Ok(CheckedPush {
            selector: any_of(&self.to)?,
            except: (!self.except.is_empty()).then(|| any_of(&self.except)).transpose()?,
            to: self.to,
            but: self.except,
            is_single,
            payload,
            is_text,
            level: level(self.wait.as_deref())?,
            timeout: patience(self.timeout.as_deref())?,
            dry_run: self.dry_run,
        })
    }
}

impl CheckedPush {
    /// One whose body is the message, and whose query says the rest.
    fn raw(
        head: &Parts,
        parameters: &QueryParameters,
        targets: PushTargets,
        payload: Bytes,
    ) -> Result<CheckedPush, ApiRefusal> {
        let is_bytes = is_of_type(&head.headers, "application/octet-stream");
        let is_text = match parameters.one("as")? {
            None => !is_bytes,
            Some("text") => true,
            Some("binary") => false,
            Some(other) => {
                let why = format!("`as` is `text` or `binary`, not `{other}`");
                return Err(ApiRefusal::BadRequest(why));
            }
        };
        let level = level(parameters.one("wait")?)?;
        let timeout = patience(parameters.one("timeout")?)?;
        CheckedPush::of(targets, payload, is_text, level, timeout)
    }

    /// A message to these.
    fn of(
        targets: PushTargets,
        payload: Bytes,
        is_text: bool,
        level: PushLevel,
        timeout: Duration,
    ) -> Result<CheckedPush, ApiRefusal> {
        Ok(CheckedPush {
            selector: targets.selector()?,
            except: None,
            is_single: targets.is_single(),
            to: vec![targets],
            but: Vec::new(),
            payload,
            is_text,
            level,
            timeout,
            dry_run: false,
        })
    }

    /// The message, with its place among all that are under way.
    fn message(&self, context: &ApiContext) -> Result<Arc<PushMessage>, ApiRefusal> {
        let CheckedPush { payload, is_text, level, timeout, .. } = self;
        let bytes_max = context.message_bytes_max();
        if payload.len() > bytes_max {
            return Err(ApiRefusal::TooLarge(bytes_max));
        }
        if *is_text && str::from_utf8(payload).is_err() {
            let why = "a text message is UTF-8 (RFC 6455 §5.6); others are binary (`as=binary`)";
            return Err(ApiRefusal::BadRequest(why.to_owned()));
        }
        let room = context.budget.take(context.client, payload.len()).ok_or(ApiRefusal::Full)?;
        let (frame, until) = (message(*is_text, payload), clock::now().after(*timeout));
        Ok(PushMessage::new(frame, payload.len(), *level, until, room))
    }

    /// The request that it is of.
    fn request(&self) -> PushRequest {
        let CheckedPush { to, but, payload, is_text, level, timeout, dry_run, .. } = self;
        let text = is_text.then(|| String::from_utf8_lossy(payload).into_owned());
        let wait = match level {
            PushLevel::Queued => "queued",
            PushLevel::Written => "written",
            PushLevel::Read => "read",
        };
        PushRequest {
            to: to.clone(),
            except: but.clone(),
            text,
            base64: (!is_text).then(|| STANDARD.encode(payload)),
            wait: Some(wait.to_owned()),
            timeout: Some(format!("{}ms", timeout.as_millis())),
            dry_run: *dry_run,
        }
    }
}

/// Sessions that any of these names; of one alone its labels are looked up.
fn any_of(targets: &[PushTargets]) -> Result<Selector, ApiRefusal> {
    match targets {
        [] => Err(ApiRefusal::BadRequest("`to` names no one".to_owned())),
        several if several.len() > TARGETS_MAX => Err(ApiRefusal::BadRequest(format!(
            "`to` and `except` have at most {TARGETS_MAX} targets each, not {}",
            several.len()
        ))),
        [one] => one.selector(),
        several => {
            let selectors = several.iter().map(PushTargets::selector).collect::<Result<_, _>>()?;
            Ok(Selector::AnyOf(selectors))
        }
    }
}

fn level(text: Option<&str>) -> Result<PushLevel, ApiRefusal> {
    match text {
        None | Some("queued") => Ok(PushLevel::Queued),
        Some("written") => Ok(PushLevel::Written),
        Some("read") => Ok(PushLevel::Read),
        Some(other) => {
            let why = format!("`wait` is `queued`, `written` or `read`, not `{other}`");
            Err(ApiRefusal::BadRequest(why))
        }
    }
}

fn patience(text: Option<&str>) -> Result<Duration, ApiRefusal> {
    let Some(text) = text else { return Ok(TIMEOUT) };
    let read = serde_json::from_value::<Wait>(text.into());
    match read {
        Ok(Wait(time)) if time <= TIMEOUT_MAX => Ok(time),
        _ => {
            let why = format!(
                "`timeout` is a time such as `5s`, of at most {} s, not `{text}`",
                TIMEOUT_MAX.as_secs()
            );
            Err(ApiRefusal::BadRequest(why))
        }
    }
}
