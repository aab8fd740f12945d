//! The demo's backends: a page, and a socket that echoes and lets visitors hear each other.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::socket::{DemoSocket, Message};
use crate::base::body::{self, Body};
use crate::base::task;
use crate::wire::{accept_key, list};

const PAGE: &str = include_str!("page.html");

/// The page needs nothing but itself and its socket.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:";

/// Texts that a slow visitor may be behind before it misses some.
const HALL_TEXTS_MAX: usize = 256;

/// How long a backend rests when it cannot accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where what one visitor says reaches the others, whichever backend they are on.
pub(super) type Hall = broadcast::Sender<Said>;

/// A text and who said it.
#[derive(Clone)]
pub(super) struct Said {
    visitor: u64,
    backend: &'static str,
    text: Rc<str>,
}

/// A hall, empty.
pub(super) fn hall() -> Hall {
    broadcast::Sender::new(HALL_TEXTS_MAX)
}

/// Opens a backend on a free port of this machine, and serves it on this worker.
///
/// # Errors
/// The system's, when there is no port to be had.
pub(super) fn open(name: &'static str, hall: &Hall) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let hall = hall.clone();
    task::spawn("demo backend", async move {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => task::spawn("demo connection", serve(tcp, name, hall.clone())),
                // Out of files, most likely: the next try must not come at once.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    });
    Ok(address)
}

async fn serve(tcp: TcpStream, name: &'static str, hall: Hall) {
    // Without it a short message waits for the answer to the one before.
    let _ = tcp.set_nodelay(true);
    let answer = service_fn(move |request| {
        let answer = answer(request, name, &hall);
        async move { Ok::<_, Infallible>(answer) }
    });
    let io = TokioIo::new(tcp);
    // A visitor who leaves early is no news.
    let _ = http1::Builder::new().serve_connection(io, answer).with_upgrades().await;
}

fn answer(request: Request<Incoming>, name: &'static str, hall: &Hall) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/socket") => match accepted(request.headers(), name) {
            Some(head) => {
                task::spawn("demo session", visit(request, name, hall.clone()));
                head
            }
            None => plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket: ask for an upgrade"),
        },
        (&Method::GET | &Method::HEAD, "/") => page(),
        (_, "/whoami") => plain(StatusCode::OK, name),
        _ => plain(StatusCode::NOT_FOUND, "there is `/`, `/socket` and `/whoami`"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("{text}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn page() -> Response<Body> {
    let mut response = Response::new(body::full(PAGE));
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// The answer to a handshake (RFC 6455 §4.2.2). Of the subprotocols a backend takes the one that is
/// its own name, so that a page can see who answered.
fn accepted(asked: &HeaderMap, name: &'static str) -> Option<Response<Body>> {
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
    if list::has_token(asked, &SEC_WEBSOCKET_PROTOCOL, name) {
        fields.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Some(response)
}

/// One visitor's session, from the answer to its end.
async fn visit(mut request: Request<Incoming>, backend: &'static str, hall: Hall) {
    let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
    let mut socket = DemoSocket::new(TokioIo::new(upgraded));
    let visitor = fastrand::u64(..);
    let mut heard = hall.subscribe();
    loop {
        let said = tokio::select! {
            message = socket.next() => message,
            said = heard.recv() => {
                // Who is too slow misses a few texts; that is all.
                if let Some(said) = said.ok().filter(|said| said.visitor != visitor) {
                    let text = format!("a visitor of backend {}: {}", said.backend, said.text);
                    socket.say(&Message::Text(text));
                }
                continue;
            }
        };
        let Ok(Some(message)) = said else { return };
        let Message::Text(text) = &message else {
            socket.say(&message);
            continue;
        };
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["/who"] => socket.say(&Message::Text(format!("backend {backend}"))),
            // Without a word: what a client hears of it is the proxy's.
            ["/crash"] => return,
            ["/close", code, ref reason @ ..] => {
                let code = code.parse().unwrap_or(1000);
                let _ = socket.close(code, &reason.join(" ")).await;
            }
            _ => {
                let text = text.as_str().into();
                // Nobody else may be there.
                let _ = hall.send(Said { visitor, backend, text });
                socket.say(&message);
            }
        }
    }
}
