//! A client's connection from accept to its HTTP driver: PROXY header, then TLS, then ALPN.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use super::permits::{Flight, Permit, Refusal};
use super::sockets::connected;
use super::{Door, Shared, http1, http2, linger, proxy};
use crate::base::clock;
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::Address;
use crate::live::LiveListener;
use crate::session::Conn;
use crate::tls::{AcceptError, Greeting, HTTP_2, Transport};

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) fd: OwnedFd,
    pub(super) peer: Option<SocketAddr>,
    pub(super) facing: Arc<LiveListener>,
    pub(super) permit: Permit,
    pub(super) door: Arc<Door>,
    pub(super) shared: Arc<Shared>,
}

/// Starts the connection's task on this worker.
pub(super) fn start(arrival: Arrival) {
    task::spawn("conn", async move {
        let cells = Arc::clone(&arrival.facing.cells);
        if let Err(refusal) = serve(arrival).await {
            cells.refused.count(refusal.word());
        }
    });
}

async fn serve(arrival: Arrival) -> Result<(), Refusal> {
    let opened = clock::now();
    let Arrival { fd, peer, facing, mut permit, door, shared } = arrival;
    // A socket that is gone already is nobody's refusal.
    let Ok(mut socket) = connected(fd, door.listening.bound()) else { return Ok(()) };
    let limits = &facing.plan.limits;
    let flight = door.handshakes.enter(limits.handshakes_in_flight_max);
    let flight = flight.ok_or(Refusal::Handshakes)?;
    let mut client = peer;
    // An accepted socket has its listener's port: nobody need ask the system for it.
    let mut port = match door.listening.bound() {
        Address::Inet(bound) => Some(bound.port()),
        Address::Unix(_) => None,
    };
    if let Some(proxy) = &facing.plan.proxy_protocol {
        let header = proxy::receive(&mut socket, peer, proxy).await?;
        if header.source.is_some() {
            client = header.source;
            port = header.destination.map(|destination| destination.port());
        }
    }
    if let Some(client) = client {
        shared.permits.count_address(&mut permit, client.ip())?;
    }
    let Some((transport, tls)) = secure(socket, &facing, flight).await else { return Ok(()) };
    let listener = Arc::clone(&facing.plan);
    let cells = Arc::clone(&facing.cells);
    // From here on nothing of the connection keeps the acceptor.
    drop(facing);
    let conn = Conn { listener, client, port, tls, opened, permit: Rc::new(permit) };
    let closing = door.closing.subscribe();
    drop(door);
    if speaks_http2(&transport, &conn).await {
        // On the heap: its size is not that of every connection's task.
        let _speaks = cells.raised(|cells| &cells.http2);
        Box::pin(http2::drive(transport, Rc::new(conn), &cells, &shared, closing)).await;
    } else {
        let _speaks = cells.raised(|cells| &cells.http1);
        http1::drive(transport, Rc::new(conn), &shared, closing).await;
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
    facing: &LiveListener,
    _flight: Flight,
) -> Option<(Transport, Option<Greeting>)> {
    let Some(acceptor) = &facing.acceptor else { return Some((Transport::Plain(socket), None)) };
    let wait = facing.plan.limits.tls_handshake_timeout;
    let cells = &facing.cells;
    match timeout(wait, acceptor.accept(socket, &[])).await {
        Ok(Ok((stream, greeting))) => {
            cells.tls_handshakes.one();
            Some((Transport::Tls(stream), Some(greeting)))
        }
        Ok(Err(error)) => {
            cells.tls_failures.count(error.word());
            tracing::debug!(listener = &*facing.plan.name, %error, "TLS handshake failed");
            if let AcceptError::PlainHttp(socket) = error {
                linger::say(Transport::Plain(socket), http1::PLAIN_ON_TLS).await;
            }
            None
        }
        Err(_) => {
            cells.tls_failures.count("timeout");
            None
        }
    }
}
