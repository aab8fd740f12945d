//! Sockets, permits, PROXY header, TLS accept, HTTP drivers.
//!
//! **In:** listening sockets, and what the configuration in force says of each. **Out:** requests,
//! each with its connection's facts. **Never here:** routes, pools; a decision about a request.
//!
//! RFC 9112 (HTTP/1.1), RFC 9113 (HTTP/2), RFC 8441 (WebSockets on it), RFC 7301 (ALPN), and
//! HAProxy's PROXY protocol.

mod accept;
mod conn;
mod http1;
mod http2;
mod inherited;
mod linger;
mod pace;
mod permits;
mod proxy;
mod sockets;
mod table;

pub use accept::{EXHAUSTED_LOG_INTERVAL, EXHAUSTED_PAUSE};
pub use http1::FIRST_REQUEST_GRACE;
pub use http2::{FAREWELL_TIMEOUT, RESETS_UNSEEN_MAX, RESETS_WINDOW, SEND_BUFFER_BYTES_MAX};
pub use inherited::{Heritage, Inherited, Legacy, Origin, Taken};
pub use linger::{LINGER_BYTES_MAX, LINGER_TIMEOUT};
pub use pace::TAKE_TIMEOUT;
pub use permits::{HOP_MARGIN, Permit, Permits, Refusal};
pub use sockets::{Accepting, BACKLOG, Listening, OpenError, connected};
pub use table::{Doors, Opened};

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::sync::watch;

use crate::base::body::Body;
use crate::base::task::LocalBox;
use crate::base::worker::Queues;
use crate::live::LiveListener;
use crate::session::Conn;

/// Who answers the requests; called on the connection's worker.
pub trait House: Send + Sync + 'static {
    /// Answers a request. For a WebSocket the answer is the 101, which HTTP/2 spells 200; then on
    /// HTTP/1.1 hyper's `OnUpgrade` of the request gives `TokioIo<Transport>` back.
    fn answer(&self, conn: &Rc<Conn>, request: Request<Body>) -> LocalBox<Response<Body>>;
}

/// A listening socket in use. The workers' accept loops share it; the last one to go closes it.
struct Door {
    listening: Arc<Listening>,
    /// Whose the socket was, when it was inherited.
    origin: Option<Origin>,
    /// Swapped by a reload: certificates are renewed without touching a connection.
    facing: ArcSwap<LiveListener>,
    /// Connections between accept and the end of their TLS handshake.
    handshakes: Arc<permits::InFlight>,
    /// Heard by the accept loops only: when all have ended, nobody hears it.
    gate: watch::Sender<Gate>,
    /// Heard by the connections. They may outlive the door.
    closing: watch::Sender<Closing>,
}

/// Whether connections are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gate {
    Open,
    /// What waits in the queue is another process's.
    Paused,
    /// What waits in the queue is accepted, and then no more.
    Closed,
}

/// What a connection hears of its listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    No,
    /// Another process accepts now. This one serves on, and has clients make their next connection
    /// as soon as they can without losing a request.
    Passed,
    /// The listener is closed: connections finish the request they are at.
    Now,
}

/// What every connection needs.
struct Shared {
    house: Arc<dyn House>,
    permits: Arc<Permits>,
    queues: Queues,
}

#[cfg(test)]
mod tests;
