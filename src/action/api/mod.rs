//! Requests about live sessions: send them messages, list and count them, label them, end them.
//!
//! | request | right | what it does |
//! |---|---|---|
//! | `POST /v1/push` | `push` | sends a message to sessions, and says what became of it |
//! | `GET /v1/sessions` | `list` | lists sessions |
//! | `GET /v1/sessions/ID` | `list` | one of them |
//! | `GET /v1/count` | `list` | counts them |
//! | `GET /v1/events` | `events` | streams what becomes of sessions |
//! | `DELETE /v1/sessions` | `kick` | ends them |
//! | `DELETE /v1/sessions/ID` | `kick` | ends one |
//! | `PATCH /v1/sessions/ID` | `label` | gives and takes labels |
//!
//! After an upgrade they are about the sessions of older processes as well, which are asked.
//!
//! Paths stand below the route's own. Answers are JSON; an error is `{"error": "…"}`.

mod context;
mod events;
mod instances;
mod json;
mod kick;
mod list;
mod older_instances;
mod questions;
mod send;
mod targets;

pub use context::{ApiContext, ApiRefusal};
pub use older_instances::{InstanceReport, OlderInstances};
pub use questions::{INSTANCE_TIMEOUT_MAX, InstanceQuestion, answer_newer};
pub use send::{PushRequest, push};
pub use targets::PushTargets;

use http::request::Parts;
use http::{Method, Response};

use crate::base::body::Body;
use crate::base::id::SessionName;
use crate::config::plan::ApiRight;

/// Answers a request for this path below the route's own.
pub async fn answer(context: &ApiContext, head: &Parts, path: &str, body: Body) -> Response<Body> {
    if context.older.as_ref().is_some_and(|older| older.is_replaced()) {
        // What it says here would be without the sessions of the process that serves.
        return ApiRefusal::Replaced.answer();
    }
    let answered = match path {
        "/v1/push" => match need(context, head, ApiRight::Push, &[Method::POST]) {
            Ok(()) => send::answer(context, head, body).await,
            Err(refusal) => Err(refusal),
        },
        "/v1/count" => match need(context, head, ApiRight::List, &[Method::GET]) {
            Ok(()) => list::count(context, head).await,
            Err(refusal) => Err(refusal),
        },
        "/v1/events" => match need(context, head, ApiRight::Events, &[Method::GET]) {
            Ok(()) => events::answer(context, head).await,
            Err(refusal) => Err(refusal),
        },
        "/v1/sessions" => sessions(context, head).await,
        _ => match path.strip_prefix("/v1/sessions/") {
            Some(id) => session(context, head, id, body).await,
            None => Err(ApiRefusal::NotFound(
                "here are /v1/push, /v1/sessions, /v1/count and /v1/events",
            )),
        },
    };
    answered.unwrap_or_else(|refusal| refusal.answer())
}

async fn sessions(context: &ApiContext, head: &Parts) -> Result<Response<Body>, ApiRefusal> {
    if head.method == Method::DELETE {
        need(context, head, ApiRight::Kick, &[Method::DELETE])?;
        return kick::several(context, head).await;
    }
    need(context, head, ApiRight::List, &[Method::GET, Method::DELETE])?;
    list::several(context, head).await
}

async fn session(
    context: &ApiContext,
    head: &Parts,
    id: &str,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    let right = match head.method {
        Method::DELETE => ApiRight::Kick,
        Method::PATCH => ApiRight::Label,
        _ => ApiRight::List,
    };
    need(context, head, right, &[Method::GET, Method::DELETE, Method::PATCH])?;
    let name = id.parse::<SessionName>().map_err(|_| {
        ApiRefusal::BadRequest(format!(
            "an id is 12 and 16 hexadecimal digits with `-` between, as the log shows it, not: \
             `{id}`"
        ))
    })?;
    match right {
        ApiRight::Kick => kick::one(context, head, name).await,
        ApiRight::Label => list::label(context, name, body).await,
        _ => list::one(context, name).await,
    }
}

/// Whether this may be asked here, by one of these methods.
fn need(
    context: &ApiContext,
    head: &Parts,
    right: ApiRight,
    methods: &'static [Method],
) -> Result<(), ApiRefusal> {
    if !methods.contains(&head.method) {
        return Err(ApiRefusal::Method(methods));
    }
    match context.may.contains(&right) {
        true => Ok(()),
        false => Err(ApiRefusal::Right(right)),
    }
}
