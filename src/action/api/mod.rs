//! Requests about live sessions: send them messages, list and count them, change them, end them.
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
//! | | `kick` | has it end at another moment |
//! | `/@connections/ID` | as above | POST, GET and DELETE as API Gateway answers them |
//!
//! After an upgrade they are about the sessions of older processes as well, which are asked.
//!
//! Paths stand below the route's own. Answers are JSON; an error is `{"error": "…"}`.

mod aws;
mod change;
mod context;
mod events;
mod instances;
mod json;
mod kick;
mod list;
mod objects;
mod older_instances;
mod openapi;
mod operations;
mod parameters;
mod push_report;
mod questions;
mod schemas;
mod send;
mod targets;

pub use context::{ApiContext, ApiRefusal, CoveredRoute, IsInForce};
pub use older_instances::{InstanceReport, OlderInstances, OpenRequest, OpenRequests};
pub use openapi::openapi_json;
pub use questions::{INSTANCE_TIMEOUT_MAX, InstanceQuestion, answer_newer};
pub use send::{PushRequest, push};
pub use targets::PushTargets;

use http::Response;
use http::request::Parts;

use crate::base::body::Body;
use operations::{Operation, OperationKind, find};

/// Answers a request for this path below the route's own.
pub async fn answer(context: &ApiContext, head: &Parts, path: &str, body: Body) -> Response<Body> {
    let answered = match find(&head.method, path, context.has_aws) {
        Ok((operation, session)) => carry_out(context, head, operation, session, body).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| refuse(context, path, &refusal))
}

/// Answers that a request for this path is refused.
pub fn refuse(context: &ApiContext, path: &str, refusal: &ApiRefusal) -> Response<Body> {
    match aws::is_at(path) && context.has_aws {
        true => aws::refused(refusal),
        false => refusal.answer(),
    }
}

async fn carry_out(
    context: &ApiContext,
    head: &Parts,
    operation: &Operation,
    session: &str,
    body: Body,
) -> Result<Response<Body>, ApiRefusal> {
    if context.older.as_ref().is_some_and(|older| older.is_replaced()) {
        // What it says here would be without the sessions of the process that serves.
        return Err(ApiRefusal::Replaced);
    }
    if let Some(right) = operation.right {
        context.need(right)?;
    }
    match operation.kind {
        OperationKind::Push => send::answer(context, head, body).await,
        OperationKind::List => list::several(context, head).await,
        OperationKind::Kick => kick::several(context, head).await,
        OperationKind::ShowOne => list::one(context, head, session.parse()?).await,
        OperationKind::PatchOne => change::answer(context, head, session.parse()?, body).await,
        OperationKind::KickOne => kick::one(context, head, session.parse()?).await,
        OperationKind::Count => list::count(context, head).await,
        OperationKind::Follow => events::answer(context, head).await,
        OperationKind::AwsPost => aws::post(context, session.parse()?, body).await,
        OperationKind::AwsGet => aws::get(context, session.parse()?).await,
        OperationKind::AwsDelete => aws::delete(context, session.parse()?).await,
    }
}
