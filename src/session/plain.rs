//! A plain request: its route's action, and the fields of the answer.

use std::sync::Arc;

use http::{HeaderValue, Response};

use super::admit::Routed;
use super::affinity::Affinity;
use super::fields;
use super::record::RequestRecord;
use super::refusal::Refusal;
use crate::action::{self, Asked, Files, Forwarded};
use crate::base::body::Body;
use crate::config::plan;
use crate::pool::Pool;

/// Sends the request to a pool.
pub(super) async fn forward(
    mut routed: Routed,
    pool: &Arc<Pool>,
    strip_prefix: bool,
    host: Option<&HeaderValue>,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let affinity = Affinity::take(&mut routed, pool);
    routed.turn_onward(strip_prefix, host)?;
    // What HTTP/1.1 keeps there for its own next step is not for another connection.
    routed.head.extensions.clear();
    let forwarded = action::forward(pool, routed.head, body, affinity.key).await;
    let Forwarded { backend, answer } = forwarded;
    record.asked(&pool.plan().name, backend.clone());
    let mut answer = answer?;
    fields::homeward(answer.headers_mut(), &routed.route.plan.response_headers);
    affinity.give(pool, backend.as_deref(), &mut answer);
    Ok(answer)
}

/// Serves a file.
pub(super) async fn file(
    routed: Routed,
    files: &Files,
    strip_prefix: bool,
) -> Result<Response<Body>, Refusal> {
    let route = strip_prefix.then_some(&*routed.route.plan);
    let path = routed.target.below(&routed.head, route)?;
    let mut answer = files.serve(routed.head, path).await?;
    fields::apply(answer.headers_mut(), &routed.route.plan.response_headers);
    Ok(answer)
}

/// Redirects.
pub(super) fn redirect(
    routed: &Routed,
    redirect: &plan::Redirect,
) -> Result<Response<Body>, Refusal> {
    let asked = Asked {
        scheme: routed.conn.scheme(),
        host: routed.target.host.as_deref(),
        path: routed.target.sent_path(&routed.head),
        query: routed.head.uri.query(),
    };
    let mut answer = action::redirect(redirect, &asked)?;
    fields::apply(answer.headers_mut(), &routed.route.plan.response_headers);
    Ok(answer)
}

/// Gives the fixed response.
pub(super) fn respond(routed: &Routed, respond: &plan::Respond) -> Response<Body> {
    let mut answer = action::respond(respond);
    fields::apply(answer.headers_mut(), &routed.route.plan.response_headers);
    answer
}
