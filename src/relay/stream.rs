//! A stream of HTTP/2 as the relay reads and writes it (RFC 8441 §5): END_STREAM is what the end of
//! a connection is, RST_STREAM what its reset is.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::ReadBuf;

use crate::base::flow::{self, ConnectionFlow};
use crate::observe::metrics::GaugeGuard;

/// Bytes written at once: one frame, which with its head of nine bytes fills one record of TLS
/// (RFC 9113 §4.1, RFC 8446 §5.1). Larger copies would be made in memory that the allocator does
/// not keep at hand.
const PIECE_BYTES_MAX: usize = 16 * 1024 - 9;

/// Both ways of a stream whose answer was sent.
pub struct Stream {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    /// What is left of a frame that was longer than a read.
    unread: Bytes,
    /// What its connection has on the way to the client.
    flow: Arc<ConnectionFlow>,
    /// It is counted as open until it is dropped.
    _open: GaugeGuard,
}

impl Stream {
    /// A stream from its two halves, and its place among those open.
    pub fn new(
        sending: SendStream<Bytes>,
        receiving: RecvStream,
        flow: Arc<ConnectionFlow>,
        open: GaugeGuard,
    ) -> Stream {
        Stream { sending, receiving, unread: Bytes::new(), flow, _open: open }
    }

    /// Reads; what was read the client may send again, so that it is held back as soon as we do
    /// not read.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An empty frame is not the end.
        while self.unread.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                Some(data) => self.unread = data.map_err(lost)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let read = self.unread.len().min(room.remaining());
        room.put_slice(&self.unread[..read]);
        self.unread.advance(read);
        // It fails for more than was received only.
        let _ = self.receiving.flow_control().release_capacity(read);
        Poll::Ready(Ok(()))
    }

    /// Writes as much as the client gives room for. The bytes are copied: they wait for their turn
    /// on the connection, and are owned by none of us by then.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = bytes.len().min(PIECE_BYTES_MAX).min(ready!(self.flow.poll_room(cx)));
        let room = ready!(flow::poll_room(&mut self.sending, cx, wanted))?;
        let data = Bytes::copy_from_slice(&bytes[..room]);
        let stream = self.sending.stream_id().as_u32();
        self.flow.add(stream, room);
        if let Err(error) = self.sending.send_data(data, false) {
            self.flow.reset(stream);
            return Poll::Ready(Err(lost(error)));
        }
        Poll::Ready(Ok(room))
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.sending.send_data(Bytes::new(), true).map_err(lost)
    }

    /// Whether the keys of its connection are used up, or nearly.
    pub(super) fn is_worn(&self) -> bool {
        self.flow.is_worn()
    }

    /// Closes both ways. What was sent goes out first, unless bytes are lost.
    pub(super) fn close(mut self, reset: bool) {
        match reset {
            true => self.sending.send_reset(Reason::CANCEL),
            // It may be finished already. What the client still sends is answered by the crate
            // with a reset without error (RFC 9113 §8.1).
            false => drop(self.finish()),
        }
    }
}

/// What is known of a stream's loss: that its connection was reset or just ended, or that the
/// client gave up the stream alone.
fn lost(error: h2::Error) -> io::Error {
    match error.get_io().map(io::Error::kind) {
        Some(io::ErrorKind::BrokenPipe) => io::ErrorKind::UnexpectedEof.into(),
        Some(kind) => kind.into(),
        None => io::ErrorKind::ConnectionReset.into(),
    }
}
