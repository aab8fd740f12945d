//! A plain request: its route's action, and the fields of the answer.

use http::header::{ALLOW, CONNECTION, HeaderValue, LOCATION, MAX_FORWARDS, UPGRADE};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use super::admit::Asked;
use super::conn::App;
use super::grant::{Forwarding, Granted};
use super::record::RequestRecord;
use super::refusal::{METHODS, Refusal};
use crate::action::{self, FileServer, RedirectRequest};
use crate::base::body::{self, Body};
use crate::config::plan::{self, PathPattern};
use crate::live::LivePool;
use crate::pool::{Attempted, Attempts, Kind};
use crate::rewrite;

/// Sends the request to a pool.
pub(super) async fn forward(
    app: &App,
    mut granted: Granted,
    to: &LivePool,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    if take_forward(&mut granted.asked.head) == Some(0) {
        return Ok(options());
    }
    if to.target.path.is_cut()
        && let Some(answer) = to_slash(&granted)
    {
        return Ok(answer);
    }
    let body = match granted.route.plan.limits.body_bytes_max {
        Some(max) => body::limited(body, max),
        None => body,
    };
    let informational = granted.informational();
    let (outbound, forwarding) = granted.outbound(app, to)?;
    let sharer = forwarding.client_network();
    let Forwarding { route, affinity, client_addr, answer_changes, reverse, .. } = forwarding;
    let client = client_addr.map(|client| client.ip());
    let pool = &to.pool;
    let attempts = Attempts::new(pool, Kind::Request, affinity.key, client).sharing(sharer);
    let Attempted { backend, outcome } =
        action::forward(attempts, &outbound, body, informational).await;
    record.asked(&pool.plan().name, backend.clone());
    let mut answer = outcome?;
    if let Some(reverse) = &reverse {
        reverse.apply(answer.headers_mut(), backend.as_deref());
    }
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
    affinity.set_cookie(pool, backend.as_deref(), &mut answer);
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

/// Where the route's prefix is cut off and asked for without its last slash: the way to the slash,
/// without which a page's relative links lead past the prefix. What has a body, or is asked for by
/// another method than a page, goes on.
fn to_slash(granted: &Granted) -> Option<Response<Body>> {
    let Asked { head, target, .. } = &*granted.asked;
    let plan = &granted.route.plan;
    let is_page = matches!(head.method, Method::GET | Method::HEAD);
    let is_segment = matches!(plan.path, PathPattern::Segment { .. });
    if !(is_page && is_segment && target.is_prefix(plan)) {
        return None;
    }
    let query = head.uri.query().map(|query| ["?", query].concat()).unwrap_or_default();
    let location = [&*granted.whole_prefix(), "/", &query].concat();
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    answer.headers_mut().insert(LOCATION, HeaderValue::try_from(location).ok()?);
    rewrite::apply(answer.headers_mut(), &granted.answer_changes);
    Some(answer)
}

/// The answer to OPTIONS that is to go no further.
fn options() -> Response<Body> {
    let mut answer = Response::new(body::empty());
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    answer
}

/// Serves a file.
pub(super) async fn file(
    granted: &Granted,
    files: &FileServer,
    strip_prefix: bool,
) -> Result<Response<Body>, Refusal> {
    if strip_prefix && let Some(answer) = to_slash(granted) {
        return Ok(answer);
    }
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
