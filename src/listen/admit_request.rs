//! A request on its way to the handler. Where a trusted proxy is connected, its client is counted
//! here: the connection alone does not tell whose it is.

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;

use super::client::HttpClient;
use super::permits::ProxiedPermit;
use super::refused::{self, RequestRefusal};
use crate::base::body::{self, Body, Observed, Observer};
use crate::base::task::LocalBox;
use crate::observe::metrics::HttpVersion;
use crate::session::{AnswerHooks, Conn};

/// Answers a request of this connection.
pub(super) fn answer(
    client: &HttpClient,
    protocol: HttpVersion,
    conn: &Rc<Conn>,
    request: Request<Body>,
    hooks: AnswerHooks,
) -> LocalBox<Response<Body>> {
    let context = client.context();
    let asking = conn.is_trusted().then(|| conn.client_addr(request.headers())).flatten();
    let Some(asking) = asking else { return context.handler.answer(conn, request, hooks) };
    match context.permits.enter_behind_proxy(asking.ip().into()) {
        Ok(None) => context.handler.answer(conn, request, hooks),
        Ok(Some(permit)) => {
            let permit = Arc::new(permit);
            // A session takes the connection's permit along, and with it this one.
            let both = Rc::new((Rc::clone(&conn.permit), Arc::clone(&permit)));
            let conn = Rc::new(Conn { permit: both, ..Conn::clone(conn) });
            let answer = context.handler.answer(&conn, request, hooks);
            Box::pin(async move {
                answer.await.map(|body| Observed::new(body, CountedAnswer(permit)).boxed_unsync())
            })
        }
        Err(rejection) => {
            client.cells().refused.count(rejection);
            refused::request_of(Some(asking), client, protocol, RequestRefusal::PerAddress);
            let text = "too many connections of this client\n";
            let mut answer = Response::new(body::full(text));
            *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            Box::pin(std::future::ready(answer))
        }
    }
}

/// Counts a client until its answer has ended.
struct CountedAnswer(#[expect(dead_code, reason = "kept for its drop")] Arc<ProxiedPermit>);

impl Observer for CountedAnswer {}
