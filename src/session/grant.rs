//! A request that its route lets pass, and its head on its way upstream.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::admit::Asked;
use super::affinity::Affinity;
use super::clearance::Clearance;
use super::conn::{App, Conn};
use super::counted::HeldPlaces;
use super::refusal::Refusal;
use super::request_values::RequestValues;
use crate::base::clock::Moment;
use crate::base::network::ClientNetwork;
use crate::config::plan::FieldChanges;
use crate::live::LiveRoute;
use crate::pool::Pool;
use crate::rewrite::{FieldFilter, Informational, Outbound};
use crate::wire::forwarded::Hop;

/// A request of a kind, an origin and a client that its route takes.
pub(super) struct Authorized {
    pub(super) asked: Box<Asked>,
    pub(super) route: Arc<LiveRoute>,
    pub(super) clearance: Clearance,
}

/// A request that its route lets pass, and what it has of the route's limits. Every action begins
/// with one.
pub(super) struct Granted {
    pub(super) asked: Box<Asked>,
    pub(super) route: Arc<LiveRoute>,
    pub(super) clearance: Clearance,
    /// The places that its session will have, where sessions are limited.
    pub(super) places: Option<Box<HeldPlaces>>,
    /// What the route changes of the answer.
    pub(super) answer_changes: Arc<FieldChanges>,
}

/// `Host` where the client names none, as HTTP/1.0 may: HTTP/1.1 demands the field (RFC 9112 §3.2).
static NO_HOST: HeaderValue = HeaderValue::from_static("");

/// Where a route sends what it forwards.
#[derive(Clone, Copy)]
pub(super) struct ToPool<'a> {
    pub(super) pool: &'a Arc<Pool>,
    /// Whether the route's prefix is cut from the path.
    pub(super) strip_prefix: bool,
    /// `Host` towards the backend; the client's when `None`.
    pub(super) host: Option<&'a HeaderValue>,
}

/// What is left of a request whose head has become an [`Outbound`].
pub(super) struct Forwarding {
    pub(super) conn: Rc<Conn>,
    pub(super) client_addr: Option<SocketAddr>,
    pub(super) at: Moment,
    pub(super) route: Arc<LiveRoute>,
    pub(super) affinity: Affinity,
    pub(super) clearance: Clearance,
    pub(super) answer_changes: Arc<FieldChanges>,
    pub(super) places: Option<Box<HeldPlaces>>,
}

impl Forwarding {
    /// What the client's shares are counted by.
    pub(super) fn client_network(&self) -> ClientNetwork {
        self.conn.listener.client_network(self.client_addr)
    }
}

impl Authorized {
    /// What it has to say where configuration asks for it.
    pub(super) fn values(&self) -> RequestValues<'_> {
        let Authorized { asked, route, clearance } = self;
        RequestValues { asked, route, clearance }
    }
}

impl Granted {
    /// What it has to say where configuration asks for it.
    pub(super) fn values(&self) -> RequestValues<'_> {
        let Granted { asked, route, clearance, .. } = self;
        RequestValues { asked, route, clearance }
    }

    /// Begins with what is changed of the answer.
    pub(super) fn new(authorized: Authorized, places: Option<Box<HeldPlaces>>) -> Granted {
        let answer_changes = authorized.route.plan.response_headers.fill(&authorized.values());
        let Authorized { asked, route, clearance } = authorized;
        Granted { asked, route, clearance, places, answer_changes }
    }

    /// Where informational answers to the request go.
    pub(super) fn informational(&mut self) -> Option<Informational> {
        let informational = self.asked.head.extensions.remove::<Informational>();
        informational.map(|informational| informational.by(Arc::clone(&self.answer_changes)))
    }

    /// Makes the head the one that goes upstream. By what the request finds its backend again is
    /// read from it before; the pool's cookie is for tidegate and goes no further.
    ///
    /// # Errors
    /// The path cannot be sent on, or the request has been here before.
    pub(super) fn outbound(
        mut self,
        app: &App,
        to: ToPool<'_>,
    ) -> Result<(Outbound, Forwarding), Refusal> {
        if app.via.is_loop(&self.asked.head.headers) {
            return Err(Refusal::Loop);
        }
        let changes = self.route.plan.request_headers.fill(&self.values());
        let affinity = Affinity::from_request(&mut self, to.pool);
        let path = match to.strip_prefix {
            true => self.asked.target.cut(&self.asked.head, &self.route.plan)?,
            false => self.asked.target.sent(&self.asked.head)?,
        };
        let Granted { asked, route, clearance, places, answer_changes } = self;
        let Asked { conn, head, asks_websocket, target, client_addr, request_id, at } = *asked;
        let authority = target.authority.as_ref();
        let passage = FieldFilter {
            hop: Hop {
                peer: conn.peer_addr,
                client: client_addr.map(|client| client.ip()),
                proto: conn.scheme(),
                host: authority.and_then(|authority| authority.to_str().ok()),
                port: target.port.unwrap_or(conn.default_port()),
            },
            via: app.via.value(head.version),
            request_id: &request_id,
            is_trusted: conn.is_trusted(),
            host: Some(to.host.or(authority).unwrap_or(&NO_HOST)),
            is_handshake: asks_websocket,
            changes: &changes,
            trailers: &route.plan.trailers.request,
        };
        let outbound = Outbound::new(head.method, path, head.headers, &passage);
        let left = Forwarding {
            conn,
            client_addr,
            at,
            route,
            affinity,
            clearance,
            answer_changes,
            places,
        };
        Ok((outbound, left))
    }
}
