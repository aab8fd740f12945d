//! The small HTTP server of the admin listener and the operator's socket: one request a connection.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::connections::Connections;
use crate::base::body::{self, Body};
use crate::base::network::ClientNetwork;
use crate::base::share::SharePermit;
use crate::base::socket::PeerProcess;
use crate::base::task::{self, LocalBox};
use crate::config::plan::{Address, FileMode};
use crate::listen::{
    AcceptQueue, EXHAUSTED_PAUSE, Handover, InheritedSockets, Listening, Opened, Origin, connected,
};

/// Time for a request head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers the requests of clients.
pub(super) type Responder = Rc<dyn Fn(Caller, Request<Incoming>) -> LocalBox<Response<Body>>>;

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caller {
    /// Over TCP.
    pub(super) address: Option<SocketAddr>,
    /// Over a unix socket.
    pub(super) process: Option<PeerProcess>,
}

/// What an answer takes of something scarce, as its extension: its connection keeps it until the
/// answer was sent, or cannot be.
#[derive(Clone)]
pub(super) struct KeptShare(
    #[expect(dead_code, reason = "kept for its drop")] pub(super) Arc<SharePermit>,
);

/// How long an answer may take to be sent, as its extension, where that is longer than others may.
#[derive(Clone, Copy)]
pub(super) struct LastingAnswer(pub(super) Duration);

/// A server; its drop ends accepting and lets requests in flight finish.
pub(super) struct Server {
    listening: Arc<Listening>,
    /// Whose the socket was, when it was inherited.
    origin: Option<Origin>,
    service: Rc<Service>,
    closing: oneshot::Sender<()>,
    /// Closed when it accepts no more.
    ended: oneshot::Receiver<()>,
}

/// What a server's connections share.
struct Service {
    responder: RefCell<Responder>,
    connections: Rc<Connections>,
    /// Time for a whole connection, from its accept to the end of its answer.
    timeout: Duration,
}

impl Server {
    /// Serves on this thread; a connection may take as long as `timeout` in all.
    pub(super) fn start(
        taken: Opened,
        responder: Responder,
        timeout: Duration,
    ) -> io::Result<Server> {
        taken.own();
        let Opened { listening, origin } = taken;
        Server::serve(Arc::new(listening), origin, responder, timeout)
    }

    /// The same with a socket that served before.
    pub(super) fn serve(
        listening: Arc<Listening>,
        origin: Option<Origin>,
        responder: Responder,
        timeout: Duration,
    ) -> io::Result<Server> {
        let accepting = AcceptQueue::new(&listening)?;
        let (closing, closed) = oneshot::channel();
        let (ending, ended) = oneshot::channel::<()>();
        let bound = listening.bound().clone();
        let (responder, connections) = (RefCell::new(responder), Rc::default());
        let service = Rc::new(Service { responder, connections, timeout });
        let serving = Rc::clone(&service);
        task::spawn("server", async move {
            tokio::select! {
                () = accept(&accepting, &bound, &serving) => {}
                _ = closed => {}
            }
            drop(accepting);
            drop(ending);
        });
        Ok(Server { listening, origin, service, closing, ended })
    }

    /// Has another responder answer from the next request on.
    pub(super) fn respond_with(&self, responder: Responder) {
        *self.service.responder.borrow_mut() = responder;
    }

    /// From now on these may connect to its unix socket.
    pub(super) fn set_mode(&self, mode: FileMode) {
        self.listening.set_mode(mode);
    }

    pub(super) fn bound(&self) -> &Address {
        self.listening.bound()
    }

    /// What the next process needs to serve in our slot; it knows the socket by `address`.
    pub(super) fn handover(&self, address: &Address) -> Handover<'_> {
        Handover::of(address, &self.listening, self.origin.as_ref())
    }

    /// Another process serves now.
    pub(super) fn hand_over(self) -> InFlight {
        self.listening.give_up_file();
        self.close()
    }

    /// Whose its socket was, when it was inherited.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Puts its socket where another can take it.
    pub(super) fn offer(&self, inherited: &mut InheritedSockets) -> io::Result<()> {
        inherited.offer(&self.listening, self.origin.as_ref())
    }

    /// Serves no more; its socket, which is closed with what is returned, and what answered.
    pub(super) async fn end(self) -> (Arc<Listening>, Responder) {
        let Server { listening, closing, ended, service, .. } = self;
        drop(closing);
        // It is closed, never sent to.
        let _ = ended.await;
        let responder = Rc::clone(&service.responder.borrow());
        (listening, responder)
    }

    /// Serves no more.
    pub(super) fn close(self) -> InFlight {
        InFlight(Rc::clone(&self.service.connections))
    }
}

/// The requests of a server that has ended.
pub(super) struct InFlight(Rc<Connections>);

impl InFlight {
    /// Waits until all are answered.
    pub(super) async fn finish(&self) {
        self.0.answered().await;
    }
}

async fn accept(accepting: &AcceptQueue, bound: &Address, service: &Rc<Service>) {
    loop {
        let Ok((fd, peer)) = accepting.accept().await else {
            sleep(EXHAUSTED_PAUSE).await;
            continue;
        };
        let client = peer.map_or(ClientNetwork::Unshared, |peer| peer.ip().into());
        let slot = service.connections.enter(client).await;
        let Ok(socket) = connected(fd, bound) else { continue };
        let peer = Caller { address: peer, process: socket.peer_process() };
        let service = Rc::clone(service);
        task::spawn("admin", async move {
            let (kept, lasting) = (Cell::new(None), Cell::new(service.timeout));
            let answers = service_fn(|request| {
                slot.busy();
                let answer = (service.responder.borrow())(peer, request);
                let (kept, lasting) = (&kept, &lasting);
                async move {
                    let mut answer = answer.await;
                    if let Some(LastingAnswer(time)) = answer.extensions_mut().remove() {
                        lasting.set(time);
                    }
                    kept.set(answer.extensions_mut().remove::<KeptShare>());
                    Ok::<_, Infallible>(answer)
                }
            });
            let serve = http1::Builder::new()
                .keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(socket), answers);
            tokio::select! {
                // A client that is gone or talks nonsense has its answer from hyper.
                _ = serve => {}
                () = expired(service.timeout, &lasting) => {}
                () = slot.evicted() => {}
            }
        });
    }
}

/// Waits until a connection has lasted as long as it may.
async fn expired(time: Duration, lasting: &Cell<Duration>) {
    sleep(time).await;
    sleep(lasting.get().saturating_sub(time)).await;
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
