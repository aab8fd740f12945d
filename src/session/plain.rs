//! A plain request: its route's action, and the fields of the answer.

use http::Response;

use super::grant::{Forwarding, Granted, ToPool};
use super::record::RequestRecord;
use super::refusal::Refusal;
use crate::action::{self, FileServer, RedirectRequest};
use crate::base::body::Body;
use crate::config::plan;
use crate::pool::{Attempted, Attempts, Kind};
use crate::rewrite;

/// Sends the request to a pool.
pub(super) async fn forward(
    granted: Granted,
    to: ToPool<'_>,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let (outbound, Forwarding { route, affinity, client_addr, .. }) = granted.outbound(to)?;
    let client = client_addr.map(|client| client.ip());
    let attempts = Attempts::new(to.pool, Kind::Request, affinity.key, client);
    let Attempted { backend, outcome } = action::forward(attempts, &outbound, body).await;
    record.asked(&to.pool.plan().name, backend.clone());
    let mut answer = outcome?;
    rewrite::to_client(answer.headers_mut(), &route.plan.response_headers);
    affinity.set_cookie(to.pool, backend.as_deref(), &mut answer);
    Ok(answer)
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
    rewrite::apply(answer.headers_mut(), &granted.route.plan.response_headers);
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
    rewrite::apply(answer.headers_mut(), &granted.route.plan.response_headers);
    Ok(answer)
}

/// Gives the fixed response.
pub(super) fn respond(granted: &Granted, respond: &plan::Respond) -> Response<Body> {
    let mut answer = action::respond(respond);
    rewrite::apply(answer.headers_mut(), &granted.route.plan.response_headers);
    answer
}
