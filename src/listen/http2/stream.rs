//! One stream: its request judged, answered by the handler, the answer sent.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use super::super::client::HttpClient;
use super::super::pace::TAKE_TIMEOUT;
use super::super::refused::{self, RequestRefusal};
use super::super::{admit_request, rate};
use super::head::{self, HeadError};
use super::resets::Resets;
use super::{body, response};
use crate::base::body::{self as base_body, Body};
use crate::base::clock;
use crate::base::flow::ConnectionFlow;
use crate::observe::metrics::{GaugeGuard, HttpVersion};
use crate::relay::Stream;
use crate::rewrite::{Informational, Informed};
use crate::session::{AnswerCut, AnswerHooks, ClientEnd, PendingUpgrade};

/// What the streams of a connection share.
pub(super) struct StreamContext {
    client: Rc<HttpClient>,
    flow: Arc<ConnectionFlow>,
    pub(super) resets: Resets,
}

impl StreamContext {
    pub(super) fn new(
        client: Rc<HttpClient>,
        flow: Arc<ConnectionFlow>,
        resets_max: u32,
    ) -> StreamContext {
        StreamContext { client, flow, resets: Resets::new(resets_max) }
    }
}

/// Serves a stream until it is answered, or reset by its client.
pub(super) async fn serve(
    context: Rc<StreamContext>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    open: GaugeGuard,
) {
    let (mut head, received) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let conn = context.client.conn();
    let limits = &conn.listener.limits;
    match head::fit(&mut head, limits) {
        Ok(()) => {}
        Err(HeadError::Malformed(reason)) => {
            refused::request(&context.client, HttpVersion::Http2, RequestRefusal::Malformed);
            return respond.send_reset(reason);
        }
        Err(HeadError::TooManyFields) => {
            refused::request(&context.client, HttpVersion::Http2, RequestRefusal::HeadTooLarge);
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            // A stream that is gone needs no answer.
            let _ = respond.send_response(answer, true);
            return;
        }
    }
    let (mut tunnel, mut hooks) = (None, AnswerHooks::default());
    let body = match head.extensions.get::<Protocol>() {
        Some(_) => {
            let (promise, upgrade) = PendingUpgrade::new();
            hooks.upgrade = Some(upgrade);
            tunnel = Some((promise, received));
            base_body::empty()
        }
        None => rate::rated(body::of(received), limits.body_rate_min),
    };
    let (body, reads) = match head::expects_continue(&head) {
        true => {
            let (body, reads) = body::announced(body);
            (body, Some(reads))
        }
        false => (body, None),
    };
    let patience = limits.keep_alive_timeout.max(TAKE_TIMEOUT);
    let (informational, informed) = Informational::new();
    hooks.informational = Some(informational);
    let fate = hooks.fate.clone();
    let request = Request::from_parts(head, body);
    let answer = admit_request::answer(&context.client, HttpVersion::Http2, &conn, request, hooks);
    let Some(answer) = unless_reset(&mut respond, answer, reads, informed).await else {
        return context.resets.add(clock::now());
    };
    // How a stream ends early is its client's to know.
    let _ = match tunnel {
        Some((promise, received)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            response::open(&mut respond, answer).map(|sending| {
                // Nobody waits for a session that its worker has given up.
                let flow = Arc::clone(&context.flow);
                let stream = Stream::new(sending, received, flow, open);
                drop(promise.send(ClientEnd::Stream(stream)));
            })
        }
        _ => {
            let rate_min = limits.answer_rate_min;
            let on_cut = |why| refused::cut(&context.client, HttpVersion::Http2, &fate, why);
            let (flow, on_cut) = (&context.flow, &on_cut as &dyn Fn(AnswerCut));
            let terms = response::SendTerms { is_head, patience, rate_min, flow, on_cut };
            response::send(&mut respond, answer, &terms).await
        }
    };
}

/// The answer; `None` when the client has reset the stream before there was one. A client that
/// waits for that is told to send its body as soon as it is read, and informational answers are
/// sent as they come.
async fn unless_reset(
    respond: &mut SendResponse<Bytes>,
    answer: impl Future<Output = Response<Body>>,
    mut reads: Option<oneshot::Receiver<()>>,
    mut informed: Informed,
) -> Option<Response<Body>> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        let polled = answer.as_mut().poll(cx);
        if let Some(Poll::Ready(is_read)) = reads.as_mut().map(|reads| pin!(reads).poll(cx)) {
            reads = None;
            if is_read.is_ok() && polled.is_pending() {
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                // A stream that is gone waits for nothing.
                let _ = respond.send_informational(go_on);
            }
        }
        while let Some(informational) = informed.next(cx) {
            let _ = respond.send_informational(informational);
        }
        if let Poll::Ready(answer) = polled {
            return Poll::Ready(Some(answer));
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await
}
