//! The small HTTP server of the admin listener and the operator's socket: one request a connection.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::base::body::{self, Body};
use crate::base::task::{self, LocalBox};
use crate::config::plan::Address;
use crate::listen::{AcceptQueue, EXHAUSTED_PAUSE, Handover, Listening, Opened, Origin, connected};

/// Connections served at once, per listener; more wait to be accepted.
pub const CONNECTIONS_MAX: usize = 64;

/// Time for a request head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for a whole connection: a scrape of many routes, or a reload, is slow; nobody is slower.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);

/// Who answers.
pub(super) type Responder = Rc<dyn Fn(Request<Incoming>) -> LocalBox<Response<Body>>>;

/// A server; its drop ends accepting and lets requests in flight finish.
pub(super) struct Server {
    listening: Arc<Listening>,
    /// Whose the socket was, when it was inherited.
    origin: Option<Origin>,
    /// One is taken by each connection.
    places: Arc<Semaphore>,
    closing: oneshot::Sender<()>,
    /// Closed when it accepts no more.
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Serves on this thread.
    pub(super) fn start(taken: Opened, answer: Responder) -> io::Result<Server> {
        taken.own();
        let Opened { listening, origin } = taken;
        let listening = Arc::new(listening);
        let accepting = AcceptQueue::new(&listening)?;
        let (closing, closed) = oneshot::channel();
        let (ending, ended) = oneshot::channel::<()>();
        let bound = listening.bound().clone();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let free = Arc::clone(&places);
        task::spawn("server", async move {
            tokio::select! {
                () = accept(&accepting, &bound, &answer, &free) => {}
                _ = closed => {}
            }
            drop(accepting);
            drop(ending);
        });
        Ok(Server { listening, origin, places, closing, ended })
    }

    pub(super) fn bound(&self) -> &Address {
        self.listening.bound()
    }

    /// What the next process needs to serve in our place; it knows the socket by `address`.
    pub(super) fn handover(&self, address: &Address) -> Handover<'_> {
        Handover::of(address, &self.listening, self.origin.as_ref())
    }

    /// Another process serves now.
    pub(super) fn hand_over(self) -> InFlight {
        self.listening.give_up_file();
        self.close()
    }

    /// Serves no more, and its address is free when this returns.
    pub(super) async fn end(self) {
        let Server { listening, closing, ended, .. } = self;
        drop(closing);
        // It is closed, never sent to.
        let _ = ended.await;
        drop(listening);
    }

    /// Serves no more.
    pub(super) fn close(self) -> InFlight {
        InFlight(self.places)
    }
}

/// The requests of a server that has ended.
pub(super) struct InFlight(Arc<Semaphore>);

impl InFlight {
    /// Waits until all are answered.
    pub(super) async fn finish(&self) {
        // Nobody closes the semaphore.
        let _ = self.0.acquire_many(CONNECTIONS_MAX as u32).await;
    }
}

async fn accept(
    accepting: &AcceptQueue,
    bound: &Address,
    answer: &Responder,
    places: &Arc<Semaphore>,
) {
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        let Ok((fd, _)) = accepting.accept().await else {
            sleep(EXHAUSTED_PAUSE).await;
            continue;
        };
        let Ok(socket) = connected(fd, bound) else { continue };
        let answer = Rc::clone(answer);
        task::spawn("admin", async move {
            let _place = place;
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let serve = http1::Builder::new()
                .keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service);
            // A client that is gone or talks nonsense has its answer from hyper.
            let _ = timeout(CONNECTION_TIMEOUT, serve).await;
        });
    }
}

/// An answer of one line.
pub(super) fn line(status: StatusCode, text: &str) -> Response<Body> {
    text_as(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// An answer with this content type.
pub(super) fn text_as(
    status: StatusCode,
    content_type: &'static str,
    text: String,
) -> Response<Body> {
    let mut answer = Response::new(body::full(text));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

/// The answer to a method the path does not have.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut answer = line(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Whether this reads only.
pub(super) fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
