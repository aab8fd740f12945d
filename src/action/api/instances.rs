//! The processes before this one, of which an upgrade may have left some: sessions live on there,
//! and who asks about sessions means those too.

use std::time::Duration;

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::{ApiContext, ApiRefusal};
use super::kick::{self, KickRequest};
use super::list::{self, LabelRequest, ListRequest};
use super::send::{self, PushRequest, TIMEOUT_MAX};
use super::targets::PushTargets;
use crate::base::task::LocalBox;

/// How long an older process may take to answer beyond what it is asked to wait.
pub(super) const INSTANCE_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that an older process takes to answer.
pub const INSTANCE_TIMEOUT_MAX: Duration = TIMEOUT_MAX.saturating_add(INSTANCE_ANSWER_TIMEOUT);

/// The processes before this one, asked about their sessions.
pub trait OlderInstances: Send + Sync {
    /// Whether there are any.
    fn are_there(&self) -> bool;

    /// Whether another process has taken over from this one: it asks, and not this one.
    fn is_replaced(&self) -> bool;

    /// Asks all of them at once, each with so much time. The body is an [`InstanceQuestion`].
    fn ask(&self, body: String, patience: Duration) -> LocalBox<Vec<InstanceReport>>;
}

/// What an older process said.
#[derive(Debug)]
pub struct InstanceReport {
    /// Which.
    pub pid: u32,
    /// Sessions it had when it last said so.
    pub sessions: usize,
    /// Status and JSON of its answer, or why there is none.
    pub answer: Result<(u16, Value), String>,
}

/// What an older process is asked.
#[derive(Serialize, Deserialize, Debug)]
pub struct InstanceQuestion {
    /// The routes whose sessions it is about, as the configuration names them.
    pub routes: Vec<String>,
    /// What is asked about them.
    pub request: InstanceRequest,
}

/// What one process does of a request.
#[derive(Serialize, Deserialize, Debug)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum InstanceRequest {
    /// Send a message.
    Push(PushRequest),
    /// List sessions.
    List(ListRequest),
    /// Count them.
    Count {
        /// Which; all where it names none.
        targets: PushTargets,
    },
    /// End them.
    Kick(KickRequest),
    /// Give one labels, and take some away.
    Label(LabelRequest),
}

/// Does what the process after this one asks.
///
/// # Errors
/// What its caller would have been refused.
pub async fn answer_newer(
    context: &ApiContext,
    request: InstanceRequest,
) -> Result<Value, ApiRefusal> {
    let answer = match request {
        InstanceRequest::Push(request) => value(send::push_here(context, request).await?),
        InstanceRequest::List(request) => value(list::list_here(context, &request).await?),
        InstanceRequest::Count { targets } => value(list::count_here(context, &targets).await?),
        InstanceRequest::Kick(request) => value(kick::kick_here(context, &request).await?),
        InstanceRequest::Label(request) => value(list::label_here(context, request).await?),
    };
    Ok(answer)
}

fn value(answer: impl Serialize) -> Value {
    // cannot fail: answers are strings, numbers and lists of them.
    serde_json::to_value(answer).unwrap_or_default()
}

/// What a request comes to in one process, and in all of them.
pub(super) trait ApiOutcome: Serialize + DeserializeOwned {
    /// Adds what it came to in another process.
    fn add(&mut self, other: Self);
}

/// An outcome with the processes that it is of.
#[derive(Serialize, Debug)]
pub(super) struct Everywhere<O> {
    #[serde(flatten)]
    pub(super) outcome: O,
    instances: Instances,
}

/// Which processes an answer is of.
#[derive(Serialize, Default, Debug)]
struct Instances {
    /// How many were asked: this one, and those before it that have not ended.
    asked: usize,
    /// How many answered.
    answered: usize,
    /// Those that did not: what lives in them is not counted.
    missing: Vec<MissingInstance>,
}

/// A process that has not answered.
#[derive(Serialize, Debug)]
struct MissingInstance {
    pid: u32,
    /// Sessions it had when it last said so.
    sessions: usize,
    why: String,
}

impl<O> Everywhere<O> {
    /// Whether every process that was asked has answered.
    pub(super) fn is_whole(&self) -> bool {
        self.instances.missing.is_empty()
    }
}

/// Has `own` done here, and the same in older processes at once, each of which has so much time.
pub(super) async fn everywhere<O: ApiOutcome>(
    context: &ApiContext,
    request: impl FnOnce() -> InstanceRequest,
    patience: Duration,
    own: impl Future<Output = O>,
) -> Everywhere<O> {
    let older = context.older.as_ref().filter(|older| older.are_there());
    let (mut outcome, reports) = match older {
        None => (own.await, Vec::new()),
        Some(_) => tokio::join!(own, ask(context, request(), patience)),
    };
    let mut instances = Instances { asked: 1 + reports.len(), answered: 1, missing: Vec::new() };
    for InstanceReport { pid, sessions, answer } in reports {
        match read(answer) {
            Ok(Ok(other)) => outcome.add(other),
            // Nothing of it lives there.
            Ok(Err(ApiRefusal::Gone)) => {}
            Ok(Err(refusal)) => {
                let why = refusal.reason();
                instances.missing.push(MissingInstance { pid, sessions, why });
                continue;
            }
            Err(why) => {
                instances.missing.push(MissingInstance { pid, sessions, why });
                continue;
            }
        }
        instances.answered += 1;
    }
    Everywhere { outcome, instances }
}

/// Asks older processes about a session that is none of this one.
pub(super) async fn elsewhere<O: DeserializeOwned>(
    context: &ApiContext,
    request: InstanceRequest,
) -> Result<O, ApiRefusal> {
    let reports = ask(context, request, INSTANCE_ANSWER_TIMEOUT).await;
    let mut refusal = ApiRefusal::Gone;
    for InstanceReport { pid, answer, .. } in reports {
        match read(answer) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(ApiRefusal::Gone)) => {}
            Ok(Err(why)) => refusal = why,
            // It may live there.
            Err(why) => refusal = ApiRefusal::Unanswered { pid, why },
        }
    }
    Err(refusal)
}

async fn ask(
    context: &ApiContext,
    request: InstanceRequest,
    patience: Duration,
) -> Vec<InstanceReport> {
    let Some(older) = &context.older else { return Vec::new() };
    let routes = context.named.iter().map(|route| route.to_string()).collect();
    // cannot fail: as the answer.
    let body = serde_json::to_string(&InstanceQuestion { routes, request }).unwrap_or_default();
    older.ask(body, patience).await
}

/// What a process said, or refused; or why that is not known.
fn read<O: DeserializeOwned>(
    answer: Result<(u16, Value), String>,
) -> Result<Result<O, ApiRefusal>, String> {
    let (status, json) = answer?;
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    match StatusCode::from_u16(status) {
        Ok(StatusCode::OK) => serde_json::from_value(json)
            .map(Ok)
            .map_err(|error| format!("its answer is not understood: {error}")),
        Ok(StatusCode::GONE) => Ok(Err(ApiRefusal::Gone)),
        // Of a version before the API it is an operator's refusal.
        Ok(StatusCode::BAD_REQUEST) if text("error").is_some() => {
            Ok(Err(ApiRefusal::BadRequest(text("error").unwrap_or_default())))
        }
        _ => Err(text("error").or_else(|| text("why")).unwrap_or_else(|| "it says no".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::send::PushReport;
    use super::*;

    #[test]
    fn what_an_older_process_says_is_read_as_far_as_it_is_understood() {
        let read = |status, json| read::<PushReport>(Ok((status, json)));
        let report = PushReport { matched: 2, queued: 1, ..PushReport::default() };
        assert_eq!(read(200, json!({ "matched": 2, "queued": 1, "new": 7 })), Ok(Ok(report)));
        assert_eq!(read(410, json!({})), Ok(Err(ApiRefusal::Gone)));
        let wrong = ApiRefusal::BadRequest("no".into());
        assert_eq!(read(400, json!({ "error": "no" })), Ok(Err(wrong)));
        let unknown = json!({ "why": "it does not know this command" });
        assert_eq!(read(400, unknown), Err("it does not know this command".to_owned()));
        assert_eq!(read(503, json!({ "error": "full" })), Err("full".to_owned()));
        assert!(read(200, json!("none")).is_err());
    }

    #[test]
    fn a_question_is_read_back() {
        let targets = PushTargets { all: true, ..PushTargets::default() };
        let push = PushRequest { to: vec![targets.clone()], ..PushRequest::default() };
        let kick = KickRequest { targets: targets.clone(), code: Some(4000) };
        for request in [
            InstanceRequest::Push(push),
            InstanceRequest::List(ListRequest { targets: targets.clone(), limit: 3 }),
            InstanceRequest::Count { targets },
            InstanceRequest::Kick(kick),
        ] {
            let asked = InstanceQuestion { routes: vec!["*".into()], request };
            let text = serde_json::to_string(&asked).unwrap();
            let back: InstanceQuestion = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
        }
    }
}
