//! A connection to a client or a backend, plain or TLS, read and written alike.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::base::socket::Socket;

use super::server_stream::ServerStream;

/// A connection. What is written to a TLS one may be kept in part until `poll_flush` is done.
pub enum Transport {
    /// No TLS.
    Plain(Socket),
    /// TLS from a client.
    Tls(Box<ServerStream>),
    /// TLS to a backend.
    Upstream(Box<TlsStream<Socket>>),
}

impl Transport {
    /// The socket at the bottom.
    pub fn socket(&self) -> &Socket {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(stream) => stream.socket(),
            Transport::Upstream(stream) => stream.get_ref().0,
        }
    }

    /// Makes the drop a reset: the peer learns that bytes were lost.
    pub fn reset_on_drop(&self) {
        self.socket().reset_on_drop();
    }

    /// Writes the last bytes, behind which the stream's end follows at once: with it in as few
    /// pieces as can be, a close_notify (RFC 8446 §6.1) among them over TLS from a client.
    pub fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(socket) => match socket.try_write_last(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                written => Poll::Ready(written),
            },
            Transport::Tls(stream) => stream.poll_write_last(cx, bytes),
            Transport::Upstream(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Says over TLS that nothing more is sent (close_notify, RFC 8446 §6.1), unless it was said;
    /// the stream's end is for the drop. As far as the socket takes it at once.
    pub fn say_close(&mut self, cx: &mut Context<'_>) {
        match self {
            Transport::Plain(_) => {}
            Transport::Tls(stream) => stream.say_close(cx),
            Transport::Upstream(stream) => {
                stream.get_mut().1.send_close_notify();
                let _ = Pin::new(stream).poll_flush(cx);
            }
        }
    }

    /// Whether a client's keys are used up, or nearly: its connection is to end in order. A
    /// backend's is as good as lost when it comes to that, which its user bears.
    pub fn is_worn(&self) -> bool {
        matches!(self, Transport::Tls(stream) if stream.is_worn())
    }

    /// Whether all that was written is in the kernel's hands; else `poll_flush` is owed.
    pub fn is_flushed(&self) -> bool {
        match self {
            Transport::Plain(_) => true,
            Transport::Tls(stream) => stream.engine().unsent().is_empty(),
            Transport::Upstream(stream) => !stream.get_ref().1.wants_write(),
        }
    }
}

impl From<Socket> for Transport {
    fn from(socket: Socket) -> Transport {
        Transport::Plain(socket)
    }
}

impl From<Box<ServerStream>> for Transport {
    fn from(stream: Box<ServerStream>) -> Transport {
        Transport::Tls(stream)
    }
}

/// The same call on whichever stream it is.
macro_rules! on_stream {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport.get_mut() {
            Transport::Plain($stream) => $call,
            Transport::Tls($stream) => $call,
            Transport::Upstream($stream) => $call,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
            Transport::Upstream(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
