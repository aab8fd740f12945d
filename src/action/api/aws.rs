//! `/@connections/ID`: one session as Amazon API Gateway's WebSocket APIs have it (the API
//! `apigatewaymanagementapi`, 2018-11-29), so that programs written for those need not change.
//! Signatures are not judged: access rules are the route's.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::context::{ApiContext, ApiRefusal, read};
use super::json;
use super::targets::NamedSession;
use super::{kick, list, send};
use crate::base::body::{self, Body};
use crate::base::clock;
use crate::wire::iso_time;

/// The name of an error, by which clients know it.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Whether a path is one of these.
pub(super) fn is_at(path: &str) -> bool {
    path.starts_with("/@connections/")
}

/// `PostToConnection`: a text message where it is UTF-8, a binary one else.
pub(super) async fn post(
    context: &ApiContext,
    session: NamedSession,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    let payload = read(body, context.message_bytes_max()).await?;
    send::to_one(context, session, payload).await?;
    Ok(Response::new(body::empty()))
}

/// `GetConnection`.
pub(super) async fn get(
    context: &ApiContext,
    session: NamedSession,
) -> Result<Response<Body>, ApiRefusal> {
    let row = list::find(context, session, true).await?;
    let ago = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        iso_time::utc(clock::second_of(clock::now()).saturating_sub(time.as_secs()))
    };
    let told = json!({
        "connectedAt": ago(row.age_seconds),
        "lastActiveAt": ago(row.idle_seconds.unwrap_or(row.age_seconds)),
        // No session keeps what its client is called.
        "identity": { "sourceIp": row.client_ip(), "userAgent": "" },
    });
    Ok(json::answer(StatusCode::OK, &told))
}

/// `DeleteConnection`.
pub(super) async fn delete(
    context: &ApiContext,
    session: NamedSession,
) -> Result<Response<Body>, ApiRefusal> {
    kick::end(context, session, None, None).await?;
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// A refusal as its clients read it.
pub(super) fn refused(refusal: &ApiRefusal) -> Response<Body> {
    let name = match refusal.status() {
        StatusCode::FORBIDDEN => "ForbiddenException",
        StatusCode::NOT_FOUND => "NotFoundException",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowedException",
        StatusCode::GONE => "GoneException",
        StatusCode::PAYLOAD_TOO_LARGE => "PayloadTooLargeException",
        StatusCode::TOO_MANY_REQUESTS => "LimitExceededException",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableException",
        _ => "BadRequestException",
    };
    let mut answer = refusal.answer();
    *answer.body_mut() = body::full(format!("{}\n", json!({ "message": refusal.reason() })));
    answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(name));
    answer
}
