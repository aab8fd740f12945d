//! A request and its answer: what the service that answers and the stream below hyper tell each
//! other of the exchange under way.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;

use super::super::client::HttpClient;
use super::unsent::UnsentText;
use crate::base::body::{Body, BoxError, Observed, Observer};
use crate::rewrite::{self, Informational, Informed};
use crate::session::{AnswerHooks, ClientEnd, PendingUpgrade};
use crate::wire::request_line::QueryEscaper;

/// What a client of HTTP/2 begins with (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The exchanges of a connection, of which there is one at a time.
pub(super) struct Exchange {
    client: Rc<HttpClient>,
    was_asked: Cell<bool>,
    /// Whether there is a request whose answer has not ended.
    is_pending: Cell<bool>,
    body: Arc<RequestBody>,
    /// Reads the present head, or the one to come.
    line: Cell<QueryEscaper>,
    /// Whether hyper has written all that it had.
    is_flushed: Cell<bool>,
    /// Informational answers, as they are written.
    informational: RefCell<UnsentText>,
    /// For the client of a 101.
    promise: RefCell<Option<oneshot::Sender<ClientEnd>>>,
}

/// How far the present request's body was read.
#[derive(Default)]
struct RequestBody {
    /// To its end: the next byte is another request's.
    is_whole: AtomicBool,
    /// It was left before: what is left of it comes behind the answer, and the connection cannot
    /// have another request.
    is_unread: AtomicBool,
}

impl Exchange {
    pub(super) fn new(client: Rc<HttpClient>) -> Rc<Exchange> {
        Rc::new(Exchange {
            client,
            was_asked: Cell::new(false),
            is_pending: Cell::new(false),
            body: Arc::new(RequestBody {
                is_whole: AtomicBool::new(true),
                ..RequestBody::default()
            }),
            line: Cell::default(),
            is_flushed: Cell::new(true),
            informational: RefCell::default(),
            promise: RefCell::default(),
        })
    }

    /// Whether the connection has ever had a request.
    pub(super) fn was_asked(&self) -> &Cell<bool> {
        &self.was_asked
    }

    /// Whether the last request's body was left unread.
    pub(super) fn is_body_unread(&self) -> bool {
        self.body.is_unread.load(Relaxed)
    }

    /// Whether there is a request whose answer has not ended.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending.get()
    }

    /// Takes bytes that came: how many of them are to be read before the next, and what they become
    /// where that is not what they are. That is a request's head, or all of what is none.
    pub(super) fn received(&self, bytes: &[u8]) -> (usize, Option<Vec<u8>>) {
        // hyper knows the preface as a whole, and refuses it by its name.
        let is_other = !self.was_asked.get() && bytes.starts_with(HTTP2_PREFACE);
        if is_other || !self.body.is_whole.load(Relaxed) {
            return (bytes.len(), None);
        }
        let mut line = self.line.take();
        let (taken, escaped) = line.take(bytes);
        self.line.set(line);
        if taken == 0 { (bytes.len(), None) } else { (taken, escaped) }
    }

    /// Whom the client's end of a session is promised to, where the last answer was a 101.
    pub(super) fn take_promise(&self) -> Option<oneshot::Sender<ClientEnd>> {
        self.promise.take()
    }

    /// hyper has written all that it had.
    pub(super) fn flushed(&self) {
        self.is_flushed.set(true);
    }

    /// hyper writes.
    pub(super) fn writes(&self) {
        self.is_flushed.set(false);
    }

    /// What is to be written before hyper writes anything more: nothing while it is in the middle
    /// of something.
    pub(super) fn informational(&self) -> Option<&RefCell<UnsentText>> {
        self.is_flushed.get().then_some(&self.informational)
    }

    /// Begins with a request: its body is followed; its hooks say what it may become, and how it
    /// may be informed.
    pub(super) fn begin(
        self: &Rc<Exchange>,
        mut request: Request<Incoming>,
    ) -> (Request<Body>, AnswerHooks, PendingAnswer) {
        self.was_asked.set(true);
        self.client.waiting().busy();
        self.is_pending.set(true);
        self.line.take();
        self.body.is_unread.store(false, Relaxed);
        self.body.is_whole.store(request.body().is_end_stream(), Relaxed);
        let fate = self.client.fate().clone();
        let mut hooks = AnswerHooks { upgrade: None, informational: None, fate };
        // HTTP/1.0 has no informational answers (RFC 9110 §15.2).
        let informed = (request.version() == Version::HTTP_11).then(|| {
            let (informational, informed) = Informational::new();
            hooks.informational = Some(informational);
            informed
        });
        // hyper's own would give back what is below hyper.
        let promise = request.extensions_mut().remove::<OnUpgrade>().map(|_| {
            let (promise, upgrade) = PendingUpgrade::new();
            hooks.upgrade = Some(upgrade);
            promise
        });
        let body = Arc::clone(&self.body);
        let request = request.map(|incoming| Observed::new(incoming, body).boxed_unsync());
        let end = AnswerEnd { exchange: Rc::clone(self), is_last: false };
        (request, hooks, PendingAnswer { end, promise, informed })
    }
}

/// An exchange whose answer is waited for.
pub(super) struct PendingAnswer {
    end: AnswerEnd,
    promise: Option<oneshot::Sender<ClientEnd>>,
    informed: Option<Informed>,
}

impl PendingAnswer {
    /// The answer, its names spelt as RFCs do, and what is to go along with its body; before it,
    /// informational answers are sent as they come.
    pub(super) async fn answered(
        self,
        answer: impl Future<Output = Response<Body>>,
    ) -> (Response<Body>, AnswerEnd) {
        let PendingAnswer { mut end, promise, mut informed } = self;
        let exchange = &end.exchange;
        let mut answer = pin!(answer);
        let mut answer = poll_fn(|cx| {
            let polled = answer.as_mut().poll(cx);
            if let Some(informed) = &mut informed {
                while let Some(informational) = informed.next(cx) {
                    exchange.informational.borrow_mut().inform(&informational);
                }
            }
            polled
        })
        .await;
        if !exchange.is_flushed.get() {
            // The answer follows the one before in hyper's buffer: nothing can come between.
            exchange.informational.borrow_mut().clear();
        }
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            *exchange.promise.borrow_mut() = promise;
            end.is_last = true;
        }
        rewrite::spell_answer(&mut answer);
        (answer, end)
    }
}

/// The end of an exchange: its drop.
pub(super) struct AnswerEnd {
    exchange: Rc<Exchange>,
    /// Whether no request can follow: the connection is a WebSocket from here on.
    is_last: bool,
}

impl Observer for AnswerEnd {}

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        self.exchange.is_pending.set(false);
        if !self.is_last {
            self.exchange.client.waiting().idle();
        }
    }
}

impl Observer for Arc<RequestBody> {
    fn on_frame(&mut self, frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {
        // Nothing follows trailers, and not every reader asks again.
        let is_whole = match frame {
            None => true,
            Some(frame) => frame.as_ref().is_ok_and(Frame::is_trailers),
        };
        self.is_whole.fetch_or(is_whole, Relaxed);
    }

    fn on_drop(&mut self, is_complete: bool) {
        let is_whole = self.is_whole.fetch_or(is_complete, Relaxed) || is_complete;
        self.is_unread.store(!is_whole, Relaxed);
    }
}
