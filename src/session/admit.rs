//! A request admitted, then routed: what must be known before anything is done.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use http::request::Parts;

use super::answer_hooks::AnswerHooks;
use super::conn::Conn;
use super::record::RequestRecord;
use super::refusal::Refusal;
use super::target::Target;
use crate::base::clock::Moment;
use crate::handshake;
use crate::live::{LiveRoute, Snapshot};
use crate::router::Query;
use crate::wire::client_cert::CLIENT_CERT;
use crate::wire::{fields, framing};

/// What is known of a request. It stays where it was put when it came in, and each step hands it to
/// the next by its place.
pub(super) struct Asked {
    pub(super) conn: Rc<Conn>,
    pub(super) head: Parts,
    /// What its HTTP driver has given along.
    pub(super) hooks: AnswerHooks,
    /// Whether it is a WebSocket that is asked for.
    pub(super) asks_websocket: bool,
    pub(super) target: Target,
    /// Who asks, as the record tells it.
    pub(super) client_addr: Option<SocketAddr>,
    /// Its `X-Request-Id`.
    pub(super) request_id: HeaderValue,
    /// When, which is before the snapshot is looked at: a session that is still shaking hands when
    /// others are drained is drained with them.
    pub(super) at: Moment,
}

/// A request with a host, a path and a method we serve.
pub(super) struct Admitted(Box<Asked>);

/// A request whose route is known.
pub(super) struct Routed {
    pub(super) asked: Box<Asked>,
    pub(super) route: Arc<LiveRoute>,
}

impl Admitted {
    /// Reads what the request asks for.
    pub(super) fn new(
        conn: Rc<Conn>,
        mut head: Parts,
        hooks: AnswerHooks,
        record: &mut RequestRecord,
    ) -> Result<Admitted, Refusal> {
        framing::check_coding(&head.headers).map_err(Refusal::Framing)?;
        handshake::unify(&mut head)?;
        let target = Target::read(&head)?;
        target.write_host(&mut head.headers);
        let keeps_underscores = conn.listener.underscores_in_headers;
        fields::remove_deceptive(&mut head.headers, keeps_underscores, conn.is_trusted());
        let is_told = conn.is_trusted() && head.headers.contains_key(CLIENT_CERT);
        if let Some(certificate) = conn.certificate().filter(|_| !is_told) {
            head.headers.insert(CLIENT_CERT, certificate.field.clone());
        }
        record.host(target.host.as_deref());
        if is_misdirected(&conn, target.host.as_deref()) {
            return Err(Refusal::Misdirected);
        }
        let (client_addr, at) = (record.client_addr(), record.started());
        let request_id = record.request_id().clone();
        let asks_websocket = handshake::is_asked(&head);
        let asked =
            Asked { conn, head, hooks, asks_websocket, target, client_addr, request_id, at };
        Ok(Admitted(Box::new(asked)))
    }

    /// Finds the route. The snapshot is not kept.
    pub(super) fn routed(
        self,
        snapshot: &Snapshot,
        record: &mut RequestRecord,
    ) -> Result<Routed, Refusal> {
        let Admitted(asked) = self;
        let query = Query {
            listener: Some(&asked.conn.listener.name),
            host: asked.target.host.as_deref(),
            path: &asked.target.path,
            is_websocket: asked.asks_websocket,
            method: &asked.head.method,
            headers: &asked.head.headers,
        };
        let found = snapshot.router.find(&query);
        asked.target.check(found.map(|index| &*snapshot.routes[index].plan))?;
        let index = found.ok_or(Refusal::NoRoute)?;
        let route = Arc::clone(&snapshot.routes[index]);
        record.route(&route);
        Ok(Routed { asked, route })
    }
}

/// Whether the client asks for a host on a connection that is another host's, as HTTP/2's clients
/// do where both have one address (RFC 9113 §9.1.1).
fn is_misdirected(conn: &Conn, host: Option<&str>) -> bool {
    let sni = conn.tls.as_ref().and_then(|tls| tls.sni.as_deref());
    match (&conn.listener.tls, sni, host) {
        (Some(tls), Some(sni), Some(host)) => sni != host && tls.is_misdirected(sni, host),
        _ => false,
    }
}
