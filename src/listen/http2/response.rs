//! An answer on its way to the client, as fast as it is read.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::time::timeout;

use super::super::date;
use super::super::rate::RateMeter;
use crate::base::body::{Body, BoxError};
use crate::base::flow::ConnectionFlow;
use crate::base::{clock, flow};
use crate::session::AnswerCut;

/// Fields that HTTP/2 does not have (RFC 9113 §8.2.2).
const CONNECTION_SPECIFIC: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How an answer is sent.
pub(super) struct SendTerms<'a> {
    /// To a HEAD request: its head only.
    pub(super) is_head: bool,
    /// How long the client may leave a piece untaken.
    pub(super) patience: Duration,
    /// Bytes per second it must take at least.
    pub(super) rate_min: Option<u64>,
    /// What the connection has on the way to its client.
    pub(super) flow: &'a Arc<ConnectionFlow>,
    /// Told why the answer is cut, before its body is dropped.
    pub(super) on_cut: &'a dyn Fn(AnswerCut),
}

/// Sends an answer. A client that leaves it untaken loses this stream, and no other.
///
/// # Errors
/// The stream was reset, or its connection is gone.
pub(super) async fn send(
    respond: &mut SendResponse<Bytes>,
    answer: Response<Body>,
    terms: &SendTerms<'_>,
) -> io::Result<()> {
    let (mut head, mut body) = answer.into_parts();
    let is_bodiless = terms.is_head || is_bodiless(head.status);
    fit(&mut head, body.size_hint().exact().filter(|_| !is_bodiless));
    let ends = is_bodiless || body.is_end_stream();
    let head = Response::from_parts(head, ());
    let stream = respond.send_response(head, ends).map_err(io::Error::other)?;
    if ends {
        return Ok(());
    }
    let meter = RateMeter::new(terms.rate_min);
    let mut sending = Sending { stream, meter, terms, is_finished: false };
    while let Some(frame) = sending.next(&mut body).await? {
        let Ok(frame) = frame else {
            // What was sent is not the whole.
            sending.stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        match frame.into_data() {
            Ok(data) => {
                let ends = body.is_end_stream();
                sending.send(data, ends).await?;
                if ends {
                    return Ok(());
                }
            }
            Err(frame) => {
                sending.is_finished = true;
                let trailers = frame.into_trailers().unwrap_or_default();
                return sending.stream.send_trailers(trailers).map_err(io::Error::other);
            }
        }
    }
    sending.finish(Bytes::new())
}

/// Statuses whose answers have no body (RFC 9110 §6.4.1).
fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// A body on its way.
struct Sending<'a> {
    stream: SendStream<Bytes>,
    meter: RateMeter,
    terms: &'a SendTerms<'a>,
    /// The rest is the crate's to send.
    is_finished: bool,
}

impl Sending<'_> {
    /// The next frame of the body, read when the connection has room for it; an error when the
    /// client does not want it any more.
    async fn next(
        &mut self,
        body: &mut Body,
    ) -> io::Result<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = poll_fn(|cx| {
            if self.stream.poll_reset(cx).is_ready() {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                return Poll::Ready(Err(reset));
            }
            if self.terms.flow.poll_room(cx).is_pending() {
                return Poll::Pending;
            }
            Pin::new(&mut *body).poll_frame(cx).map(Ok)
        });
        let frame = next.await?;
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.terms.flow.add(self.stream.stream_id().as_u32(), bytes);
        }
        Ok(frame)
    }

    async fn send(&mut self, mut data: Bytes, ends: bool) -> io::Result<()> {
        while !data.is_empty() {
            let wanted = data.len();
            let started = clock::now();
            let room = poll_fn(|cx| flow::poll_room(&mut self.stream, cx, wanted));
            let Ok(room) = timeout(self.terms.patience.min(self.meter.left()), room).await else {
                (self.terms.on_cut)(self.meter.verdict(self.terms.patience));
                self.stream.send_reset(Reason::CANCEL);
                return Err(io::ErrorKind::TimedOut.into());
            };
            let room = room?;
            self.meter.moved(room, clock::now().since(started));
            let piece = data.split_to(room);
            if ends && data.is_empty() {
                return self.finish(piece);
            }
            self.stream.send_data(piece, false).map_err(io::Error::other)?;
        }
        if ends { self.finish(Bytes::new()) } else { Ok(()) }
    }

    fn finish(&mut self, last: Bytes) -> io::Result<()> {
        self.is_finished = true;
        self.stream.send_data(last, true).map_err(io::Error::other)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.terms.flow.reset(self.stream.stream_id().as_u32());
        }
    }
}

/// Sends the answer that opens a WebSocket, 200 here (RFC 8441 §4), and gives the stream behind it.
///
/// # Errors
/// The stream was reset, or its connection is gone.
pub(super) fn open(
    respond: &mut SendResponse<Bytes>,
    answer: Response<Body>,
) -> io::Result<SendStream<Bytes>> {
    let (mut head, _) = answer.into_parts();
    head.status = StatusCode::OK;
    // What follows is no content (RFC 9110 §9.3.6).
    head.headers.remove(CONTENT_LENGTH);
    fit(&mut head, None);
    respond.send_response(Response::from_parts(head, ()), false).map_err(io::Error::other)
}

/// Makes a head one of HTTP/2, with the fields HTTP/1.1's driver writes of itself.
fn fit(head: &mut Parts, length: Option<u64>) {
    for name in &CONNECTION_SPECIFIC {
        head.headers.remove(name);
    }
    if head.status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6.
        head.headers.remove(CONTENT_LENGTH);
    }
    if let Some(length) = length
        && !head.headers.contains_key(CONTENT_LENGTH)
    {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    date::add(&mut head.headers);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::body;
    use crate::base::flow::FlowBudget;

    #[tokio::test]
    async fn a_client_that_gives_no_room_loses_its_stream() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = async {
            let mut http = h2::server::handshake(near).await.unwrap();
            let (_, mut respond) = http.accept().await.unwrap().unwrap();
            let answer = Response::new(body::full("more than nothing"));
            let patience = Duration::from_millis(50);
            let flow = ConnectionFlow::new(FlowBudget::new(0));
            let cut = std::cell::Cell::new(None);
            let on_cut = &|why| cut.set(Some(why));
            let terms = SendTerms { is_head: false, patience, rate_min: None, flow: &flow, on_cut };
            let sent = async { send(&mut respond, answer, &terms).await.unwrap_err() };
            let error = tokio::select! {
                error = sent => error,
                _ = http.accept() => panic!("the connection ended first"),
            };
            assert_eq!(cut.get(), Some(AnswerCut::Untaken));
            drop(respond);
            while http.accept().await.is_some() {}
            error
        };
        let client = async {
            let mut builder = h2::client::Builder::new();
            let (mut asker, http) =
                builder.initial_window_size(0).handshake::<_, Bytes>(far).await.unwrap();
            let asked = async {
                let request = http::Request::get("http://a/").body(()).unwrap();
                let (answer, _) = asker.send_request(request, true).unwrap();
                answer.await.unwrap().into_body().data().await.unwrap().unwrap_err()
            };
            tokio::select! {
                error = asked => error,
                _ = http => panic!("the connection ended first"),
            }
        };
        let (server, client) = tokio::join!(server, client);
        assert_eq!(server.kind(), io::ErrorKind::TimedOut);
        assert_eq!(client.reason(), Some(Reason::CANCEL));
    }
}
