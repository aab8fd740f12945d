//! The demo's page, what it must know, and its button.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;

use super::backend::{self, DOWN, Restarts, plain};
use crate::base::body::{self, Body};
use crate::base::task;

const PAGE: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/demo.js");
/// In the colours of the admin page.
const STYLE: &str =
    concat!(include_str!("../../admin/page/colours.css"), include_str!("page/demo.css"));

/// The page needs nothing but its own files and its sockets, one of which is at another port.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What the page must know.
#[derive(Serialize)]
pub(super) struct PageFacts {
    /// The visitor's own backend; the demo's when it is `None`.
    pub(super) backend: Option<String>,
    /// `hold.resume` of the held route.
    pub(super) resume: &'static str,
    /// The path of the backend's WebSocket.
    pub(super) path: String,
    /// The port of the byte tunnel, where there is one.
    pub(super) tunnel: Option<u16>,
    /// The command that pushes to all tabs of `USER`, where there is a chat.
    pub(super) push: Option<String>,
    /// What can be typed meanwhile: what it does, and the command.
    pub(super) commands: Vec<(&'static str, String)>,
}

/// What is behind the page.
struct Site {
    facts: String,
    restarts: Option<Restarts>,
}

/// Opens the page on a free port of this machine, and serves it on this worker. Its button kills
/// the demo's backends, where there are any.
///
/// # Errors
/// The system's, when there is no port to be had.
pub(super) fn open(facts: &PageFacts, restarts: Option<Restarts>) -> io::Result<SocketAddr> {
    let listener = backend::listen(([127, 0, 0, 1], 0).into())?;
    let address = listener.local_addr()?;
    let site = Rc::new(Site { facts: serde_json::to_string(facts)?, restarts });
    task::spawn("demo page", accept(listener, site));
    Ok(address)
}

async fn accept(listener: TcpListener, site: Rc<Site>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of files, most likely: the next try must not come at once.
            tokio::time::sleep(backend::PAUSE).await;
            continue;
        };
        let site = Rc::clone(&site);
        let answer = service_fn(move |request| {
            let answer = site.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        task::spawn("demo page connection", async move {
            // A visitor who leaves early is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), answer).await;
        });
    }
}

impl Site {
    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/") => file("text/html; charset=utf-8", PAGE),
            (&Method::GET, "/demo/demo.js") => file("text/javascript; charset=utf-8", SCRIPT),
            (&Method::GET, "/demo/demo.css") => file("text/css; charset=utf-8", STYLE),
            (&Method::GET, "/demo/facts.json") => file("application/json", &self.facts),
            (&Method::POST, "/demo/restart") => self.restart(request.headers()),
            _ => plain(StatusCode::NOT_FOUND, "there is `/`, `/held/socket` and `/plain/socket`"),
        }
    }

    fn restart(&self, asked: &HeaderMap) -> Response<Body> {
        let Some(restarts) = &self.restarts else {
            return plain(StatusCode::NOT_FOUND, "the backend is yours: restart it yourself");
        };
        if is_of_another_site(asked) {
            return plain(StatusCode::FORBIDDEN, "this is for the demo's own page");
        }
        restarts.restart();
        let text = format!("{{\"down_ms\":{}}}", DOWN.as_millis());
        file("application/json", &text)
    }
}

/// Whether a browser says that another site's page asks; what is no browser says nothing.
fn is_of_another_site(asked: &HeaderMap) -> bool {
    let site = asked.get(HeaderName::from_static("sec-fetch-site"));
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

fn file(kind: &'static str, text: &str) -> Response<Body> {
    let mut response = Response::new(body::full(text.to_owned()));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
