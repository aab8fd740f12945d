//! One question to one backend: can it do its work?
//!
//! **In:** a pool's rules for it, and one of its backends. **Out:** what came of it, in time and
//! after so many bytes at most, whatever the backend does. **Never here:** when a backend is asked,
//! and what follows from its answer; anything of a client's.

mod frames;
mod http;
mod probe_error;
mod websocket;

pub use probe_error::ProbeError;

use ::http::header::USER_AGENT;
use ::http::{HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt as _;

use crate::base::clock;
use crate::config::plan::{BackendAddress, Probe, ProbeCheck, ProbeRequest};
use crate::pool::{Backend, Pool};
use crate::tls::Transport;
use websocket::OpenWebSocket;

/// What backends read in `User-Agent`.
const AGENT: HeaderValue = HeaderValue::from_static("tidegate-probe");

/// A probe that was passed, and what there is to be closed of it.
pub struct PassedProbe(Remains);

enum Remains {
    Connection(Transport),
    WebSocket(Box<OpenWebSocket>),
    Nothing,
}

impl PassedProbe {
    /// Closes what is open, as the other end expects it: a WebSocket with 1000, whose answer is
    /// waited for, but not long.
    pub async fn close(self) {
        match self.0 {
            Remains::Connection(mut transport) => {
                // The other end may have closed first.
                let closed = transport.shutdown();
                let _ = clock::by(clock::now().after(websocket::CLOSE_WAIT), closed).await;
            }
            Remains::WebSocket(open) => open.close().await,
            Remains::Nothing => {}
        }
    }
}

/// Asks a backend; everything together within the probe's `timeout`.
///
/// # Errors
/// What was wrong.
pub async fn probe(
    pool: &Pool,
    backend: &Backend,
    rules: &Probe,
) -> Result<PassedProbe, ProbeError> {
    let due = clock::now().after(rules.timeout);
    let asked = async {
        let transport = pool.dial_for_probe(backend).await.map_err(ProbeError::Dial)?;
        let remains = match &rules.check {
            ProbeCheck::Tcp => Remains::Connection(transport),
            ProbeCheck::Http { request, status, body } => {
                let fields = fields(request, backend.target());
                http::get(transport, &request.target, &fields, status, body.as_ref()).await?;
                Remains::Nothing
            }
            ProbeCheck::WebSocket { request, pong, message } => {
                let fields = fields(request, backend.target());
                let mut open = OpenWebSocket::open(transport, &request.target, &fields).await?;
                open.hear(*pong, message.as_ref()).await?;
                Remains::WebSocket(Box::new(open))
            }
        };
        Ok(PassedProbe(remains))
    };
    clock::by(due, asked).await.unwrap_or(Err(ProbeError::Timeout(rules.timeout)))
}

fn fields(request: &ProbeRequest, address: &BackendAddress) -> [(HeaderName, HeaderValue); 2] {
    let own = || match address {
        BackendAddress::Inet { .. } => HeaderValue::try_from(address.to_string()).ok(),
        // As who dials a unix socket mostly does.
        BackendAddress::Unix(_) => None,
    };
    let host = request.host.clone().or_else(own);
    let host = host.unwrap_or(HeaderValue::from_static("localhost"));
    [(::http::header::HOST, host), (USER_AGENT, AGENT)]
}
