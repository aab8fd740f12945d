//! One attempt at one backend, from a lease to its answer; each step consumes the one before.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::exchange::{self, ReadAnswer};
use super::request::WsRequest;
use super::rewound::Rewound;
use super::times::HandshakePart;
use super::verify::Agreed;
use crate::base::body::{Body, Observed, Observer};
use crate::base::clock;
use crate::base::network::ClientNetwork;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX};
use crate::pool::{Busy, HandshakePermit, Lease, Pool, UpstreamError};
use crate::rewrite::Outbound;
use crate::tls::Transport;
use crate::wire::answer::Fields;
use crate::wire::framing::settle_answer;

/// The part of `handshake_timeout` that a backend has for its answer while other handshakes wait
/// for a permit, as one in so many.
const CONTENDED_SHARE: u32 = 4;

/// A backend that was reached, and one of whose `handshakes_in_flight_max` is ours.
struct Reached {
    lease: Lease,
    permit: HandshakePermit,
    transport: Transport,
}

/// A backend's answer.
pub enum Answered {
    /// It opened a WebSocket.
    Upstream(Box<Upstream>),
    /// It answered something else, which is for the client to see.
    Http(Response<Body>),
}

/// The verified upstream of a session to come.
pub struct Upstream {
    /// The connection, free of HTTP.
    pub transport: Transport,
    /// What came in one breath with the answer's head; not lost.
    pub early: Vec<u8>,
    /// The backend's fields, as they came.
    pub fields: Fields,
    /// What was agreed on; the client's 101 is made from it.
    pub agreed: Agreed,
    /// The backend's place in our count of its sessions.
    pub lease: Lease,
}

/// Waits for a permit, dials, sends the head and waits for the answer's.
pub(super) async fn run(
    pool: &Pool,
    lease: Lease,
    client: ClientNetwork,
    request: &mut WsRequest,
    outbound: &Outbound,
) -> Result<Answered, UpstreamError> {
    let backend = Arc::clone(lease.backend());
    request.begin();
    let permit = backend.handshake_permit(client).await.map_err(UpstreamError::Busy)?;
    request.done(HandshakePart::Wait);
    let transport = pool.dial(&backend, outbound.ends()).await?;
    request.done(HandshakePart::Dial);
    let reached = Reached { lease, permit, transport };
    let mut answered = pin!(reached.answered(request, outbound));
    // Who holds a permit while others wait for one has less time.
    let step = pool.plan().handshake_timeout / CONTENDED_SHARE;
    for steps in 1..=CONTENDED_SHARE {
        match clock::by(clock::now().after(step), &mut answered).await {
            Some(answered) => return answered,
            None if backend.handshakes_waiting() > 0 => {
                return Err(UpstreamError::Busy(Busy::GaveWay { after: step * steps }));
            }
            None => {}
        }
    }
    Err(UpstreamError::Timeout)
}

impl Reached {
    async fn answered(
        self,
        request: &mut WsRequest,
        outbound: &Outbound,
    ) -> Result<Answered, UpstreamError> {
        let Reached { lease, permit, mut transport } = self;
        let text = request.write(outbound);
        let informational = request.informational.as_ref();
        let ReadAnswer { switching, rest } =
            exchange::run(&mut transport, &text, informational).await?;
        request.done(HandshakePart::Answer);
        let answered = match switching {
            Some(fields) => {
                let agreed = Agreed::verify(request, &fields).map_err(UpstreamError::Handshake)?;
                lease.backend().metrics().handshakes[StatusCode::SWITCHING_PROTOCOLS.into()].inc();
                let upstream = Upstream { transport, early: rest, fields, agreed, lease };
                Answered::Upstream(Box::new(upstream))
            }
            // On the heap: nearly every answer is a 101.
            None => Box::pin(passed_on(transport, rest, lease)).await?,
        };
        drop(permit);
        Ok(answered)
    }
}

/// The answer as the HTTP answer it is. Its connection ends with its body.
async fn passed_on(
    transport: Transport,
    read: Vec<u8>,
    lease: Lease,
) -> Result<Answered, UpstreamError> {
    let io = TokioIo::new(Rewound::new(transport, read));
    let mut http = http1::Builder::new();
    // A proxy removes spaces before a colon (RFC 9112 §5.1).
    http.allow_spaces_after_header_name_in_responses(true);
    http.max_headers(ANSWER_HEADERS_MAX).max_buf_size(ANSWER_HEAD_BYTES_MAX);
    let (mut sender, connection) = http.handshake(io).await.map_err(why)?;
    let mut driver = Driver(Some(Box::pin(async move {
        // How it ends is told by the answer.
        let _ = connection.await;
    })));
    // It was sent already: of this one hyper knows only that its answer may have a body.
    let sent = Request::new(Empty::<Bytes>::new());
    let mut answer = driver.along(sender.send_request(sent)).await.map_err(why)?;
    UpstreamError::check_head(&answer)?;
    settle_answer(answer.status(), answer.headers_mut()).map_err(UpstreamError::Framing)?;
    // The version is each hop's own (RFC 9110 §6.2).
    *answer.version_mut() = Version::HTTP_11;
    lease.backend().metrics().handshakes[answer.status().into()].inc();
    let driven = Driven { driver, _lease: lease };
    Ok(Answered::Http(answer.map(|body| Observed::new(body, driven).boxed_unsync())))
}

fn why(error: hyper::Error) -> UpstreamError {
    match () {
        () if error.is_parse_too_large() => UpstreamError::HeadTooLarge,
        () if error.is_parse() => UpstreamError::Garbled(error.into()),
        () => UpstreamError::Closed(error.into()),
    }
}

/// What moves a connection's bytes; `None` when it has ended.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Moves bytes once.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            self.0 = None;
        }
    }

    /// Moves bytes for as long as `future` takes.
    async fn along<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.poll(cx);
            future.as_mut().poll(cx)
        })
        .await
    }
}

/// What moves the connection of an answer whose body is read: no task, and nothing left when the
/// body is dropped.
struct Driven {
    driver: Driver,
    _lease: Lease,
}

impl Observer for Driven {
    fn on_poll(&mut self, cx: &mut Context<'_>) {
        self.driver.poll(cx);
    }
}
