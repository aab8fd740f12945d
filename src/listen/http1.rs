//! The HTTP/1.1 driver: hyper's, within the listener's limits.

mod exchange;
mod opening;
mod stream;
mod unsent;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::client::HttpClient;
use super::pace::{Paced, TakeProgress};
use super::refused::{self, RequestRefusal};
use super::{ListenerState, admit_request, linger, rate};
use exchange::{AnswerEnd, Exchange};
use opening::Unopened;
use stream::ClientStream;

use crate::base::body::{Body, Observed};
use crate::config::plan::ListenerLimits;
use crate::observe::metrics::HttpVersion;
use crate::tls::Transport;

/// hyper's smallest read buffer.
const BUFFER_BYTES_MIN: usize = 8192;

/// hyper's own number of fields: without a number of ours it parses on the stack.
const FIELDS_DEFAULT: usize = 100;

/// How long a connection that is new when its listener closes may take to send its request, so that
/// what was queued is not refused.
pub const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// How long a client may take to read the end of its last answer when its connection is closed to
/// make room.
pub const EVICTION_GRACE: Duration = Duration::from_secs(1);

/// The answer, in clear text, to HTTP on a port that speaks TLS.
pub(super) const PLAIN_ON_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 49\r\n\
    Connection: close\r\n\r\n\
    This port speaks TLS: use https:// or wss:// URLs";

/// The answer to a head that was begun and not ended in time.
const SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    Content-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Bytes of a body that hyper still reads when it was left unread, so that the connection can have
/// another request; what is longer is announced to be the last.
const DRAINED_BYTES_MAX: u64 = 8 * 1024;

/// Drives a connection until it is closed, or becomes something else by an upgrade.
///
/// A client that closes its half while its request is in flight is gone, as it is for nginx, also
/// where bytes wait unread before that end: that is how the end of a long poll, or of a handshake
/// that a backend leaves unanswered, is noticed.
pub(super) async fn drive(transport: Transport, client: Rc<HttpClient>) {
    let conn = client.conn();
    let deadline = TokioTimer::new().now() + conn.listener.limits.head_timeout;
    if let Some(unopened) = opening::run(transport, &client, conn, deadline).await {
        // On the heap: a connection that is a WebSocket's has no room for it.
        Box::pin(drive_http(unopened, client, deadline)).await;
    }
}

/// Drives a connection by hyper. Its first request's head must be there at the deadline.
async fn drive_http(unopened: Unopened, client: Rc<HttpClient>, deadline: Instant) {
    let Unopened { transport, read, answer } = unopened;
    let limits = client.conn().listener.limits.clone();
    let exchange = Exchange::new(Rc::clone(&client));
    let pace = TakeProgress::new(&limits);
    let mut state = client.state();
    let asking = Asking {
        client: Rc::clone(&client),
        pace: Rc::clone(&pace),
        state: state.clone(),
        exchange: Rc::clone(&exchange),
        known: Cell::new(answer),
    };
    let service = service_fn(move |request| asking.answer(request));
    let stream = ClientStream::new(transport, read, Rc::clone(&exchange));
    let mut http = builder(&limits, deadline).serve_connection(TokioIo::new(stream), service);
    let mut is_closing = false;
    let ended = loop {
        tokio::select! {
            ended = &mut http => break ended,
            // Its drop closes the connection: what was written is not wanted.
            why = pace.stalls() => {
                return refused::cut(&client, HttpVersion::Http1, client.fate(), why);
            }
            () = closes(&mut state, exchange.was_asked()), if !is_closing => {
                is_closing = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            () = client.waiting().evicted(), if exchange.was_asked().get() => {
                // Its last answer may still be on its way.
                Pin::new(&mut http).graceful_shutdown();
                let _ = timeout(EVICTION_GRACE, &mut http).await;
                return;
            }
            () = client.waiting().evicted(), if !exchange.was_asked().get() => return,
        }
    };
    let promise = exchange.take_promise();
    let Parts { io, read_buf, .. } = http.into_parts();
    let stream = io.into_inner();
    match (ended, promise) {
        // The client was answered 101. Nobody waits for a session that its worker has given up.
        (Ok(()), Some(promise)) => drop(promise.send(stream.into_end(read_buf.into()))),
        (Err(error), _) if error.is_timeout() => {
            // Between requests nothing is owed; in the middle of a head, an answer.
            if !read_buf.is_empty() {
                refused::request(&client, HttpVersion::Http1, RequestRefusal::HeadTimeout);
                linger::say(stream.into_transport(), SLOW_HEAD).await;
            }
        }
        // hyper has answered 400 or 431 where there was something to answer.
        (Err(error), _) if !error.is_parse() => {}
        (Ok(()), None) if !exchange.is_body_unread() => {}
        (ended, _) => {
            if let Err(error) = &ended {
                let refusal = RequestRefusal::from_parse(error);
                refused::request(&client, HttpVersion::Http1, refusal);
            }
            client.waiting().idle();
            tokio::select! {
                () = linger::swallow(stream.into_transport()) => {}
                () = client.waiting().evicted() => {}
                () = async {
                    closes(&mut state, exchange.was_asked()).await;
                    sleep(linger::LINGER_TIMEOUT).await;
                } => {}
            }
        }
    }
}

/// What the requests of a connection share.
struct Asking {
    client: Rc<HttpClient>,
    pace: Rc<TakeProgress>,
    state: watch::Receiver<ListenerState>,
    exchange: Rc<Exchange>,
    /// The answer to the first request, where it was asked for already.
    known: Cell<Option<Response<Body>>>,
}

impl Asking {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<PacedAnswer>, Infallible>> + use<> {
        self.pace.asked();
        let is_large = request.body().size_hint().lower() > DRAINED_BYTES_MAX;
        let (request, hooks, pending) = self.exchange.begin(request);
        let conn = self.client.conn();
        let rate_min = conn.listener.limits.body_rate_min;
        let request = request.map(|body| rate::rated(body, rate_min));
        let answer = match self.known.take() {
            Some(answer) => Box::pin(ready(answer)),
            None => admit_request::answer(&self.client, HttpVersion::Http1, &conn, request, hooks),
        };
        let (pace, state) = (Rc::clone(&self.pace), self.state.clone());
        let exchange = Rc::clone(&self.exchange);
        async move {
            let (mut answer, end) = pending.answered(answer).await;
            // An idle connection is not closed for a handover: its next request may be on its way.
            let is_left = is_large && exchange.is_body_unread();
            let ends = is_left || *state.borrow() == ListenerState::HandedOver;
            if ends && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer.map(|body| Observed::new(Paced::body(body, pace), end)))
        }
    }
}

/// An answer's body on its way to the client.
type PacedAnswer = Observed<Observed<Body, Paced>, AnswerEnd>;

/// Waits until the connection is to end as soon as it can.
pub(super) async fn closes(state: &mut watch::Receiver<ListenerState>, was_asked: &Cell<bool>) {
    // A lost sender is a listener that is gone: that is closing, too.
    let _ = state.wait_for(|state| *state == ListenerState::Closed).await;
    grace(was_asked).await;
}

/// What is new may still send its first request.
pub(super) async fn grace(was_asked: &Cell<bool>) {
    if !was_asked.get() {
        sleep(FIRST_REQUEST_GRACE).await;
    }
}

fn builder(limits: &ListenerLimits, first: Instant) -> Builder {
    let mut builder = Builder::new();
    builder
        .half_close(false)
        // What its spelling is not known of; see `rewrite::spell_answer`.
        .title_case_headers(true)
        .timer(HeadTimer {
            is_first: AtomicBool::new(true),
            first,
            later: limits.keep_alive_timeout,
        })
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN));
    if limits.headers_max != FIELDS_DEFAULT {
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// hyper has one timer for a head, and starts it where the answer before has ended: it covers the
/// time between requests. So the first head has `head_timeout`, and each later one, with the time
/// in which the connection is idle, `keep_alive_timeout`: a slow head holds a connection no longer
/// than silence may.
#[derive(Debug)]
struct HeadTimer {
    is_first: AtomicBool,
    first: Instant,
    later: Duration,
}

impl HeadTimer {
    fn deadline(&self) -> Instant {
        if self.is_first.swap(false, Relaxed) { self.first } else { self.now() + self.later }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, _asked: Instant) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep_until(self.deadline())
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, _asked: Instant) {
        TokioTimer::new().reset(sleep, self.deadline());
    }

    fn now(&self) -> Instant {
        TokioTimer::new().now()
    }
}
