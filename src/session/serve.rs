//! The story of one request.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;

use super::admit::{Admitted, Routed};
use super::answer_hooks::AnswerHooks;
use super::compression::Compression;
use super::conn::{App, Conn};
use super::error_pages::RequestPages;
use super::grant::Granted;
use super::record::RequestRecord;
use super::refusal::Refusal;
use super::request_trace::RequestTrace;
use super::{about_sessions, challenge, plain, websocket};
use crate::base::body::Body;
use crate::base::clock;
use crate::handshake;
use crate::live::{LiveAction, Snapshot};

/// Answers one request. Where the answer is a 101, a session begins as soon as the connection is
/// handed over by HTTP.
pub async fn serve(
    app: Arc<App>,
    conn: Rc<Conn>,
    request: Request<Body>,
    hooks: AnswerHooks,
) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let now = clock::now();
    // Looked at after the clock: see `Admitted::at`.
    let snapshot = app.live.now();
    let trace = RequestTrace::begin(&app, snapshot.plan.traces.as_ref(), &mut head);
    let mut record = RequestRecord::begin(&conn, &head, &hooks.fate, &snapshot, now);
    record.keep_trace(trace);
    if challenge::is_asked(&conn, &head) {
        // Before any route: an operator has none for it.
        let answer = Box::pin(challenge::answer(&app.challenges, &conn, &head)).await;
        if let Some(mut answer) = answer {
            record.add_fields(&mut answer);
            return record.follow(answer);
        }
    }
    let routed = route(conn, head, hooks, &snapshot, &mut record);
    // From here on the route is enough: a long answer must not keep a configuration alive.
    drop(snapshot);
    let mut answer = match routed {
        Ok(routed) => {
            let (pages, asks_pool) =
                (RequestPages::of(&routed), routed.route.action.pool().is_some());
            let compression = Compression::of(&routed);
            let compressed = |answer| match &compression {
                Some(compression) => compression.apply(&app.encoders, answer),
                None => answer,
            };
            match answer(&app, routed, body, &mut record).await {
                Ok(answer) if asks_pool => compressed(pages.of_backend(answer)),
                Ok(answer) => compressed(answer),
                Err(refusal) => {
                    record.refused(&refusal);
                    pages.of_refusal(&refusal)
                }
            }
        }
        Err(refusal) => {
            record.refused(&refusal);
            refusal.answer()
        }
    };
    record.add_fields(&mut answer);
    match answer.status() {
        // It has become a session.
        StatusCode::SWITCHING_PROTOCOLS => answer,
        _ => record.follow(answer),
    }
}

/// Finds out what is asked for, and the route that takes it.
fn route(
    conn: Rc<Conn>,
    head: Parts,
    hooks: AnswerHooks,
    snapshot: &Snapshot,
    record: &mut RequestRecord,
) -> Result<Routed, Refusal> {
    Admitted::new(conn, head, hooks, record)?.routed(snapshot, record)
}

async fn answer(
    app: &Arc<App>,
    routed: Routed,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let granted = routed.authorize(app, record).await?.counted(app, record)?;
    let route = Arc::clone(&granted.route);
    let is_on_stream = handshake::is_on_stream(&granted.asked.head);
    let is_old = granted.asked.head.version == Version::HTTP_10;
    let mut answer = act(app, granted, body, record).await?;
    if is_old && !has_length(&answer) {
        // Its end is the connection's (RFC 9112 §9.3), whatever the client would keep; hyper keeps
        // none whose answer is an old one.
        *answer.version_mut() = Version::HTTP_10;
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match (is_on_stream && answer.status().is_success(), route.action.pool()) {
        (true, Some(_)) => Err(Refusal::NotOpened),
        (true, None) => Err(Refusal::NoWebSocket),
        (false, _) => Ok(answer),
    }
}

/// Whether an answer's head tells where its body ends.
fn has_length(answer: &Response<Body>) -> bool {
    answer.headers().contains_key(CONTENT_LENGTH) || answer.body().size_hint().exact().is_some()
}

/// Does what the route is for. Each kind of action is made on the heap when it is asked for, so
/// that no request costs as much room as the largest.
async fn act(
    app: &Arc<App>,
    granted: Granted,
    body: Body,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let route = Arc::clone(&granted.route);
    match &route.action {
        LiveAction::Pool(to) => match granted.asked.asks_websocket {
            true => Box::pin(websocket::open(app, granted, to, record)).await,
            false => Box::pin(plain::forward(app, granted, to, body, record)).await,
        },
        LiveAction::Files { files, strip_prefix, fallback } => match fallback {
            Some(to) if granted.asked.asks_websocket => {
                Box::pin(websocket::open(app, granted, to, record)).await
            }
            Some(to) => match Box::pin(plain::file(&granted, files, *strip_prefix)).await {
                Err(Refusal::Action(error)) if error.is_for_fallback() => {
                    Box::pin(plain::forward(app, granted, to, body, record)).await
                }
                answered => answered,
            },
            None => Box::pin(plain::file(&granted, files, *strip_prefix)).await,
        },
        LiveAction::Redirect(redirect) => plain::redirect(&granted, redirect),
        LiveAction::Respond(respond) => Ok(plain::respond(&granted, respond)),
        LiveAction::Api(api) => Ok(Box::pin(about_sessions::answer(app, granted, api, body)).await),
    }
}
