//! `GET /v1/sessions`, `GET /v1/count`, and one session: what is known of it, and its labels.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::{ApiContext, ApiRefusal, read};
use super::json;
use super::targets::{PushTargets, decoded};
use crate::base::body::Body;
use crate::base::clock;
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::registry::{Seen, Selector};
use crate::wire::label::{LabelError, LabelSource, SessionLabels};

/// Sessions listed unless it is said otherwise, and at most.
const LISTED: usize = 100;
const LISTED_MAX: usize = 10_000;

/// Bytes of a request that changes labels.
const PATCH_BYTES_MAX: usize = 16 << 10;

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
    let selector = selector(context, query)?;
    let matched = context.sessions.count(&selector).await.matched;
    let mut seen = context.sessions.list(&selector, limit).await;
    seen.sort_by_key(|seen| (seen.facts.opened, seen.id));
    seen.truncate(limit);
    let sessions: Vec<Value> = seen.iter().map(row).collect();
    Ok(json::answer(StatusCode::OK, &json!({ "matched": matched, "sessions": sessions })))
}

/// Counts sessions.
pub(super) async fn count(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let selector = selector(context, head.uri.query().unwrap_or_default())?;
    let count = context.sessions.count(&selector).await;
    Ok(json::answer(StatusCode::OK, &json!({ "matched": count.matched })))
}

/// One session.
pub(super) async fn one(context: &ApiContext, id: SessionId) -> Result<Response<Body>, ApiRefusal> {
    let seen = find(context, id).await?;
    Ok(json::answer(StatusCode::OK, &row(&seen)))
}

/// What is changed of a session.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
struct Patch {
    /// SessionLabels by name; `null` takes one away.
    labels: BTreeMap<String, Option<String>>,
}

/// Gives a session labels, and takes some away; all of it or nothing.
pub(super) async fn label(
    context: &ApiContext,
    id: SessionId,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    let body = read(body, PATCH_BYTES_MAX).await?;
    let patch: Patch = serde_json::from_slice(&body)
        .map_err(|error| ApiRefusal::BadRequest(format!("the body's JSON: {error}")))?;
    let mut seen = find(context, id).await?;
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
    Ok(json::answer(StatusCode::OK, &row(&seen)))
}

async fn find(context: &ApiContext, id: SessionId) -> Result<Seen, ApiRefusal> {
    let selector = context.only_covered(Selector::Session(id));
    context.sessions.list(&selector, 1).await.pop().ok_or(ApiRefusal::Gone)
}

/// The sessions that a query asks for: all that may be asked about where it names none.
pub(super) fn selector(context: &ApiContext, query: &str) -> Result<Selector, ApiRefusal> {
    let targets = PushTargets::from_query(query)?;
    match targets.is_empty() {
        true => Ok(context.covered()),
        false => Ok(context.only_covered(targets.selector()?)),
    }
}

fn row(Seen { id, facts, leaving, .. }: &Seen) -> Value {
    let labels = facts.labels.iter().map(|label| (label.name(), label.value()));
    json!({
        "id": id.to_string(),
        "client": facts.client.get().map(|client| client.to_string()),
        "listener": &*facts.listener,
        "route": &*facts.route,
        "pool": &*facts.pool,
        "backend": &*facts.backend,
        "age_seconds": clock::now().since(facts.opened).as_secs_f64(),
        "leaving": leaving.map(|reason| reason.label()),
        "labels": labels.collect::<BTreeMap<_, _>>(),
    })
}
