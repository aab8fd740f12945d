//! A plain request: its route's action, and the fields of the answer.

use http::header::{ALLOW, CONNECTION, HeaderValue, MAX_FORWARDS, UPGRADE};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use super::conn::App;
use super::grant::{Forwarding, Granted, ToPool};
use super::record::RequestRecord;
use super::refusal::{METHODS, Refusal};
use crate::action::{self, FileServer, RedirectRequest};
use crate::base::body::{self, Body};
use crate::config::plan;
use crate::pool::{Attempted, Attempts, Kind};
use crate::rewrite;

/// Sends the request to a pool.
pub(super) async fn forward(
    app: &App,
    mut granted: Granted,
    to: ToPool<'_>,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    if take_forward(&mut granted.asked.head) == Some(0) {
        return Ok(options());
    }
    let body = match granted.route.plan.limits.body_bytes_max {
        Some(max) => body::limited(body, max),
        None => body,
    };
    let informational = granted.informational();
    let (outbound, forwarding) = granted.outbound(app, to)?;
    let sharer = forwarding.client_network();
    let Forwarding { route, affinity, client_addr, answer_changes, .. } = forwarding;
    let client = client_addr.map(|client| client.ip());
    let attempts = Attempts::new(to.pool, Kind::Request, affinity.key, client).sharing(sharer);
    let Attempted { backend, outcome } =
        action::forward(attempts, &outbound, body, informational).await;
    record.asked(&to.pool.plan().name, backend.clone());
    let mut answer = outcome?;
    let upgrades: Vec<HeaderValue> = match answer.status() {
        // It ends with its hop, but this answer is nothing without it (RFC 9110 §15.5.22).
        StatusCode::UPGRADE_REQUIRED => answer.headers().get_all(UPGRADE).iter().cloned().collect(),
        _ => Vec::new(),
    };
    let via = app.via.value(Version::HTTP_11);
    let passing = &route.plan.trailers.response;
    rewrite::to_client(answer.headers_mut(), via, passing, &answer_changes);
    for protocols in upgrades {
        answer.headers_mut().append(UPGRADE, protocols);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    affinity.set_cookie(to.pool, backend.as_deref(), &mut answer);
    Ok(answer)
}

/// Takes one from `Max-Forwards`, which counts for OPTIONS (RFC 9110 §7.6.2; TRACE is not served);
/// how many there were.
fn take_forward(head: &mut Parts) -> Option<u64> {
    let left = head.headers.get(MAX_FORWARDS).filter(|_| head.method == Method::OPTIONS)?;
    let left = left.to_str().ok()?.parse::<u64>().ok()?;
    head.headers.insert(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    Some(left)
}

/// The answer to OPTIONS that is to go no further.
fn options() -> Response<Body> {
    let mut answer = Response::new(body::empty());
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    answer
}

/// Serves a file.
pub(super) async fn file(
    granted: Granted,
    files: &FileServer,
    strip_prefix: bool,
) -> Result<Response<Body>, Refusal> {
    let route = strip_prefix.then_some(&*granted.route.plan);
    let path = granted.asked.target.below(route);
    let mut answer = files.serve(&granted.asked.head, &path).await?;
    rewrite::apply(answer.headers_mut(), &granted.answer_changes);
    Ok(answer)
}

/// Redirects.
pub(super) fn redirect(
    granted: &Granted,
    redirect: &plan::Redirect,
) -> Result<Response<Body>, Refusal> {
    let asked = RedirectRequest {
        scheme: granted.asked.conn.scheme(),
        host: granted.asked.target.host.as_deref(),
        path: granted.asked.target.sent_path(&granted.asked.head),
        query: granted.asked.head.uri.query(),
    };
    let mut answer = action::redirect(redirect, &asked)?;
    rewrite::apply(answer.headers_mut(), &granted.answer_changes);
    Ok(answer)
}

/// Gives the fixed response.
pub(super) fn respond(granted: &Granted, respond: &plan::Respond) -> Response<Body> {
    let mut answer = action::respond(respond);
    rewrite::apply(answer.headers_mut(), &granted.answer_changes);
    answer
}
