//! The demo's backends: a socket that echoes, on a port that closes and opens again as that of a
//! server that is killed and started anew.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::socket::{DemoSocket, Message};
use crate::base::body::{self, Body};
use crate::base::task;
use crate::wire::{accept_key, list};

/// How long a backend that was killed is away: long enough to be seen, well below `hold.timeout`.
pub(super) const DOWN: Duration = Duration::from_millis(1_500);

/// How long a backend rests when it cannot accept, or its port is not free yet.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Kills all backends, which come back after [`DOWN`].
#[derive(Clone)]
pub(super) struct Restarts(watch::Sender<()>);

impl Restarts {
    pub(super) fn new() -> Restarts {
        Restarts(watch::Sender::new(()))
    }

    /// Every connection to them is gone at once, without a Close; so is every port.
    pub(super) fn restart(&self) {
        self.0.send_replace(());
    }
}

/// Opens a backend on a free port of this machine, and serves it on this worker.
///
/// # Errors
/// The system's, when there is no port to be had.
pub(super) fn open(name: &'static str, restarts: &Restarts) -> io::Result<SocketAddr> {
    let listener = listen(([127, 0, 0, 1], 0).into())?;
    let address = listener.local_addr()?;
    task::spawn("demo backend", live(name, address, listener, restarts.0.subscribe()));
    Ok(address)
}

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A backend's lives, one after the other.
async fn live(
    name: &'static str,
    address: SocketAddr,
    mut listener: TcpListener,
    mut restarts: watch::Receiver<()>,
) {
    loop {
        let killed = Killed(restarts.clone());
        killed.by(accept(&listener, name, &killed)).await;
        drop(listener);
        tokio::time::sleep(DOWN).await;
        // A restart that was asked for meanwhile is this one.
        restarts.mark_unchanged();
        listener = loop {
            match listen(address) {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
    }
}

async fn accept(listener: &TcpListener, name: &'static str, killed: &Killed) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                task::spawn("demo connection", killed.by(serve(tcp, name, killed.clone())));
            }
            // Out of files, most likely: the next try must not come at once.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The end of one life of a backend.
#[derive(Clone)]
struct Killed(watch::Receiver<()>);

impl Killed {
    /// Does some work until then; what is not done is dropped where it stands, as a process's
    /// sockets are.
    fn by<W: Future<Output = ()>>(&self, work: W) -> impl Future<Output = ()> + use<W> {
        let mut restarts = self.0.clone();
        async move {
            tokio::select! {
                biased;
                // Without who restarts it, it lives on.
                Ok(()) = restarts.changed() => {}
                () = work => {}
            }
        }
    }
}

async fn serve(tcp: TcpStream, name: &'static str, killed: Killed) {
    // Without it a short message waits for the answer to the one before.
    let _ = tcp.set_nodelay(true);
    let answer = service_fn(move |request| {
        let answer = answer(request, name, &killed);
        async move { Ok::<_, Infallible>(answer) }
    });
    let io = TokioIo::new(tcp);
    // A visitor who leaves early is no news.
    let _ = http1::Builder::new().serve_connection(io, answer).with_upgrades().await;
}

fn answer(request: Request<Incoming>, name: &'static str, killed: &Killed) -> Response<Body> {
    match (accepted(request.headers()), request.uri().path()) {
        (Some(head), _) => {
            task::spawn("demo session", killed.by(visit(request, name)));
            head
        }
        (None, "/whoami") => plain(StatusCode::OK, name),
        (None, _) => plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket, and `/whoami`"),
    }
}

/// A line of text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("{text}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The answer to a handshake (RFC 6455 §4.2.2).
fn accepted(asked: &HeaderMap) -> Option<Response<Body>> {
    let key = asked.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    if !list::has_token(asked, &UPGRADE, "websocket") {
        return None;
    }
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept_key::accept_key(key).parse().ok()?);
    Some(response)
}

/// One visitor's session, from the answer to its end. It needs nothing but the message at hand, so
/// that any backend goes on where another was killed.
async fn visit(mut request: Request<Incoming>, name: &'static str) {
    let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
    let mut socket = DemoSocket::new(TokioIo::new(upgraded));
    while let Ok(Some(message)) = socket.next().await {
        let Message::Text(text) = &message else {
            socket.say(&message);
            continue;
        };
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["/who"] => socket.say(&Message::Text(format!("backend {name}"))),
            ["/close", code, ref reason @ ..] => {
                let code = code.parse().unwrap_or(1000);
                let _ = socket.close(code, &reason.join(" ")).await;
            }
            _ => socket.say(&message),
        }
    }
}
