//! A client's connection from accept to its HTTP driver: PROXY header, then TLS, then ALPN.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::permits::{Flight, Permit, Refusal};
use super::{Door, Facing, Shared, http1, linger, proxy};
use crate::base::clock::{self, Moment};
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::{Address, Listener};
use crate::tls::{AcceptError, Greeting, Transport};

/// What is known of a client's connection before any request.
pub struct Conn {
    /// The listener it came in by, as configured at that moment.
    pub listener: Arc<Listener>,
    /// Who connected, after a PROXY header; `None` is the peer of a unix socket.
    pub client: Option<SocketAddr>,
    /// The address it connected to, after a PROXY header; `None` on a unix socket.
    pub local: Option<SocketAddr>,
    /// What its TLS handshake agreed on; `None` without TLS.
    pub tls: Option<Greeting>,
    /// When it was accepted.
    pub opened: Moment,
    /// The connection's place. What outlives the connection as its session takes a share of this
    /// one, not of the `Conn`: that would keep old certificates in memory.
    pub permit: Rc<dyn Any>,
}

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) fd: OwnedFd,
    pub(super) peer: Option<SocketAddr>,
    pub(super) facing: Arc<Facing>,
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
    let Ok(mut socket) = register(fd, door.listening.bound()) else { return Ok(()) };
    let limits = &facing.plan.limits;
    let flight = door.handshakes.enter(limits.handshakes_in_flight_max);
    let flight = flight.ok_or(Refusal::Handshakes)?;
    let (mut client, mut local) = (peer, local_address(&socket));
    if let Some(proxy) = &facing.plan.proxy_protocol {
        let header = proxy::receive(&mut socket, peer, proxy).await?;
        if header.source.is_some() {
            (client, local) = (header.source, header.destination);
        }
    }
    if let Some(client) = client {
        shared.permits.count_address(&mut permit, client.ip())?;
    }
    let Some((transport, tls)) = secure(socket, &facing, flight).await else { return Ok(()) };
    let listener = Arc::clone(&facing.plan);
    // From here on nothing of the connection keeps the acceptor.
    drop(facing);
    let conn = Conn { listener, client, local, tls, opened, permit: Rc::new(permit) };
    let closing = door.closing.subscribe();
    drop(door);
    // HTTP/2's place: `conn.tls.alpn` chooses the driver.
    http1::drive(transport, Rc::new(conn), &shared, closing).await;
    Ok(())
}

fn local_address(socket: &Socket) -> Option<SocketAddr> {
    match socket {
        Socket::Tcp(tcp) => tcp.local_addr().ok(),
        Socket::Unix(_) => None,
    }
}

/// Registers an accepted socket with this worker's reactor.
fn register(fd: OwnedFd, bound: &Address) -> io::Result<Socket> {
    match bound {
        Address::Inet(_) => {
            let tcp = std::net::TcpStream::from(fd);
            tcp.set_nonblocking(true)?;
            // A relay writes whole frames; waiting for more would only delay them.
            tcp.set_nodelay(true)?;
            TcpStream::from_std(tcp).map(Socket::Tcp)
        }
        Address::Unix(_) => {
            let unix = std::os::unix::net::UnixStream::from(fd);
            unix.set_nonblocking(true)?;
            UnixStream::from_std(unix).map(Socket::Unix)
        }
    }
}

/// The TLS handshake, within its time; a plain listener's socket as it is.
async fn secure(
    socket: Socket,
    facing: &Facing,
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
