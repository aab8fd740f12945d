//! A request admitted, then routed: what must be known before anything is done.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Uri};

use super::conn::Conn;
use super::fields;
use super::record::RequestRecord;
use super::refusal::Refusal;
use super::target::Target;
use crate::base::clock::Moment;
use crate::config::plan::WebSocketMode;
use crate::handshake;
use crate::live::{LiveRoute, Snapshot};
use crate::router::Query;
use crate::wire::framing;

/// A request with a host, a path and a method we serve.
pub(super) struct Admitted {
    pub(super) conn: Rc<Conn>,
    pub(super) head: Parts,
    pub(super) target: Target,
    /// Who asks, as the record tells it.
    pub(super) asker: Option<SocketAddr>,
    /// When, which is before the snapshot is looked at: a session that is still shaking hands when
    /// others are let go is let go with them.
    pub(super) at: Moment,
}

/// A request whose route is known.
pub(super) struct Routed {
    pub(super) conn: Rc<Conn>,
    pub(super) head: Parts,
    pub(super) target: Target,
    pub(super) asker: Option<SocketAddr>,
    pub(super) at: Moment,
    pub(super) route: Arc<LiveRoute>,
    /// Whether the client asks for a WebSocket, and the route does not refuse.
    pub(super) asks_websocket: bool,
}

impl Admitted {
    /// Reads what the request asks for.
    pub(super) fn new(
        conn: Rc<Conn>,
        mut head: Parts,
        record: &mut RequestRecord,
    ) -> Result<Admitted, Refusal> {
        framing::check_coding(&head.headers).map_err(Refusal::Framing)?;
        handshake::unify(&mut head)?;
        let target = Target::read(&head)?;
        record.host(target.host.as_deref());
        if is_misdirected(&conn, target.host.as_deref()) {
            return Err(Refusal::Misdirected);
        }
        let (asker, at) = (record.asker(), record.started());
        Ok(Admitted { conn, head, target, asker, at })
    }

    /// Finds the route. The snapshot is not kept.
    pub(super) fn routed(
        self,
        snapshot: &Snapshot,
        record: &mut RequestRecord,
    ) -> Result<Routed, Refusal> {
        let Admitted { conn, head, target, asker, at } = self;
        let query = Query {
            listener: Some(&conn.listener.name),
            host: target.host.as_deref(),
            path: &target.path,
            method: &head.method,
            headers: &head.headers,
        };
        let found = snapshot.router.find(&query);
        target.check(found.map(|index| &*snapshot.routes[index].plan))?;
        let index = found.ok_or(Refusal::NoRoute)?;
        let route = Arc::clone(&snapshot.routes[index]);
        record.route(&route);
        let asks_websocket = handshake::is_asked(&head);
        match (route.plan.websocket, asks_websocket) {
            (WebSocketMode::Refused, true) => Err(Refusal::NoWebSocket),
            (WebSocketMode::Only, false) => Err(Refusal::OnlyWebSocket),
            _ => Ok(Routed { conn, head, target, asker, at, route, asks_websocket }),
        }
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

impl Routed {
    /// Makes the head the one that goes upstream.
    pub(super) fn turn_onward(
        &mut self,
        strip_prefix: bool,
        host: Option<&HeaderValue>,
    ) -> Result<(), Refusal> {
        let path = match strip_prefix {
            true => self.target.cut(&self.head, &self.route.plan)?,
            false => self.target.sent(&self.head)?,
        };
        self.head.uri = Uri::from(path);
        let changes = &self.route.plan.request_headers;
        fields::onward(&mut self.head.headers, &self.conn, &self.target, host, changes);
        Ok(())
    }
}
