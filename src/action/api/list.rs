//! `GET /v1/sessions`, `GET /v1/count`, and one session: what is known of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::{ApiContext, ApiRefusal};
use super::instances::{ApiOutcome, ApiRequest, INSTANCE_ANSWER_TIMEOUT, everywhere, wherever};
use super::json;
use super::parameters::QueryParameters;
use super::targets::{NamedSession, PushTargets};
use crate::base::body::Body;
use crate::base::clock;
use crate::base::id::SessionName;
use crate::base::label::Label;
use crate::registry::{Facts, Seen, Selector};

/// Sessions listed unless it is said otherwise, and at most.
const LISTED: usize = 100;
const LISTED_MAX: usize = 10_000;

/// Which sessions are listed.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct ListRequest {
    /// Which; all where it names none.
    pub targets: PushTargets,
    /// How many at most.
    pub limit: usize,
    /// Whether each is asked for what passed in it.
    #[serde(default)]
    pub has_activity: bool,
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
    pub(super) age_seconds: f64,
    /// Since a data message last passed, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) idle_seconds: Option<f64>,
    leaving: Option<String>,
    labels: BTreeMap<String, String>,
}

impl ListedSession {
    /// The client's address without its port.
    pub(super) fn client_ip(&self) -> Option<String> {
        let address = self.client.as_ref()?.parse::<SocketAddr>().ok()?;
        Some(address.ip().to_canonical().to_string())
    }
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
    let (targets, parameters) = PushTargets::of_query(head, &["limit"])?;
    let limit = match parameters.one("limit")? {
        None => LISTED,
        Some(text) => match text.parse() {
            Ok(limit) if limit <= LISTED_MAX => limit,
            _ => {
                let why = format!("`limit` is a number up to {LISTED_MAX}, not `{text}`");
                return Err(ApiRefusal::BadRequest(why));
            }
        },
    };
    let request = ListRequest { targets, limit, has_activity: false };
    let selector = selector(context, &request.targets)?;
    let own = list(context, &selector, limit);
    let asked = || request.clone();
    let mut listed = everywhere(context, asked, INSTANCE_ANSWER_TIMEOUT, own).await?;
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
    let mut listed = list(context, &selector, request.limit).await;
    if request.has_activity {
        add_activity(context, &mut listed).await;
    }
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

/// Asks each for what passed in it; one that ends meanwhile has not said.
async fn add_activity(context: &ApiContext, listed: &mut ListOutcome) {
    let id = |row: &ListedSession| row.id.parse::<SessionName>().ok()?.here();
    let ids = listed.sessions.iter().filter_map(id).collect();
    let traffic = context.sessions.traffic(ids).await;
    let now = clock::now();
    for row in &mut listed.sessions {
        let told = id(row).and_then(|id| traffic.get(&id));
        row.idle_seconds = told.and_then(|told| Some(now.since(told.last_data?).as_secs_f64()));
    }
}

/// Counts sessions.
pub(super) async fn count(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let (targets, _) = PushTargets::of_query(head, &[])?;
    let selector = selector(context, &targets)?;
    let own = async { CountOutcome { matched: context.sessions.count(&selector).await.matched } };
    let asked = || CountRequest { targets: targets.clone() };
    let count = everywhere(context, asked, INSTANCE_ANSWER_TIMEOUT, own).await?;
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
    head: &Parts,
    session: NamedSession,
) -> Result<Response<Body>, ApiRefusal> {
    QueryParameters::read(head.uri.query().unwrap_or_default(), &[])?;
    let row = find(context, session, false).await?;
    Ok(json::answer(StatusCode::OK, &json!(row)))
}

/// What is known of one session; with its activity, for which it is asked itself.
pub(super) async fn find(
    context: &ApiContext,
    session: NamedSession,
    has_activity: bool,
) -> Result<ListedSession, ApiRefusal> {
    let request = ListRequest { targets: PushTargets::one(session), limit: 1, has_activity };
    let own = list_here(context, &request);
    let mut listed: ListOutcome = wherever(context, session, &request, own).await?;
    listed.sessions.pop().ok_or(ApiRefusal::Gone)
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

/// A session as a caller sees it.
pub(super) fn row(Seen { id, facts, leaving, .. }: &Seen) -> ListedSession {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    ListedSession {
        id: id.to_string(),
        client: facts.client.get().map(|client| client.to_string()),
        listener: facts.listener.to_string(),
        route: facts.route.to_string(),
        pool: facts.pool.to_string(),
        backend: facts.backend.to_string(),
        age_seconds: clock::now().since(facts.opened).as_secs_f64(),
        idle_seconds: None,
        leaving: leaving.map(|reason| reason.label().to_owned()),
        labels: label_map(facts).into_iter().map(owned).collect(),
    }
}
