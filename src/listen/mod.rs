//! Sockets, permits, PROXY header, TLS accept, HTTP drivers.
//!
//! **In:** listening sockets, and what the configuration in force says of each. **Out:** requests,
//! each with its connection's facts. **Never here:** routes, pools; a decision about a request.
//!
//! RFC 9112 (HTTP/1.1), RFC 9113 (HTTP/2), RFC 8441 (WebSockets on it), RFC 7301 (ALPN), and
//! HAProxy's PROXY protocol.

mod accept;
mod accept_queue;
mod admit_request;
mod client;
mod conn;
mod date;
mod http1;
mod http2;
mod inherited;
mod linger;
mod pace;
mod permits;
mod proxy;
mod rate;
mod refusal_log;
mod refused;
mod release;
mod sockets;
mod table;
mod waiting;

pub use accept::{EXHAUSTED_LOG_INTERVAL, EXHAUSTED_PAUSE};
pub use accept_queue::{AcceptQueue, connected};
pub use http1::{EVICTION_GRACE, FIRST_REQUEST_GRACE};
pub use http2::{
    CONTROL_FRAMES_MAX, CONTROL_WINDOW, FAREWELL_TIMEOUT, RESETS_UNSEEN_MAX, RESETS_WINDOW,
    SEND_BUFFER_BYTES_MAX,
};
pub use inherited::{Handover, Inherited, InheritedSockets, Opened, Origin};
pub use linger::{LINGER_BYTES_MAX, LINGER_TIMEOUT, UNREAD_SILENCE_TIMEOUT, UNREAD_TIMEOUT};
pub use pace::TAKE_TIMEOUT;
pub use permits::{
    FILES_RESERVED, FILES_RESERVED_SHARE, HOP_MARGIN, Permit, Permits, ProxiedPermit, Rejection,
};
pub use rate::RATE_GRACE;
pub use refusal_log::{LINES_WINDOW, REFUSED_LINES_MAX};
pub use release::{ReleasedSockets, Way, is_exchanged, is_in_the_way};
pub use sockets::{BACKLOG, Listening, OpenError};
pub use table::{OpenedSockets, Sockets};

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::sync::watch;

use crate::base::body::Body;
use crate::base::flow::FlowBudget;
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::base::task::LocalBox;
use crate::base::worker::Queues;
use crate::live::LiveListener;
use crate::session::{AnswerHooks, Conn};
use crate::tls::Acceptor;
use refusal_log::RefusalLog;

/// Answers requests; called on the connection's worker.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. For a WebSocket the answer is the 101, which HTTP/2 spells 200; then the
    /// hooks' `PendingUpgrade` gives the client's end.
    fn answer(
        &self,
        conn: &Rc<Conn>,
        request: Request<Body>,
        hooks: AnswerHooks,
    ) -> LocalBox<Response<Body>>;

    /// What answers an authority that asks over TLS whether this name is ours; `None` where no
    /// certificate is ordered for it at this moment.
    fn challenged(&self, name: Arc<str>, client: ClientNetwork) -> LocalBox<Option<Arc<Acceptor>>>;
}

/// A listening socket in use. The workers' accept loops share it; the last one to end closes it.
struct ListenSocket {
    listening: Arc<Listening>,
    /// Who opened the socket, when it was inherited.
    origin: Option<Origin>,
    /// Only accept loops subscribe: without a subscriber all of them have ended.
    accepting: watch::Sender<Accepting>,
    endpoint: Arc<Endpoint>,
}

/// What a connection needs of the socket it came by. It does not keep that open: what a client does
/// or does not send must not hold an address.
struct Endpoint {
    /// Swapped by a reload: certificates are renewed, and a listener is renamed, without touching
    /// a connection.
    listener: ArcSwap<LiveListener>,
    /// TLS handshakes whose ClientHello has come.
    handshakes: Arc<Shares>,
    /// Connections subscribe.
    state: watch::Sender<ListenerState>,
}

/// Whether connections are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Accepting {
    Open,
    /// The queue is left to another process.
    Paused,
    /// The queue is emptied, then accepting ends.
    Closed,
}

/// What connections need to know of their listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ListenerState {
    Open,
    /// Another process accepts now. This one goes on serving, and makes clients connect anew as
    /// soon as they can without losing a request.
    HandedOver,
    /// The listener is closed: connections finish their present request.
    Closed,
}

/// What every connection needs.
struct ListenContext {
    handler: Arc<dyn Handler>,
    permits: Arc<Permits>,
    flow: Arc<FlowBudget>,
    queues: Queues,
    refusals: RefusalLog,
}

#[cfg(test)]
mod tests;
