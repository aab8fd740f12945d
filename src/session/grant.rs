//! A request that its route lets pass, and its head on its way upstream.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use http::header::ORIGIN;

use super::admit::Asked;
use super::affinity::Affinity;
use super::clearance::Clearance;
use super::conn::{App, Conn};
use super::held_places::HeldPlaces;
use super::refusal::Refusal;
use super::request_values::RequestValues;
use crate::access::Pass;
use crate::base::clock::Moment;
use crate::base::network::ClientNetwork;
use crate::config::plan::{Address, FieldChanges};
use crate::live::{LivePool, LiveRoute};
use crate::rewrite::{FieldFilter, Informational, Outbound, ReverseMapping};
use crate::wire::forwarded::{self, Hop};
use crate::wire::host::is_page_of;
use crate::wire::label::{LabelSource, SessionLabels};
use crate::wire::proxy::ProxyEnds;
use crate::wire::resume::Token;

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

/// The listener's address where it is a unix socket.
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// `Host` where the client names none, as HTTP/1.0 may: HTTP/1.1 demands the field (RFC 9112 §3.2).
static NO_HOST: HeaderValue = HeaderValue::from_static("");

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
    /// How the answer leads back to where the client is; `None` where it stays.
    pub(super) reverse: Option<ReverseMapping>,
}

impl Forwarding {
    /// What the client's shares are counted by.
    pub(super) fn client_network(&self) -> ClientNetwork {
        self.conn.listener.client_network(self.client_addr)
    }
}

impl Authorized {
    /// A request with this right to pass, and the labels that its route gives.
    pub(super) fn new(asked: Box<Asked>, route: Arc<LiveRoute>, pass: Pass) -> Authorized {
        let plan = &route.plan;
        let named = asked.asks_websocket && (plan.hold.is_some() || plan.push.is_some());
        let clearance = Clearance::new(pass, named.then(Token::new));
        let mut authorized = Authorized { asked, route, clearance };
        let mut labels = SessionLabels::default();
        let values = authorized.values();
        for (name, template) in &values.route.plan.labels {
            // One that comes to nothing, or to what no label can be, is not given.
            if let Ok(value) = String::from_utf8(template.fill(&values)) {
                let _ = labels.set(name, &value, LabelSource::Route);
            }
        }
        authorized.clearance.labels = labels;
        authorized
    }

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
        let informational = self.asked.hooks.informational.take();
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
        to: &LivePool,
    ) -> Result<(Outbound, Forwarding), Refusal> {
        if app.via.is_loop(&self.asked.head.headers) {
            return Err(Refusal::Loop);
        }
        let changes = self.route.plan.request_headers.fill(&self.values());
        let affinity = Affinity::from_request(self.values(), &to.pool);
        Affinity::remove_cookie(&mut self.asked.head.headers, &to.pool);
        if to.target.origin_follows {
            self.follow_host(to);
        }
        let (asked, plan) = (&self.asked, &self.route.plan);
        let path = asked.target.changed(&asked.head, plan, &to.target.path)?;
        let prefix = if to.target.path.is_cut() { self.whole_prefix() } else { String::new() };
        let reverse = to.target.reverse_mapping.then(|| self.reverse(to, &prefix));
        let Granted { asked, route, clearance, places, answer_changes } = self;
        let Asked { conn, head, asks_websocket, target, client_addr, request_id, at, .. } = *asked;
        let authority = target.authority.as_ref();
        let passage = FieldFilter {
            hop: Hop {
                peer: conn.peer_addr,
                client: client_addr.map(|client| client.ip()),
                proto: conn.scheme(),
                host: authority.and_then(|authority| authority.to_str().ok()),
                port: target.port.unwrap_or(conn.default_port()),
                prefix: &prefix,
            },
            via: app.via.value(head.version),
            request_id: &request_id,
            is_trusted: conn.is_trusted(),
            host: Some(to.target.host.as_ref().or(authority).unwrap_or(&NO_HOST)),
            is_handshake: asks_websocket,
            changes: &changes,
            trailers: &route.plan.trailers.request,
        };
        let ends = to.pool.plan().proxy_protocol.and(client_addr).map(|client| {
            let listener = match conn.listener.address {
                Address::Inet(address) => address,
                Address::Unix(_) => NO_ADDRESS,
            };
            ProxyEnds::new(client, listener)
        });
        let outbound = Outbound::new(head.method, path, head.headers, &passage).announcing(ends);
        let left = Forwarding {
            conn,
            client_addr,
            at,
            route,
            affinity,
            clearance,
            answer_changes,
            places,
            reverse,
        };
        Ok((outbound, left))
    }

    /// How the answer leads back to where the client is.
    fn reverse(&self, to: &LivePool, told: &str) -> ReverseMapping {
        let Asked { conn, head, target, client_addr, .. } = &*self.asked;
        let plan = &self.route.plan;
        let change = &to.target.path;
        let public = change.prefix.is_some().then(|| target.public_prefix(plan));
        let scheme = |is_secure| if is_secure { "https" } else { "http" };
        let is_secure = conn.is_secure(&head.headers, *client_addr);
        ReverseMapping {
            upstream: change.prefix.clone(),
            public: public.unwrap_or_default(),
            told: told.to_owned(),
            authority: target.authority.clone(),
            host: to.target.host.clone(),
            schemes: [scheme(is_secure), scheme(to.pool.plan().tls.is_some())],
        }
    }

    /// The route's prefix, behind those that trusted proxies tell of; empty where it is the root.
    pub(super) fn whole_prefix(&self) -> String {
        let Asked { conn, head, target, .. } = &*self.asked;
        match target.public_prefix(&self.route.plan) {
            own if own.is_empty() => own,
            own => forwarded::whole_prefix(&head.headers, &own, conn.is_trusted()),
        }
    }

    /// Makes the `Origin` of a page of the host that is asked for one of the host that is sent.
    fn follow_host(&mut self, to: &LivePool) {
        let Asked { head, target, .. } = &mut *self.asked;
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let asked = target.authority.as_ref().and_then(text);
        let sent = to.target.host.as_ref().and_then(text);
        let origin = head.headers.get(ORIGIN).and_then(text);
        let (Some(asked), Some(sent), Some(origin)) = (asked, sent, origin) else { return };
        let Some((scheme, _)) = origin.split_once("://") else { return };
        let is_only = head.headers.get_all(ORIGIN).iter().count() == 1;
        if let Ok(origin) = HeaderValue::try_from(format!("{scheme}://{sent}"))
            && is_only
            && is_page_of(head.headers[ORIGIN].to_str().unwrap_or_default(), &asked)
        {
            head.headers.insert(ORIGIN, origin);
        }
    }
}
