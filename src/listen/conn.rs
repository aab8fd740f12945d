//! A client's connection from accept to its HTTP driver: PROXY header, then TLS, then ALPN.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::timeout;

use super::accept_queue::connected;
use super::client::HttpClient;
use super::permits::{Permit, Rejection};
use super::waiting::{Evicted, Waiting};
use super::{Endpoint, ListenContext, http1, http2, linger, proxy};
use crate::base::clock::{self, Moment};
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::Address;
use crate::live::LiveListener;
use crate::observe::metrics::HttpVersion;
use crate::session::Conn;
use crate::tls::{self, AcceptError, Acceptor, Greeting, HTTP_2, Transport};

/// A connection on its way to its worker.
pub(super) struct Arrival {
    pub(super) fd: OwnedFd,
    pub(super) peer: Option<SocketAddr>,
    /// Where its listener is bound.
    pub(super) bound: Address,
    pub(super) listener: Arc<LiveListener>,
    pub(super) permit: Permit,
    pub(super) waiting: Waiting,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) context: Arc<ListenContext>,
}

/// Starts the connection's task on this worker.
pub(super) fn start(arrival: Arrival) {
    task::spawn_boxed("conn", serve(arrival));
}

async fn serve(arrival: Arrival) {
    let Arrival { fd, peer, bound, listener, mut permit, waiting, endpoint, context } = arrival;
    // A client that has left already is not counted as rejected.
    let Ok(stream) = connected(fd, &bound) else { return };
    let arrived = Arrived { client: peer, transport: stream, tls: None };
    let ready = tokio::select! {
        // Without TLS nothing is waited for.
        biased;
        ready = prepare(arrived, &listener, &mut permit, &waiting, &endpoint, &context) => ready,
        () = waiting.evicted() => {
            return context.refusals.connection(&listener.plan.name, peer, Evicted, None);
        }
    };
    let Some(Arrived { client, transport, tls }) = ready else { return };
    waiting.idle();
    let (plan, cells) = (Arc::clone(&listener.plan), Arc::clone(&listener.cells));
    // From here on nothing of the connection keeps the acceptor.
    drop(listener);
    let permit = Rc::new(permit);
    let counted = Arc::clone(&cells);
    let conn = Conn { listener: plan, cells: counted, peer_addr: client, tls, permit };
    let client = Rc::new(HttpClient::new(conn, endpoint, waiting, context));
    if speaks_http2(&transport, &client).await {
        // On the heap: its size is not that of every connection's task.
        let _speaks = cells.raised(|cells| &cells.http[HttpVersion::Http2]);
        Box::pin(http2::drive(transport, Rc::clone(&client), &cells)).await;
    } else {
        let _speaks = cells.raised(|cells| &cells.http[HttpVersion::Http1]);
        http1::drive(transport, Rc::clone(&client)).await;
    }
    if client.waiting().is_evicted() {
        let conn = client.conn();
        let refusals = &client.context().refusals;
        refusals.connection(&conn.listener.name, conn.peer_addr, Evicted, None);
    }
}

/// A connection before HTTP, and what is known of it.
struct Arrived<T> {
    client: Option<SocketAddr>,
    transport: T,
    tls: Option<Greeting>,
}

/// What comes before HTTP: the PROXY header, and TLS. `None` where either was refused or failed,
/// which is counted and logged here.
async fn prepare(
    arrived: Arrived<Socket>,
    listener: &LiveListener,
    permit: &mut Permit,
    waiting: &Waiting,
    endpoint: &Endpoint,
    context: &ListenContext,
) -> Option<Arrived<Transport>> {
    let Arrived { mut client, mut transport, .. } = arrived;
    let refuse = |client, rejection| refuse(listener, context, client, rejection);
    if let Some(proxy) = &listener.plan.proxy_protocol {
        let header = match proxy::receive(&mut transport, client, proxy).await {
            Ok(header) => header,
            Err(rejection) => return refuse(client, rejection),
        };
        if header.source.is_some() {
            client = header.source;
        }
        let network = listener.plan.client_network(client);
        if let Err(rejection) = context.permits.is_of(permit, network) {
            return refuse(client, rejection);
        }
        waiting.is_of(network);
    }
    let Some(acceptor) = &listener.acceptor else {
        let transport = Transport::Plain(transport);
        return Some(Arrived { client, transport, tls: None });
    };
    // On the heap: its size is not that of every connection's task.
    let arrived = Arrived { client, transport, tls: None };
    Box::pin(secure(arrived, acceptor, listener, waiting, endpoint, context)).await
}

/// What comes before HTTP where that is secured: the client's ClientHello, and all that follows it.
async fn secure(
    arrived: Arrived<Socket>,
    acceptor: &Acceptor,
    listener: &LiveListener,
    waiting: &Waiting,
    endpoint: &Endpoint,
    context: &ListenContext,
) -> Option<Arrived<Transport>> {
    let Arrived { client, transport, .. } = arrived;
    let name = &*listener.plan.name;
    let network = listener.plan.client_network(client);
    let deadline = clock::now().after(listener.plan.limits.tls_handshake_timeout);
    let fail = |error: &AcceptError| {
        listener.cells.tls_failures.count(error);
        context.refusals.connection(name, client, error, Some(error));
    };
    // What is scarce is work: a client that has not sent its ClientHello costs none.
    if timeout(left(deadline), tls::client_hello(&transport)).await.is_err() {
        fail(&AcceptError::Timeout);
        return None;
    }
    waiting.busy();
    let Some(_share) = endpoint.handshakes.try_take(network) else {
        return refuse(listener, context, client, Rejection::Handshakes);
    };
    if listener.plan.tls.as_ref().is_some_and(|tls| !tls.acme.is_empty())
        && let Some(name) = tls::challenged_name(&transport).await
        && let Some(answering) = context.handler.challenged(name, network).await
    {
        let answered = timeout(left(deadline), answering.accept(transport, &[])).await;
        if let Err(error) = answered.unwrap_or(Err(AcceptError::Timeout)) {
            fail(&error);
        }
        // The authority has seen what it wanted to see (RFC 8737 §3).
        return None;
    }
    let accepted = timeout(left(deadline), acceptor.accept(transport, &[])).await;
    match accepted.unwrap_or(Err(AcceptError::Timeout)) {
        Ok((stream, greeting)) => {
            listener.cells.tls_handshakes.inc();
            let (transport, tls) = (Transport::Tls(stream), Some(greeting));
            Some(Arrived { client, transport, tls })
        }
        Err(error) => {
            fail(&error);
            if let AcceptError::PlainHttp(socket) = error {
                linger::say(Transport::Plain(socket), http1::PLAIN_ON_TLS).await;
            }
            None
        }
    }
}

/// Counts and logs that a connection is closed at once.
fn refuse<T>(
    listener: &LiveListener,
    context: &ListenContext,
    client: Option<SocketAddr>,
    rejection: Rejection,
) -> Option<T> {
    listener.cells.refused.count(rejection);
    context.refusals.connection(&listener.plan.name, client, rejection, None);
    None
}

fn left(deadline: Moment) -> std::time::Duration {
    deadline.since(clock::now())
}

/// Whether the connection's driver is HTTP/2's: as ALPN has agreed, or by prior knowledge.
async fn speaks_http2(transport: &Transport, client: &HttpClient) -> bool {
    let conn = client.conn();
    match &conn.tls {
        Some(tls) => tls.alpn == Some(HTTP_2),
        None if conn.listener.http2.is_some() => {
            let wait = conn.listener.limits.head_timeout;
            drop(conn);
            tokio::select! {
                is_begun = http2::is_begun(transport.socket(), wait) => is_begun,
                // The driver is told the same, and closes.
                () = client.waiting().evicted() => false,
            }
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function's future takes.
    fn future_size<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_takes_little_room() {
        // It is made, copied and kept for each: what not all need is on the heap by itself.
        let size = future_size(serve);
        assert!(size <= 2200, "{size}");
    }
}
