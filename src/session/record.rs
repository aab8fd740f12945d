//! The record: one line per request, one when a session opens, one when it has ended; and counts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;

use super::answer_fate::{AnswerCut, AnswerFate};
use super::caching::keep_private;
use super::conn::Conn;
use super::refusal::Refusal;
use super::request_facts::RequestFacts;
use super::request_trace::{RequestTrace, known, text};
use crate::base::body::{Body, BoxError, Observed, Observer};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::base::worker;
use crate::live::{LiveRoute, Snapshot};
use crate::observe::log::ACCESS;
use crate::observe::metrics::{ListenerMetrics, RouteMetrics};
use crate::observe::spans::SpanValue;
use crate::wire::request_id::X_REQUEST_ID;
use crate::wire::trailers;

/// A request from its head to the last byte of its answer. Its line is written when it is dropped,
/// however the request ends.
pub(super) struct RequestRecord {
    started: Moment,
    listener: Arc<str>,
    client_addr: Option<SocketAddr>,
    method: http::Method,
    request_id: HeaderValue,
    /// For the client, with whatever answer it gets.
    cookies: Vec<HeaderValue>,
    /// Whether the answer says it.
    tells_id: bool,
    /// None once it has become a session, whose own lines tell the rest. Boxed, so that the session
    /// takes it along.
    facts: Option<Box<RequestFacts>>,
    route: Option<Arc<str>>,
    /// The trailer fields of an answer that pass.
    trailers: Arc<[HeaderName]>,
    /// Those of no route at first.
    cells: Arc<RouteMetrics>,
    listener_cells: Arc<ListenerMetrics>,
    pool: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    why: Option<&'static str>,
    /// The access rule that refused it.
    access: Option<Arc<str>>,
    detail: Option<String>,
    status: Option<StatusCode>,
    bytes: u64,
    is_whole: bool,
    /// What its driver knows of the answer.
    fate: AnswerFate,
    /// Whether it opens a WebSocket.
    is_handshake: bool,
}

impl RequestRecord {
    /// Begins with the head.
    pub(super) fn begin(
        conn: &Conn,
        head: &Parts,
        fate: &AnswerFate,
        snapshot: &Snapshot,
        now: Moment,
    ) -> RequestRecord {
        let facts = Box::new(RequestFacts::of(conn, head, &snapshot.plan.log));
        RequestRecord {
            started: now,
            listener: Arc::clone(&conn.listener.name),
            client_addr: conn.client_addr(&head.headers),
            method: head.method.clone(),
            request_id: facts.id().clone(),
            cookies: Vec::new(),
            tells_id: true,
            facts: Some(facts),
            route: None,
            trailers: Arc::default(),
            cells: Arc::clone(&snapshot.unrouted),
            listener_cells: Arc::clone(&conn.cells),
            pool: None,
            backend: None,
            why: None,
            access: None,
            detail: None,
            status: None,
            bytes: 0,
            is_whole: false,
            fate: fate.clone(),
            is_handshake: false,
        }
    }

    /// It is part of a trace that is kept.
    pub(super) fn keep_trace(&mut self, trace: Option<Box<RequestTrace>>) {
        if let Some(facts) = &mut self.facts {
            facts.trace = trace;
        }
    }

    /// The span of a trace that is kept.
    pub(super) fn trace(&mut self) -> Option<&mut RequestTrace> {
        self.facts.as_mut()?.trace.as_deref_mut()
    }

    /// Who asks.
    pub(super) fn client_addr(&self) -> Option<SocketAddr> {
        self.client_addr
    }

    /// Its `X-Request-Id`.
    pub(super) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// When it began.
    pub(super) fn started(&self) -> Moment {
        self.started
    }

    /// Notes the canonical host.
    pub(super) fn host(&mut self, host: Option<&str>) {
        if let Some(facts) = &mut self.facts {
            facts.host = host.map(Into::into);
        }
    }

    /// Takes out of the target what is for no log.
    pub(super) fn redact(&mut self, redact: impl FnOnce(&mut http::Uri)) {
        if let Some(facts) = &mut self.facts {
            facts.target.redact(redact);
        }
    }

    /// Notes the route that takes it.
    pub(super) fn route(&mut self, route: &LiveRoute) {
        self.route = Some(Arc::clone(&route.plan.identity));
        self.trailers = Arc::clone(&route.plan.trailers.response);
        self.cells = Arc::clone(&route.cells);
        self.tells_id = !route.plan.response_headers.replaces(&X_REQUEST_ID);
    }

    /// Notes cookies that a server gave the client which was asked about it.
    pub(super) fn give_cookies(&mut self, cookies: Vec<HeaderValue>) {
        self.cookies.extend(cookies);
    }

    /// Writes what each answer to the request says, whoever makes it: its id, unless the route says
    /// otherwise, and cookies for its client.
    pub(super) fn add_fields(&mut self, answer: &mut Response<Body>) {
        if self.tells_id {
            answer.headers_mut().insert(X_REQUEST_ID, self.request_id.clone());
        }
        if !self.cookies.is_empty() {
            keep_private(answer);
        }
        for cookie in self.cookies.drain(..) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    /// Notes who answers, or was asked last.
    pub(super) fn asked(&mut self, pool: &Arc<str>, backend: Option<Arc<str>>) {
        self.pool = Some(Arc::clone(pool));
        self.backend = backend;
    }

    /// Notes that it opens a WebSocket.
    pub(super) fn handshake(&mut self) {
        self.is_handshake = true;
    }

    /// Notes why tidegate itself answers.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.why = Some(refusal.label());
        self.access = refusal.rule().cloned();
        self.detail = refusal.detail();
        self.listener_cells.requests_refused.count(refusal);
        if self.is_handshake || refusal.is_of_handshake() {
            self.cells.totals.handshakes_failed.count(refusal);
        }
    }

    /// The request becomes a session, whose own lines tell the rest.
    pub(super) fn become_session(&mut self) -> Option<Box<RequestFacts>> {
        self.cells.here().request(StatusCode::SWITCHING_PROTOCOLS);
        self.facts.take()
    }

    /// Goes along with the answer's body until it has ended.
    pub(super) fn follow(mut self, answer: Response<Body>) -> Response<Body> {
        self.status = Some(answer.status());
        self.fate.set_followed(true);
        let cells = self.cells.here();
        cells.request(answer.status());
        cells.answered(self.is_handshake, clock::now().since(self.started));
        answer.map(|body| Observed::new(body, self).boxed_unsync())
    }
}

impl RequestRecord {
    /// Why its answer was not sent to its end.
    fn cut(&self) -> Option<AnswerCut> {
        let stopped = || (!self.is_whole && worker::is_ending()).then_some(AnswerCut::Stopped);
        self.fate.get().or_else(stopped)
    }
}

impl RequestRecord {
    /// Ends the request's span, by the names that OpenTelemetry has for requests.
    fn end_trace(&self, trace: RequestTrace) {
        let Some(facts) = &self.facts else { return };
        let number = |number: u64| Some(SpanValue::Number(number));
        let status = self.status.map(|status| u64::from(status.as_u16()));
        let attributes = known([
            ("http.request.method", text(&self.method)),
            ("http.response.status_code", status.and_then(number)),
            ("http.route", self.route.as_ref().and_then(text)),
            ("url.path", text(facts.target.path())),
            ("server.address", facts.host.as_ref().and_then(text)),
            ("client.address", text(ShownAddr(self.client_addr))),
            ("network.protocol.version", text(facts.protocol())),
            ("error.type", self.why.and_then(text)),
            ("tidegate.pool", self.pool.as_ref().and_then(text)),
            ("tidegate.backend", self.backend.as_ref().and_then(text)),
            ("tidegate.request_id", self.request_id.to_str().ok().and_then(text)),
            ("tidegate.bytes", number(self.bytes)),
        ]);
        let is_error = status.is_none_or(|status| status >= 500);
        trace.end(self.method.to_string(), attributes, is_error);
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        self.fate.set_followed(false);
        if self.facts.is_none() {
            return;
        }
        if let Some(cut) = self.cut() {
            self.listener_cells.answers_cut.count(cut);
            self.is_whole = false;
            self.why.get_or_insert(cut.label());
        }
        if let Some(trace) = self.facts.as_mut().and_then(|facts| facts.trace.take()) {
            self.end_trace(*trace);
        }
        let Some(facts) = &self.facts else { return };
        tracing::info!(
            target: ACCESS,
            event = "request",
            request_id = self.request_id.to_str().ok(),
            listener = &*self.listener,
            client = %ShownAddr(self.client_addr),
            method = self.method.as_str(),
            host = facts.host.as_deref(),
            uri = %facts.target,
            origin = facts.origin(),
            user_agent = facts.user_agent(),
            protocol = facts.protocol(),
            tls = facts.tls(),
            route = self.route.as_deref(),
            pool = self.pool.as_deref(),
            backend = self.backend.as_deref(),
            // Without a status the client was gone before there was an answer.
            status = self.status.map(|status| status.as_u16()),
            why = self.why,
            access = self.access.as_deref(),
            detail = self.detail.as_deref(),
            bytes = self.bytes,
            whole = self.is_whole,
            ms = millis(clock::now().since(self.started)),
        );
    }
}

/// A request's record follows the body of its answer.
impl Observer for RequestRecord {
    fn on_frame(&mut self, frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {
        match frame {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                trailers::tidy(frame, &self.trailers);
            }
            Some(Err(error)) => {
                self.fate.cut(AnswerCut::Broken);
                self.detail.get_or_insert_with(|| error.to_string());
            }
            None => self.is_whole = true,
        }
    }

    fn on_drop(&mut self, is_complete: bool) {
        // A body that says that it has ended is not asked for its end.
        self.is_whole |= is_complete;
    }
}

/// An address; one without a port was told by a proxy, none is the peer of a unix socket.
pub struct ShownAddr(pub Option<SocketAddr>);

impl fmt::Display for ShownAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) if address.port() == 0 => address.ip().fmt(f),
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
