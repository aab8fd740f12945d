//! `PATCH /v1/sessions/ID`: other labels, and another end of the right to a session.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Response, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::context::{ApiContext, ApiRefusal, object, read};
use super::instances::{ApiRequest, wherever};
use super::json;
use super::list::{ListedSession, row};
use super::objects::unique_keys;
use super::parameters::QueryParameters;
use super::targets::{NamedSession, PushTargets};
use crate::base::body::Body;
use crate::base::clock::{self, Moment};
use crate::config::plan::ApiRight;
use crate::wire::label::{LabelError, LabelSource, SessionLabels};

/// Bytes of a request that changes a session.
const PATCH_BYTES_MAX: usize = 16 << 10;

/// The last second of the year 9999: what is later was counted in milliseconds.
const SECOND_MAX: u64 = 253_402_300_799;

/// What is changed of a session.
#[derive(Clone, Serialize, Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct SessionPatch {
    /// Labels by name; `null` takes one away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_keys")]
    pub labels: BTreeMap<String, Option<String>>,
    /// When the right to it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "second")]
    pub expires: Option<u64>,
}

/// A session that is changed.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct PatchRequest {
    /// Which, by its id or token.
    pub session: String,
    /// What is changed.
    pub patch: SessionPatch,
}

impl ApiRequest for PatchRequest {
    /// So it was called when nothing but labels could be changed.
    const ASK: &'static str = "label";
}

/// A session after a change.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(super) struct PatchedSession {
    #[serde(flatten)]
    session: ListedSession,
    /// Where its end was to be changed: when it ends now, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

fn second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match value.as_u64() {
        Some(second) if second <= SECOND_MAX => Ok(Some(second)),
        Some(_) => Err(D::Error::custom(format!(
            "`expires` is in seconds since 1970, and `{value}` is past the year 9999"
        ))),
        None => Err(D::Error::custom(format!(
            "`expires` is a whole number of seconds since 1970, not `{value}`"
        ))),
    }
}

/// Changes a session.
pub(super) async fn answer(
    context: &ApiContext,
    head: &Parts,
    session: NamedSession,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    QueryParameters::read(head.uri.query().unwrap_or_default(), &[])?;
    let body = read(body, PATCH_BYTES_MAX).await?;
    let patch: SessionPatch = object(&body)?;
    if patch.expires.is_some() {
        // At once, where the caller wants so.
        context.need(ApiRight::Kick)?;
    }
    if patch.expires.is_none() || !patch.labels.is_empty() {
        context.need(ApiRight::Label)?;
    }
    let request = PatchRequest { session: session.to_string(), patch };
    let own = patch_here(context, request.clone());
    let patched: PatchedSession = wherever(context, session, &request, own).await?;
    Ok(json::answer(StatusCode::OK, &json!(patched)))
}

/// Changes one of this process.
pub(super) async fn patch_here(
    context: &ApiContext,
    request: PatchRequest,
) -> Result<PatchedSession, ApiRefusal> {
    let PatchRequest { session, patch: SessionPatch { labels, expires } } = request;
    let targets = PushTargets::one(session.parse()?);
    let selector = context.only_covered(targets.selector()?);
    let mut seen = context.sessions.list(&selector, 1).await.pop().ok_or(ApiRefusal::Gone)?;
    let id = seen.id;
    // What is wrong with the labels is known before its end is another: all of it or nothing.
    change(&mut seen.facts.labels.clone(), &labels).map_err(refused)?;
    let mut expires_now = None;
    if let Some(second) = expires {
        let extension = context.extension_max(&seen.facts.route);
        let (said, most) = (clock::moment_of(second), clock::now().after(extension));
        let expires = match context.sessions.renew(id, said, most).await {
            Some(expires) => expires,
            None if context.sessions.count(&selector).await.matched == 0 => {
                return Err(ApiRefusal::Gone);
            }
            None => return Err(ApiRefusal::Busy),
        };
        expires_now = (expires != Moment::NEVER).then(|| clock::second_of(expires));
    }
    if !labels.is_empty() {
        let change = move |old: &mut SessionLabels| change(old, &labels);
        let changed = context.sessions.relabel(id, change).await.ok_or(ApiRefusal::Gone)?;
        seen.facts.labels = changed.map_err(refused)?;
    }
    Ok(PatchedSession { session: row(&seen), expires: expires_now })
}

fn refused(error: LabelError) -> ApiRefusal {
    ApiRefusal::BadRequest(error.to_string())
}

/// Gives labels and takes some away; all of it or nothing.
fn change(
    labels: &mut SessionLabels,
    given: &BTreeMap<String, Option<String>>,
) -> Result<(), LabelError> {
    let taken = given.iter().filter(|(_, value)| value.is_none());
    taken.for_each(|(name, _)| labels.remove(name));
    let mut given = given.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given.try_for_each(|(name, value)| labels.set(name, value, LabelSource::Operator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_whole_second_and_what_is_not_is_said() {
        let read = |text: &str| serde_json::from_str::<SessionPatch>(text);
        assert_eq!(read(r#"{"expires":1790000000}"#).unwrap().expires, Some(1_790_000_000));
        assert_eq!(read("{}").unwrap().expires, None);
        for (wrong, why) in [
            ("null", "not `null`"),
            ("-1", "not `-1`"),
            ("1.5", "not `1.5`"),
            ("1e3", "not `1000.0`"),
            (r#""1790000000""#, "not `\"1790000000\"`"),
            ("[]", "not `[]`"),
            ("true", "not `true`"),
            ("1790000000000", "past the year 9999"),
            ("18446744073709551616", "not `1.8446744073709552e+19`"),
        ] {
            let error = read(&format!(r#"{{"expires":{wrong}}}"#)).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        let twice = read(r#"{"labels":{"room":"7","room":null}}"#).unwrap_err().to_string();
        assert!(twice.contains("`room` is there more than once"), "{twice}");
    }
}
