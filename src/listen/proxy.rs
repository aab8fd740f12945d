//! The PROXY header (versions 1 and 2), received before anything else and without reading a byte
//! too many: what follows may be a TLS record.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::permits::Rejection;
use crate::base::socket::Socket;
use crate::config::plan::ProxyProtocol;
use crate::wire::proxy::{self, Parsed, ProxyHeader, V2_BYTES_MAX};

/// Reads the header.
///
/// # Errors
/// When the peer is not trusted, the header does not parse, or is not there in time.
pub(super) async fn receive(
    socket: &mut Socket,
    peer: Option<SocketAddr>,
    expected: &ProxyProtocol,
) -> Result<ProxyHeader, Rejection> {
    if !expected.trusted.contains(peer.map(|peer| peer.ip())) {
        return Err(Rejection::ProxyUntrusted);
    }
    match timeout(expected.timeout, read(socket)).await {
        Ok(header) => header,
        Err(_) => Err(Rejection::ProxyTimeout),
    }
}

async fn read(socket: &mut Socket) -> Result<ProxyHeader, Rejection> {
    let mut held = Vec::new();
    loop {
        let more = match proxy::parse(&held) {
            Parsed::Header(header) => return Ok(header),
            Parsed::Incomplete { more } if held.len() + more <= V2_BYTES_MAX => more,
            Parsed::Incomplete { .. } | Parsed::Invalid(_) => return Err(Rejection::ProxyInvalid),
        };
        let filled = held.len();
        held.resize(filled + more, 0);
        let read = socket.read_exact(&mut held[filled..]).await;
        read.map_err(|_| Rejection::ProxyInvalid)?;
    }
}
