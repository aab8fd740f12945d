//! `DELETE /v1/sessions`: sessions end, each with a Close.

use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;

use super::context::{ApiContext, ApiRefusal};
use super::json;
use super::targets::{PushTargets, decoded};
use crate::base::body::Body;
use crate::base::id::SessionId;
use crate::registry::Selector;
use crate::wire::control::close_code_is_valid;

/// Ends the sessions that a query names.
pub(super) async fn several(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let targets = PushTargets::from_query(head.uri.query().unwrap_or_default())?;
    kick(context, head, targets.selector()?, false).await
}

/// Ends one session.
pub(super) async fn one(
    context: &ApiContext,
    head: &Parts,
    id: SessionId,
) -> Result<Response<Body>, ApiRefusal> {
    kick(context, head, Selector::Session(id), true).await
}

async fn kick(
    context: &ApiContext,
    head: &Parts,
    selector: Selector,
    is_single: bool,
) -> Result<Response<Body>, ApiRefusal> {
    let code = decoded(head.uri.query().unwrap_or_default(), "code")?.pop();
    let code = code.map(|text| {
        let code = text.parse().ok().filter(|code| close_code_is_valid(*code));
        let why = || format!("no close code that may be sent (RFC 6455 §7.4): `{text}`");
        code.ok_or_else(|| ApiRefusal::BadRequest(why()))
    });
    let code = code.transpose()?;
    let kicked = context.sessions.kick_all(context.only_covered(selector), code).await;
    match kicked {
        0 if is_single => Err(ApiRefusal::Gone),
        kicked => Ok(json::answer(StatusCode::OK, &json!({ "kicked": kicked }))),
    }
}
