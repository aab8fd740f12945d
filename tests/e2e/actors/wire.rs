//! A connected stream, plain or TLS, with room for bytes read ahead.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

use super::within;

/// A stream that still knows its socket.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket below.
    fn socket(&self) -> SockRef<'_>;
}

impl Io for TcpStream {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Io for UnixStream {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl<S: Io + AsFd> Io for client::TlsStream<S> {
    fn socket(&self) -> SockRef<'_> {
        self.get_ref().0.socket()
    }
}

impl<S: Io + AsFd> Io for server::TlsStream<S> {
    fn socket(&self) -> SockRef<'_> {
        self.get_ref().0.socket()
    }
}

/// Read through a buffer, so that a head's end and the bytes behind it come apart; written through.
pub type Wire = BufReader<Box<dyn Io>>;

/// Closes at once with a reset (RFC 9293 §3.10.7.4), whatever is on its way.
pub fn reset(wire: Wire) {
    wire.get_ref().socket().set_linger(Some(Duration::ZERO)).unwrap();
}

/// All that comes until the stream ends, orderly or by a reset.
pub async fn drain(wire: &mut Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends the stream just as well; what came before it is in `bytes`.
    let _ = within("the end of a stream", wire.read_to_end(&mut bytes)).await;
    bytes
}
