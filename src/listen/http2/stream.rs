//! One stream: its request judged, answered by the handler, the answer sent.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{Method, Request, Response, StatusCode};

use super::super::Handler;
use super::super::pace::TAKE_TIMEOUT;
use super::head::{self, HeadError};
use super::resets::Resets;
use super::{body, response};
use crate::base::body::{self as base_body, Body};
use crate::base::clock;
use crate::observe::metrics::GaugeGuard;
use crate::relay::Stream;
use crate::session::{Conn, OnStream};

/// What the streams of a connection share.
pub(super) struct StreamContext {
    handler: Arc<dyn Handler>,
    conn: Rc<Conn>,
    pub(super) resets: Resets,
}

impl StreamContext {
    pub(super) fn new(handler: Arc<dyn Handler>, conn: Rc<Conn>, resets_max: u32) -> StreamContext {
        StreamContext { handler, conn, resets: Resets::new(resets_max) }
    }

    /// How long a client may leave a piece of an answer untaken.
    fn patience(&self) -> Duration {
        self.conn.listener.limits.keep_alive_timeout.max(TAKE_TIMEOUT)
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
    match head::fit(&mut head, &context.conn.listener.limits) {
        Ok(()) => {}
        Err(HeadError::Malformed(reason)) => return respond.send_reset(reason),
        Err(HeadError::TooManyFields) => {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            // A stream that is gone needs no answer.
            let _ = respond.send_response(answer, true);
            return;
        }
    }
    if head::take_expectation(&mut head) {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        let _ = respond.send_informational(go_on);
    }
    let mut tunnel = None;
    let body = match head.extensions.get::<Protocol>() {
        Some(_) => {
            let (promise, on_stream) = OnStream::new();
            head.extensions.insert(on_stream);
            tunnel = Some((promise, received));
            base_body::empty()
        }
        None => body::of(received),
    };
    let answer = context.handler.answer(&context.conn, Request::from_parts(head, body));
    let Some(answer) = unless_reset(&mut respond, answer).await else {
        return context.resets.add(clock::now());
    };
    // How a stream ends early is its client's to know.
    let _ = match tunnel {
        Some((promise, received)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            response::open(&mut respond, answer).map(|sending| {
                // Nobody waits for a session that its worker has given up.
                drop(promise.send(Stream::new(sending, received, open)));
            })
        }
        _ => response::send(&mut respond, answer, is_head, context.patience()).await,
    };
}

/// The answer; `None` when the client has reset the stream before there was one.
async fn unless_reset(
    respond: &mut SendResponse<Bytes>,
    answer: impl Future<Output = Response<Body>>,
) -> Option<Response<Body>> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await
}
