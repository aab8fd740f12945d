//! `GET /v1/sessions`, `GET /v1/count`, and one session: what is known of it, and its labels.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::{ApiContext, ApiRefusal, read};
use super::instances::{ApiOutcome, ApiRequest, INSTANCE_ANSWER_TIMEOUT, elsewhere, everywhere};
use super::json;
use super::targets::{PushTargets, decoded};
use crate::base::body::Body;
use crate::base::clock;
use crate::base::id::SessionName;
use crate::base::label::Label;
use crate::registry::{Facts, Seen, Selector};
use crate::wire::label::{LabelError, LabelSource, SessionLabels};

/// Sessions listed unless it is said otherwise, and at most.
const LISTED: usize = 100;
const LISTED_MAX: usize = 10_000;

/// Bytes of a request that changes labels.
const PATCH_BYTES_MAX: usize = 16 << 10;

/// Which sessions are listed.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct ListRequest {
    /// Which; all where it names none.
    pub targets: PushTargets,
    /// How many at most.
    pub limit: usize,
}

impl ApiRequest for ListRequest {
    const ASK: &'static str = "list";
}

/// Which sessions are counted.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct CountRequest {
    /// Which; all where it names none.
    pub targets: PushTargets,
}

impl ApiRequest for CountRequest {
    const ASK: &'static str = "count";
}

/// Sessions that were found.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct ListOutcome {
    matched: usize,
    sessions: Vec<ListedSession>,
}

/// A session, as a caller sees it.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct ListedSession {
    id: String,
    client: Option<String>,
    listener: String,
    route: String,
    pool: String,
    backend: String,
    age_seconds: f64,
    leaving: Option<String>,
    labels: BTreeMap<String, String>,
}

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(super) struct CountOutcome {
    matched: usize,
}

impl ApiOutcome for ListOutcome {
    fn add(&mut self, other: ListOutcome) {
        self.matched += other.matched;
        self.sessions.extend(other.sessions);
    }
}

impl ApiOutcome for CountOutcome {
    fn add(&mut self, other: CountOutcome) {
        self.matched += other.matched;
    }
}

/// Lists sessions.
pub(super) async fn several(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let query = head.uri.query().unwrap_or_default();
    let limit = match decoded(query, "limit")?.pop() {
        None => LISTED,
        Some(text) => match text.parse() {
            Ok(limit) if limit <= LISTED_MAX => limit,
            _ => {
                let why = format!("`limit` is a number up to {LISTED_MAX}, not `{text}`");
                return Err(ApiRefusal::BadRequest(why));
            }
        },
    };
    let request = ListRequest { targets: PushTargets::from_query(query)?, limit };
    let selector = selector(context, &request.targets)?;
    let own = list(context, &selector, limit);
    let asked = || request.clone();
    let mut listed = everywhere(context, asked, INSTANCE_ANSWER_TIMEOUT, own).await;
    let rows = &mut listed.outcome.sessions;
    // The oldest first.
    let order = |one: &ListedSession, other: &ListedSession| {
        other.age_seconds.total_cmp(&one.age_seconds).then_with(|| one.id.cmp(&other.id))
    };
    rows.sort_by(order);
    rows.truncate(limit);
    Ok(json::answer(StatusCode::OK, &json!(listed)))
}

/// Those of this process.
pub(super) async fn list_here(
    context: &ApiContext,
    request: &ListRequest,
) -> Result<ListOutcome, ApiRefusal> {
    let selector = selector(context, &request.targets)?;
    let listed = list(context, &selector, request.limit).await;
    match listed.matched {
        0 if request.targets.is_single() => Err(ApiRefusal::Gone),
        _ => Ok(listed),
    }
}

async fn list(context: &ApiContext, selector: &Selector, limit: usize) -> ListOutcome {
    let matched = context.sessions.count(selector).await.matched;
    let mut seen = context.sessions.list(selector, limit).await;
    seen.sort_by_key(|seen| (seen.facts.opened, seen.id));
    seen.truncate(limit);
    ListOutcome { matched, sessions: seen.iter().map(row).collect() }
}

/// Counts sessions.
pub(super) async fn count(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let targets = PushTargets::from_query(head.uri.query().unwrap_or_default())?;
    let selector = selector(context, &targets)?;
    let own = async { CountOutcome { matched: context.sessions.count(&selector).await.matched } };
    let asked = || CountRequest { targets: targets.clone() };
    let count = everywhere(context, asked, INSTANCE_ANSWER_TIMEOUT, own).await;
    Ok(json::answer(StatusCode::OK, &json!(count)))
}

/// Those of this process.
pub(super) async fn count_here(
    context: &ApiContext,
    request: &CountRequest,
) -> Result<CountOutcome, ApiRefusal> {
    let selector = selector(context, &request.targets)?;
    Ok(CountOutcome { matched: context.sessions.count(&selector).await.matched })
}

/// One session.
pub(super) async fn one(
    context: &ApiContext,
    name: SessionName,
) -> Result<Response<Body>, ApiRefusal> {
    let request = ListRequest { targets: PushTargets::one(name), limit: 1 };
    let mut listed = match name.here() {
        Some(_) => list_here(context, &request).await?,
        None => elsewhere(context, &request).await?,
    };
    let row = listed.sessions.pop().ok_or(ApiRefusal::Gone)?;
    Ok(json::answer(StatusCode::OK, &json!(row)))
}

/// What is changed of a session.
#[derive(Clone, Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct SessionPatch {
    /// Labels by name; `null` takes one away.
    pub labels: BTreeMap<String, Option<String>>,
}

/// A session that is changed.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct LabelRequest {
    /// Which, by its id.
    pub session: String,
    /// What is changed.
    pub patch: SessionPatch,
}

impl ApiRequest for LabelRequest {
    const ASK: &'static str = "label";
}

/// Gives a session labels, and takes some away; all of it or nothing.
pub(super) async fn label(
    context: &ApiContext,
    name: SessionName,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    let body = read(body, PATCH_BYTES_MAX).await?;
    let patch: SessionPatch = serde_json::from_slice(&body)
        .map_err(|error| ApiRefusal::BadRequest(format!("the body's JSON: {error}")))?;
    let request = LabelRequest { session: name.to_string(), patch };
    let row = match name.here() {
        Some(_) => label_here(context, request).await?,
        None => elsewhere(context, &request).await?,
    };
    Ok(json::answer(StatusCode::OK, &json!(row)))
}

/// Changes one of this process.
pub(super) async fn label_here(
    context: &ApiContext,
    request: LabelRequest,
) -> Result<ListedSession, ApiRefusal> {
    let LabelRequest { session, patch } = request;
    let name = session.parse::<SessionName>().map_err(|_| ApiRefusal::Gone)?;
    let id = name.here().ok_or(ApiRefusal::Gone)?;
    let selector = context.only_covered(Selector::Session(id));
    let mut seen = context.sessions.list(&selector, 1).await.pop().ok_or(ApiRefusal::Gone)?;
    let change = move |labels: &mut SessionLabels| -> Result<(), LabelError> {
        let given = patch.labels.iter();
        given
            .clone()
            .filter(|(_, value)| value.is_none())
            .for_each(|(name, _)| labels.remove(name));
        let mut given = given.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.try_for_each(|(name, value)| labels.set(name, value, LabelSource::Operator))
    };
    let changed = context.sessions.relabel(id, change).await.ok_or(ApiRefusal::Gone)?;
    seen.facts.labels = changed.map_err(|error| ApiRefusal::BadRequest(error.to_string()))?;
    Ok(row(&seen))
}

/// The sessions that are asked for: all that may be asked about where none are named.
pub(super) fn selector(
    context: &ApiContext,
    targets: &PushTargets,
) -> Result<Selector, ApiRefusal> {
    match targets.is_empty() {
        true => Ok(context.covered()),
        false => Ok(context.only_covered(targets.selector()?)),
    }
}

/// A session's labels, by their names.
pub(super) fn label_map(facts: &Facts) -> BTreeMap<&str, &str> {
    facts.labels.iter().map(|label| (label.name(), label.value())).collect()
}

fn row(Seen { id, facts, leaving, .. }: &Seen) -> ListedSession {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    ListedSession {
        id: id.to_string(),
        client: facts.client.get().map(|client| client.to_string()),
        listener: facts.listener.to_string(),
        route: facts.route.to_string(),
        pool: facts.pool.to_string(),
        backend: facts.backend.to_string(),
        age_seconds: clock::now().since(facts.opened).as_secs_f64(),
        leaving: leaving.map(|reason| reason.label().to_owned()),
        labels: label_map(facts).into_iter().map(owned).collect(),
    }
}
