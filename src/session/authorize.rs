//! Whether a request may pass, by what its route says.

use super::admit::{Asked, Routed};
use super::conn::App;
use super::grant::Authorized;
use super::record::RequestRecord;
use super::refusal::Refusal;
use crate::access::{Applicant, AuthRequest, Pass, Policy, Subrequest, SubrequestFuture};
use crate::action;
use crate::base::body;
use crate::config::plan::WebSocketMode;
use crate::handshake;
use crate::pool::Attempts;
use crate::rewrite::Outbound;
use crate::wire::forwarded::Hop;

/// Asks servers as requests are forwarded.
pub(super) struct Forwarded;

impl Subrequest for Forwarded {
    fn send<'a>(&'a self, attempts: Attempts<'a>, outbound: &'a Outbound) -> SubrequestFuture<'a> {
        Box::pin(action::forward(attempts, outbound, body::empty(), None))
    }
}

impl Routed {
    /// Asks the route whether the request may pass: first what costs nothing, then its rules.
    pub(super) async fn authorize(
        self,
        app: &App,
        record: &mut RequestRecord,
    ) -> Result<Authorized, Refusal> {
        if let Some(policy) = &self.route.access {
            // Before all else: whoever is refused, or leaves meanwhile, has a line, too.
            record.redact(|uri| policy.redact(uri));
        }
        self.check_kind()?;
        if self.route.access.is_some() {
            if self.asked.asks_websocket {
                record.handshake();
            }
            self.count_client(app)?;
        }
        let Routed { mut asked, route } = self;
        let mut pass = Pass::FOR_GOOD;
        if let Some(policy) = &route.access {
            // On the heap: most requests ask for none, and need not have the room.
            pass = Box::pin(verify(policy, &asked, app)).await?;
            policy.strip(&mut asked.head);
            if let Some(grants) = pass.grants.take() {
                for (name, value) in grants.fields {
                    asked.head.headers.append(name, value);
                }
                record.give_cookies(grants.cookies);
            }
        }
        Ok(Authorized::new(asked, route, pass))
    }

    /// Whether the route takes what is asked for, a WebSocket or not, of the page that asks.
    fn check_kind(&self) -> Result<(), Refusal> {
        let Routed { asked, route } = self;
        match (route.plan.websocket, asked.asks_websocket) {
            (WebSocketMode::Refused, true) => return Err(Refusal::NoWebSocket),
            (WebSocketMode::Only, false) => return Err(Refusal::OnlyWebSocket),
            _ => {}
        }
        let (origins, host) =
            (route.plan.allowed_origins.as_ref(), asked.target.authority.as_ref());
        if asked.asks_websocket && !handshake::is_origin_allowed(&asked.head.headers, origins, host)
        {
            return Err(handshake::HandshakeRefusal::Origin.into());
        }
        Ok(())
    }
}

/// Asks the rules.
async fn verify(policy: &Policy, asked: &Asked, app: &App) -> Result<Pass, Refusal> {
    let target = asked.target.sent(&asked.head)?;
    let asking = AuthRequest {
        method: &asked.head.method,
        target: &target,
        authority: asked.target.authority.as_ref(),
        scheme: match asked.conn.is_secure(&asked.head.headers, asked.client_addr) {
            true => "https",
            false => "http",
        },
        is_handshake: asked.asks_websocket,
        hop: Hop {
            peer: asked.conn.peer_addr,
            client: asked.client_addr.map(|client| client.ip()),
            proto: asked.conn.scheme(),
            host: asked.target.authority.as_ref().and_then(|host| host.to_str().ok()),
            port: asked.target.port.unwrap_or(asked.conn.default_port()),
            prefix: "",
        },
        is_trusted: asked.conn.is_trusted(),
        via: app.via.value(asked.head.version),
        request_id: &asked.request_id,
        subrequest: &Forwarded,
    };
    let applicant = Applicant {
        client: asked.client_addr.map(|client| client.ip()),
        network: asked.conn.listener.client_network(asked.client_addr),
        headers: &asked.head.headers,
        uri: &asked.head.uri,
        certificate: asked.conn.certificate(),
        asking: Some(&asking),
    };
    Ok(policy.verify(&applicant).await?)
}
