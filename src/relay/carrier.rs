//! What carries a side: a connection of its own, or one stream of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::Transport;

use super::stream::Stream;

/// A connection or a stream, read and written alike. Dropping it closes it.
pub enum Carrier {
    /// TCP, a unix socket, or TLS on them.
    Connection(Transport),
    /// A stream of HTTP/2; on the heap, since most sessions have none.
    Stream(Box<Stream>),
    /// A socket of the simulation's.
    #[cfg(test)]
    Simulated(Box<dyn Simulated>),
}

/// What the simulation's sockets do.
#[cfg(test)]
pub trait Simulated {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    fn finish(&mut self) -> io::Result<()>;
    fn unacknowledged(&self) -> u32;
    fn close(self: Box<Self>, reset: bool);
}

impl From<Transport> for Carrier {
    fn from(transport: Transport) -> Carrier {
        Carrier::Connection(transport)
    }
}

impl From<Stream> for Carrier {
    fn from(stream: Stream) -> Carrier {
        Carrier::Stream(Box::new(stream))
    }
}

impl Carrier {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Carrier::Connection(transport) => Pin::new(transport).poll_read(cx, room),
            Carrier::Stream(stream) => stream.poll_read(cx, room),
            #[cfg(test)]
            Carrier::Simulated(socket) => socket.poll_read(cx, room),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Carrier::Connection(transport) => Pin::new(transport).poll_write(cx, bytes),
            Carrier::Stream(stream) => stream.poll_write(cx, bytes),
            #[cfg(test)]
            Carrier::Simulated(socket) => socket.poll_write(cx, bytes),
        }
    }

    /// Writes bytes behind which the end follows at once.
    pub(super) fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Carrier::Connection(transport) => transport.poll_write_last(cx, bytes),
            Carrier::Stream(stream) => stream.poll_write(cx, bytes),
            #[cfg(test)]
            Carrier::Simulated(socket) => socket.poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Connection(transport) => Pin::new(transport).poll_flush(cx),
            Carrier::Stream(_) => Poll::Ready(Ok(())),
            #[cfg(test)]
            Carrier::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends what is sent; what is received goes on.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Connection(transport) => Pin::new(transport).poll_shutdown(cx),
            Carrier::Stream(stream) => Poll::Ready(stream.finish()),
            #[cfg(test)]
            Carrier::Simulated(socket) => Poll::Ready(socket.finish()),
        }
    }

    /// Whether nothing is kept that `poll_flush` would send. A stream's connection sends by itself.
    pub(super) fn is_flushed(&self) -> bool {
        match self {
            Carrier::Connection(transport) => transport.is_flushed(),
            Carrier::Stream(_) => true,
            #[cfg(test)]
            Carrier::Simulated(_) => true,
        }
    }

    /// Bytes it took that the peer's kernel has not acknowledged. Of a stream that is not known: it
    /// has taken only what its receiver gave room for, so that its peer's life shows in room given.
    pub(super) fn unacknowledged(&self) -> u32 {
        match self {
            // A socket that cannot be asked is gone, which its reader will find.
            Carrier::Connection(transport) => transport.socket().unacknowledged().unwrap_or(0),
            Carrier::Stream(_) => 0,
            #[cfg(test)]
            Carrier::Simulated(socket) => socket.unacknowledged(),
        }
    }

    /// Of the bytes not acknowledged those that are on their way, or lost on it. None, as far as is
    /// known, on a stream.
    pub(super) fn in_flight(&self) -> u32 {
        match self {
            Carrier::Connection(transport) => transport.socket().in_flight().unwrap_or(0),
            Carrier::Stream(_) => 0,
            #[cfg(test)]
            Carrier::Simulated(_) => 0,
        }
    }

    /// Whether its keys are used up, or nearly.
    pub(super) fn is_worn(&self) -> bool {
        match self {
            Carrier::Connection(transport) => transport.is_worn(),
            Carrier::Stream(stream) => stream.is_worn(),
            #[cfg(test)]
            Carrier::Simulated(_) => false,
        }
    }

    /// Closes both ways, with a reset or in order.
    pub(super) fn close(self, cx: &mut Context<'_>, reset: bool) {
        match self {
            Carrier::Connection(transport) if reset => transport.reset_on_drop(),
            Carrier::Connection(mut transport) => transport.say_close(cx),
            Carrier::Stream(stream) => stream.close(reset),
            #[cfg(test)]
            Carrier::Simulated(socket) => socket.close(reset),
        }
    }
}
