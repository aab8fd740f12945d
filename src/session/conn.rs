//! The facts of a client's transport, known before any request.

use std::any::Any;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;

use http::HeaderMap;

use crate::acme::Challenges;
use crate::action::api::OlderInstances;
use crate::base::quota::Quota;
use crate::base::share::Shares;
use crate::config::plan::Listener;
use crate::limit::{Buckets, SessionPlaces};
use crate::live::Live;
use crate::observe::metrics::ListenerMetrics;
use crate::observe::spans::SpanQueue;
use crate::registry::{LiveSessions, PushBudget, SessionEvents};
use crate::relay::{Leg, Stream};
use crate::tls::{Greeting, Transport};
use crate::wire::client_cert::ClientCertificate;
use crate::wire::forwarded;
use crate::wire::via::Via;

/// What all requests of a process share.
pub struct App {
    /// The snapshot in force.
    pub live: Live,
    /// What sessions may keep together while their upstreams are away.
    pub budget: Arc<Quota>,
    /// What was taken of the rate limits.
    pub buckets: Arc<Buckets>,
    /// Encoders of answers, shared out among clients.
    pub encoders: Arc<Shares>,
    /// The places of sessions whose number is limited by key.
    pub places: Arc<SessionPlaces>,
    /// The sessions of all workers.
    pub sessions: LiveSessions,
    /// What becomes of them.
    pub events: Arc<SessionEvents>,
    /// The processes before this one, whose sessions callers mean too.
    pub older: Arc<dyn OlderInstances>,
    /// What messages of callers to them may have.
    pub pushes: Arc<PushBudget>,
    /// What an authority is answered that asks whether a name is ours.
    pub challenges: Arc<Challenges>,
    /// Where spans of traces go.
    pub spans: SpanQueue,
    /// What this process is called in `Via`.
    pub via: Via,
}

/// A client's own end of the session to come, which is free of HTTP once its 101 is sent: a request
/// that can become a WebSocket has it from `listen`.
pub struct PendingUpgrade(oneshot::Receiver<ClientEnd>);

/// A client's end of a session, free of HTTP.
pub enum ClientEnd {
    /// A connection, and what was read from it already.
    Connection(Transport, Vec<u8>),
    /// A stream of HTTP/2.
    Stream(Stream),
}

impl From<ClientEnd> for Leg {
    fn from(end: ClientEnd) -> Leg {
        match end {
            ClientEnd::Connection(transport, read) => Leg::new(transport, read),
            ClientEnd::Stream(stream) => Leg::new(stream, Vec::new()),
        }
    }
}

impl PendingUpgrade {
    /// One, and who keeps its promise: dropped, the client is gone.
    pub fn new() -> (oneshot::Sender<ClientEnd>, PendingUpgrade) {
        let (promise, promised) = oneshot::channel();
        (promise, PendingUpgrade(promised))
    }

    /// Waits until HTTP has sent the answer and is done with the stream; `None` when its client is
    /// gone.
    pub(super) async fn complete(self) -> Option<Leg> {
        self.0.await.ok().map(Into::into)
    }
}

/// A client's transport. `listen` makes one per connection; requests on it borrow it, and a session
/// takes along no more of it than it needs.
#[derive(Clone)]
pub struct Conn {
    /// The listener it came in by, as configured at that moment.
    pub listener: Arc<Listener>,
    /// What is counted of that listener.
    pub cells: Arc<ListenerMetrics>,
    /// Who connected, after a PROXY header; `None` is the peer of a unix socket.
    pub peer_addr: Option<SocketAddr>,
    /// What its TLS handshake agreed on; `None` without TLS.
    pub tls: Option<Greeting>,
    /// The connection's place. The session it becomes takes a share of this one, not of the `Conn`,
    /// which would keep old certificates in memory, and drops it when its transports are closed.
    pub permit: Rc<dyn Any>,
}

impl Conn {
    /// `http` or `https`, as the client speaks to us.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The port that a URL of this scheme means when it names none (RFC 9110 §4.2).
    pub fn default_port(&self) -> u16 {
        if self.tls.is_some() { 443 } else { 80 }
    }

    /// The certificate that the client has shown.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.certificate.as_deref()
    }

    /// Whether what the client says of those before it is believed.
    pub fn is_trusted(&self) -> bool {
        self.listener.trusted_proxies.contains(self.peer_addr.map(|client| client.ip()))
    }

    /// Whether the client speaks TLS, to us or to a trusted proxy before us.
    pub(super) fn is_secure(&self, headers: &HeaderMap, client: Option<SocketAddr>) -> bool {
        let told = || forwarded::is_https(headers, client.map(|client| client.ip()));
        self.tls.is_some() || self.is_trusted() && told()
    }

    /// Who asks: who connected, or whom trusted proxies before it tell of (then without a port).
    pub fn client_addr(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        if !self.is_trusted() {
            return self.peer_addr;
        }
        let peer = self.peer_addr.map(|peer| peer.ip().to_canonical());
        let trusted = |ip| self.listener.trusted_proxies.contains(Some(ip));
        let told = forwarded::client(headers, peer, trusted);
        if told == peer { self.peer_addr } else { told.map(|told| SocketAddr::new(told, 0)) }
    }
}
