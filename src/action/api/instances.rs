//! The processes before this one, of which an upgrade may have left some: sessions live on there,
//! and who asks about sessions means those too.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::{ApiContext, ApiRefusal};
use super::older_instances::InstanceReport;
use super::targets::NamedSession;

/// How long an older process may take to answer beyond what it is asked to wait.
pub(super) const INSTANCE_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that older processes are asked too.
pub(super) trait ApiRequest: Serialize {
    /// The word by which they know it.
    const ASK: &'static str;
}

/// What an older process is asked.
#[derive(Serialize)]
struct SentQuestion<'a, R> {
    /// The routes whose sessions it is about, as the configuration names them.
    routes: Vec<&'a str>,
    request: AskedRequest<'a, R>,
}

/// A request with the word for it.
#[derive(Serialize)]
struct AskedRequest<'a, R> {
    ask: &'static str,
    #[serde(flatten)]
    request: &'a R,
}

/// What a request comes to in one process, and in all of them.
pub(super) trait ApiOutcome: Serialize + DeserializeOwned {
    /// Adds what it came to in another process.
    fn add(&mut self, other: Self);
}

/// An outcome with the processes that it is of.
#[derive(Serialize, Debug)]
pub(super) struct TotalOutcome<O> {
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
    /// Sessions it had when it last said so; none where it has not said yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<usize>,
    why: String,
}

impl<O> TotalOutcome<O> {
    /// Whether every process that was asked has answered.
    pub(super) fn is_whole(&self) -> bool {
        self.instances.missing.is_empty()
    }

    /// That one of them has not.
    pub(super) fn unanswered(&self) -> Option<ApiRefusal> {
        let MissingInstance { pid, why, .. } = self.instances.missing.first()?;
        Some(ApiRefusal::Unanswered { pid: *pid, why: why.clone() })
    }
}

/// Has `own` done here, and the same in older processes at once, each of which has so much time.
///
/// # Errors
/// Another process takes over from this one; nothing was done.
pub(super) async fn everywhere<R: ApiRequest, O: ApiOutcome>(
    context: &ApiContext,
    request: impl FnOnce() -> R,
    patience: Duration,
    own: impl Future<Output = O>,
) -> Result<TotalOutcome<O>, ApiRefusal> {
    let _open = context.enter()?;
    let older = context.older.as_ref().filter(|older| older.are_there());
    let (mut outcome, reports) = match older {
        None => (own.await, Vec::new()),
        Some(_) => {
            let request = request();
            tokio::join!(own, ask(context, &request, patience))
        }
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
    Ok(TotalOutcome { outcome, instances })
}

/// Asks where a session lives: here, or in an older process. A token does not say where.
pub(super) async fn wherever<O: DeserializeOwned>(
    context: &ApiContext,
    session: NamedSession,
    request: &impl ApiRequest,
    own: impl Future<Output = Result<O, ApiRefusal>>,
) -> Result<O, ApiRefusal> {
    let is_here = match session {
        NamedSession::Id(name) => name.here().is_some(),
        NamedSession::Token(_) => true,
    };
    let answered = if is_here { own.await } else { Err(ApiRefusal::Gone) };
    match (session, answered) {
        (NamedSession::Id(_), answered) if is_here => answered,
        (_, Err(ApiRefusal::Gone)) => elsewhere(context, request).await,
        (_, answered) => answered,
    }
}

/// Asks older processes about a session that is none of this one.
async fn elsewhere<O: DeserializeOwned>(
    context: &ApiContext,
    request: &impl ApiRequest,
) -> Result<O, ApiRefusal> {
    let _open = context.enter()?;
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
    request: &impl ApiRequest,
    patience: Duration,
) -> Vec<InstanceReport> {
    let Some(older) = &context.older else { return Vec::new() };
    older.ask(question(&context.named, request), patience).await
}

/// The question, in JSON.
pub(super) fn question<R: ApiRequest>(routes: &[Arc<str>], request: &R) -> String {
    let routes = routes.iter().map(|route| &**route).collect();
    let request = AskedRequest { ask: R::ASK, request };
    // cannot fail: requests are strings, numbers and lists of them.
    serde_json::to_string(&SentQuestion { routes, request }).unwrap_or_default()
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
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    struct Found {
        matched: usize,
    }

    #[test]
    fn what_an_older_process_says_is_read_as_far_as_it_is_understood() {
        let read = |status, json| read::<Found>(Ok((status, json)));
        let found = Found { matched: 2 };
        assert_eq!(read(200, json!({ "matched": 2, "new": 7 })), Ok(Ok(found)));
        assert_eq!(read(410, json!({})), Ok(Err(ApiRefusal::Gone)));
        let wrong = ApiRefusal::BadRequest("no".into());
        assert_eq!(read(400, json!({ "error": "no" })), Ok(Err(wrong)));
        let unknown = json!({ "why": "it does not know this command" });
        assert_eq!(read(400, unknown), Err("it does not know this command".to_owned()));
        assert_eq!(read(503, json!({ "error": "full" })), Err("full".to_owned()));
        assert!(read(200, json!("none")).is_err());
    }
}
