//! A byte tunnel, as other proxies are after the handshake: TLS ends here, and bytes go through.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::backend;
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::ServerTls;
use crate::tls::{Acceptor, HTTP_1_1, Transport};

/// How long a client may take for its first byte and for TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first byte of a TLS connection (RFC 8446 §5.1); no HTTP request begins with it.
const HANDSHAKE_RECORD: u8 = 22;

/// Opens a tunnel to `backend` on this worker, for TLS and plain clients on one port.
///
/// # Errors
/// The system's; or the certificate cannot be used.
pub(super) fn open(
    listener: std::net::TcpListener,
    tls: &ServerTls,
    backend: String,
) -> io::Result<()> {
    let acceptor = Acceptor::build(tls, &[HTTP_1_1], &Arc::default()).map_err(io::Error::other)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    task::spawn("demo tunnel", accept(listener, Arc::new(acceptor), backend.into()));
    Ok(())
}

async fn accept(listener: TcpListener, acceptor: Arc<Acceptor>, backend: Arc<str>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of files, most likely: the next try must not come at once.
            tokio::time::sleep(backend::PAUSE).await;
            continue;
        };
        let (acceptor, backend) = (Arc::clone(&acceptor), Arc::clone(&backend));
        task::spawn("demo tunnel connection", async move {
            // Whoever fails, the other one reads an end: that is all a tunnel has to say.
            let _ = carry(tcp, &acceptor, &backend).await;
        });
    }
}

async fn carry(tcp: TcpStream, acceptor: &Acceptor, backend: &str) -> io::Result<()> {
    let mut client = timeout(HANDSHAKE_TIMEOUT, greet(tcp, acceptor)).await??;
    let mut upstream = TcpStream::connect(backend).await?;
    upstream.set_nodelay(true)?;
    // The point of it: a relay that knows no frames.
    #[allow(clippy::disallowed_methods)]
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

async fn greet(tcp: TcpStream, acceptor: &Acceptor) -> io::Result<Transport> {
    tcp.set_nodelay(true)?;
    let mut first = [0];
    tcp.peek(&mut first).await?;
    let socket = Socket::from(tcp);
    if first != [HANDSHAKE_RECORD] {
        return Ok(socket.into());
    }
    let accepted = acceptor.accept(socket, &[]).await;
    accepted.map(|(stream, _)| stream.into()).map_err(|error| io::Error::other(error.to_string()))
}
