//! Whether a request may pass, by what its route says.

use super::admit::Routed;
use super::clearance::Clearance;
use super::grant::Authorized;
use super::record::RequestRecord;
use super::refusal::Refusal;
use crate::access::{Applicant, Pass};
use crate::config::plan::WebSocketMode;
use crate::handshake;

impl Routed {
    /// Asks the route whether the request may pass: first what costs nothing, then its rules.
    pub(super) async fn authorize(self, record: &mut RequestRecord) -> Result<Authorized, Refusal> {
        if let Some(policy) = &self.route.access {
            // Before all else: whoever is refused, or leaves meanwhile, has a line, too.
            record.redact(|uri| policy.redact(uri));
        }
        self.check_kind()?;
        let Routed { mut asked, route } = self;
        let mut pass = Pass::FOR_GOOD;
        if let Some(policy) = &route.access {
            if asked.asks_websocket {
                record.handshake();
            }
            let applicant = Applicant {
                client: asked.client_addr.map(|client| client.ip()),
                network: asked.conn.listener.client_network(asked.client_addr),
                headers: &asked.head.headers,
                uri: &asked.head.uri,
            };
            // On the heap: most requests ask for none, and need not have the room.
            pass = Box::pin(policy.verify(&applicant)).await?;
            policy.strip(&mut asked.head);
        }
        let clearance = Clearance::new(pass, &asked, &route);
        Ok(Authorized { asked, route, clearance })
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
