//! A client's connection as hyper reads and writes it: what hyper has no words for happens here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchange::Exchange;
use crate::session::ClientEnd;
use crate::tls::Transport;

/// The connection. hyper refuses bytes of a query that clients send all the same, and sends no
/// informational answer but 100; and while bytes wait behind a request that is not answered yet, it
/// does not read, and so does not see that the client has left.
pub(super) struct ClientStream {
    transport: Transport,
    exchange: Rc<Exchange>,
    /// What was read and is hyper's to read next, its query escaped.
    first: Bytes,
    /// What was read behind it: what it is, is known when the head before it was read.
    rest: Bytes,
}

impl ClientStream {
    /// A connection of which this was read already.
    pub(super) fn new(transport: Transport, read: Bytes, exchange: Rc<Exchange>) -> ClientStream {
        ClientStream { transport, exchange, first: Bytes::new(), rest: read }
    }

    /// The connection alone.
    pub(super) fn into_transport(self) -> Transport {
        self.transport
    }

    /// The client's end of a session; `read` is what hyper has read already.
    pub(super) fn into_end(self, mut read: Vec<u8>) -> ClientEnd {
        read.extend_from_slice(&self.first);
        read.extend_from_slice(&self.rest);
        ClientEnd::Connection(self.transport, read)
    }

    /// Keeps what is to be read first apart from what is left behind it.
    fn split(&mut self, (taken, escaped): (usize, Option<Vec<u8>>)) {
        let first = self.rest.split_to(taken);
        self.first = escaped.map_or(first, Bytes::from);
    }

    /// Writes the informational answers that wait.
    fn poll_inform(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(text) = self.exchange.informational() else { return Poll::Ready(Ok(())) };
        text.borrow_mut().poll_write(&mut self.transport, cx)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() && this.rest.is_empty() {
            let known = buf.filled().len();
            ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
            let came = &buf.filled()[known..];
            let received = this.exchange.received(came);
            // Nearly always: a head and nothing behind it, or bytes that are of no head.
            if received == (came.len(), None) {
                return Poll::Ready(Ok(()));
            }
            this.rest = Bytes::copy_from_slice(came);
            buf.set_filled(known);
            this.split(received);
        } else if this.first.is_empty() {
            let received = this.exchange.received(&this.rest);
            this.split(received);
        }
        let length = this.first.len().min(buf.remaining());
        buf.put_slice(&this.first.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_inform(cx))?;
        this.exchange.writes();
        Pin::new(&mut this.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_inform(cx))?;
        this.exchange.writes();
        Pin::new(&mut this.transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    /// hyper flushes when it has written all it had, and whenever it has looked at the connection.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.exchange.flushed();
        ready!(this.poll_inform(cx))?;
        let socket = this.transport.socket();
        if this.exchange.is_pending() && socket.poll_peer_end(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut this.transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
