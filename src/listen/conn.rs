//! A client's connection from accept to its HTTP driver: PROXY header, then TLS, then ALPN.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use super::permits::{HandshakeSlot, Permit, Rejection};
use super::sockets::connected;
use super::{ListenContext, ListenSocket, http1, http2, linger, proxy};
use crate::base::clock;
use crate::base::socket::Socket;
use crate::base::task;
use crate::live::LiveListener;
use crate::observe::metrics::HttpVersion;
use crate::session::Conn;
use crate::tls::{AcceptError, Greeting, HTTP_2, Transport};

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) fd: OwnedFd,
    pub(super) peer: Option<SocketAddr>,
    pub(super) listener: Arc<LiveListener>,
    pub(super) permit: Permit,
    pub(super) socket: Arc<ListenSocket>,
    pub(super) context: Arc<ListenContext>,
}

/// Starts the connection's task on this worker.
pub(super) fn start(arrival: Arrival) {
    task::spawn_boxed("conn", async move {
        let cells = Arc::clone(&arrival.listener.cells);
        if let Err(refusal) = serve(arrival).await {
            cells.refused.count(refusal);
        }
    });
}

async fn serve(arrival: Arrival) -> Result<(), Rejection> {
    let opened = clock::now();
    let Arrival { fd, peer, listener, mut permit, socket, context } = arrival;
    // A client that has left already is not counted as rejected.
    let Ok(mut stream) = connected(fd, socket.listening.bound()) else { return Ok(()) };
    let limits = &listener.plan.limits;
    let slot = socket.handshakes.enter(limits.handshakes_in_flight_max);
    let slot = slot.ok_or(Rejection::Handshakes)?;
    let mut client = peer;
    if let Some(proxy) = &listener.plan.proxy_protocol {
        let header = proxy::receive(&mut stream, peer, proxy).await?;
        if header.source.is_some() {
            client = header.source;
        }
    }
    if let Some(client) = client {
        context.permits.count_address(&mut permit, client.ip())?;
    }
    let Some((transport, tls)) = secure(stream, &listener, slot).await else { return Ok(()) };
    let (plan, cells) = (Arc::clone(&listener.plan), Arc::clone(&listener.cells));
    // From here on nothing of the connection keeps the acceptor.
    drop(listener);
    let conn = Conn { listener: plan, peer_addr: client, tls, opened, permit: Rc::new(permit) };
    let state = socket.state.subscribe();
    drop(socket);
    if speaks_http2(&transport, &conn).await {
        // On the heap: its size is not that of every connection's task.
        let _speaks = cells.raised(|cells| &cells.http[HttpVersion::Http2]);
        Box::pin(http2::drive(transport, Rc::new(conn), &cells, &context, state)).await;
    } else {
        let _speaks = cells.raised(|cells| &cells.http[HttpVersion::Http1]);
        http1::drive(transport, Rc::new(conn), &context, state).await;
    }
    Ok(())
}

/// Whether the connection's driver is HTTP/2's: as ALPN has agreed, or by prior knowledge.
async fn speaks_http2(transport: &Transport, conn: &Conn) -> bool {
    match &conn.tls {
        Some(tls) => tls.alpn == Some(HTTP_2),
        None => conn.listener.http2.is_some() && http2::is_begun(transport.socket(), conn).await,
    }
}

/// The TLS handshake, within its time; a plain listener's socket as it is.
async fn secure(
    socket: Socket,
    listener: &LiveListener,
    _slot: HandshakeSlot,
) -> Option<(Transport, Option<Greeting>)> {
    let Some(acceptor) = &listener.acceptor else { return Some((Transport::Plain(socket), None)) };
    let wait = listener.plan.limits.tls_handshake_timeout;
    let cells = &listener.cells;
    let accepted = timeout(wait, acceptor.accept(socket, &[])).await;
    match accepted.unwrap_or(Err(AcceptError::Timeout)) {
        Ok((stream, greeting)) => {
            cells.tls_handshakes.inc();
            Some((Transport::Tls(stream), Some(greeting)))
        }
        Err(error) => {
            cells.tls_failures.count(&error);
            tracing::debug!(listener = &*listener.plan.name, %error, "TLS handshake failed");
            if let AcceptError::PlainHttp(socket) = error {
                linger::say(Transport::Plain(socket), http1::PLAIN_ON_TLS).await;
            }
            None
        }
    }
}
