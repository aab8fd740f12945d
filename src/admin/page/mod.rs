//! The admin page: what lives and passes, live, and the operator's commands for who may give them.
//!
//! Its files are in the binary. It reads `GET /live`, an event stream of summaries, and asks
//! `POST /operator/…`, by the same bodies as the operator's socket. What changes something is for
//! the users of `[admin.operators]` only, who show name and password with each command: no cookie
//! stands for them, so that no other page's request can.

mod live;

use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::guard::{self, Denied};
use super::http::{Caller, line, method_not_allowed, reads, text_as};
use super::operator::{self, BODY_BYTES_MAX, Given};
use super::process::Process;
use crate::access::{Applicant, Identity, Policy};
use crate::base::body::Body;
use crate::base::network::ClientNetwork;
use crate::config::plan::{ADMIN_OPERATORS, AccessDemand, Admin};
use live::LiveStreams;

/// The files of the page: path, content type, content.
const FILES: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    (
        "/page.css",
        "text/css; charset=utf-8",
        concat!(include_str!("colours.css"), include_str!("page.css")),
    ),
    ("/page.svg", "image/svg+xml", include_str!("page.svg")),
];

const LIVE: &str = "/live";

/// What the operator's commands are below.
const OPERATOR: &str = "/operator";

/// The page needs its own files and what it asks of this listener, and nothing else.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// What answers for the page.
pub(super) struct AdminPage<P> {
    process: P,
    admin: Admin,
    streams: Rc<LiveStreams>,
}

impl<P: Process> AdminPage<P> {
    pub(super) fn new(process: P, admin: Admin) -> AdminPage<P> {
        AdminPage { process, admin, streams: Rc::default() }
    }

    /// Whether this path is one of the page's.
    pub(super) fn has(path: &str) -> bool {
        path == LIVE || is_operators(path).is_some() || FILES.iter().any(|(at, ..)| *at == path)
    }

    /// Answers a request that may be asked from where it comes.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) async fn answer(
        &self,
        peer: Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Denied> {
        let path = request.uri().path();
        if let Some(command) = is_operators(path) {
            let command = command.to_owned();
            return self.operate(peer, &command, request).await.map(with_headers);
        }
        if !reads(request.method()) {
            return Ok(method_not_allowed("GET, HEAD"));
        }
        if path == LIVE {
            guard::is_own_page(&self.admin, request.uri(), request.headers())?;
            let client = peer.address.map_or(ClientNetwork::Unshared, |peer| peer.ip().into());
            let sort = request.uri().query().unwrap_or_default();
            return LiveStreams::open(&self.streams, &self.process, client, sort, &self.admin)
                .map(with_headers);
        }
        let file = FILES.iter().find(|(at, ..)| *at == path);
        Ok(match file {
            Some((_, kind, content)) => {
                with_headers(text_as(StatusCode::OK, kind, (*content).to_owned()))
            }
            None => line(StatusCode::NOT_FOUND, "there is no such page"),
        })
    }

    /// A command of the operator's, or a question.
    async fn operate(
        &self,
        peer: Caller,
        command: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Denied> {
        let Some(kind) = Given::by_page(command) else {
            return Ok(line(StatusCode::NOT_FOUND, "the page has no such command"));
        };
        if request.method() != Method::POST {
            return Ok(method_not_allowed("POST"));
        }
        guard::is_own_page(&self.admin, request.uri(), request.headers())?;
        guard::is_json(request.headers())?;
        let (head, body) = request.into_parts();
        let identity = match kind {
            Given::Question => Identity::UNKNOWN,
            Given::Command => self.operator(peer.address, &head).await?,
        };
        let reply = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                operator::from_page(&self.process, peer, identity.user(), command, &body).await
            }
            Err(error) => operator::bad_body(&error),
        };
        Ok(reply.response(head.headers.contains_key(ACCEPT)))
    }

    /// Whose a command is.
    async fn operator(&self, peer: Option<SocketAddr>, head: &Parts) -> Result<Identity, Denied> {
        if !self.admin.has_operators {
            return Err(Denied::ReadOnly);
        }
        let rules = self.process.snapshot();
        let demand = AccessDemand::All(vec![ADMIN_OPERATORS.into()]);
        // A configuration that is being replaced may have it no more.
        let policy = Policy::build(&demand, &rules.access).map_err(|_| Denied::ReadOnly)?;
        let client = peer.map(|peer| peer.ip().to_canonical());
        let applicant = Applicant {
            client,
            network: client.map_or(ClientNetwork::Unshared, ClientNetwork::from),
            headers: &head.headers,
            uri: &head.uri,
            certificate: None,
            asking: None,
        };
        let has_shown = head.headers.contains_key(AUTHORIZATION);
        match policy.verify(&applicant).await {
            Ok(pass) => Ok(pass.identity),
            Err(denial) if denial.status == StatusCode::UNAUTHORIZED => {
                Err(if has_shown { Denied::Password } else { Denied::NoPassword })
            }
            Err(_) => Err(Denied::PasswordsBusy),
        }
    }
}

/// The command that a path names.
fn is_operators(path: &str) -> Option<&str> {
    path.strip_prefix(OPERATOR).filter(|command| command.starts_with('/'))
}

fn with_headers(mut answer: Response<Body>) -> Response<Body> {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
