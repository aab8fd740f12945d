//! What a client's bytes go over, and reading frames from it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::codec::Frames;

/// Bytes of one read, of clients and backend.
const READ_BYTES: usize = 256 * 1024;

/// Most bytes of an HTTP head.
const HEAD_BYTES_MAX: usize = 4_096;

thread_local! {
    /// Where everything is read into: thousands of idle sessions live in this process.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connected client's stream.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// One read, its frames told to `done` with opcode and, for control frames, the whole frame.
/// Returns how many bytes came; 0 at the end of the stream.
pub async fn read_frames(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    frames: &mut Frames,
    mut done: impl FnMut(u8, &[u8]),
) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut room = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
            frames.take(room.filled(), &mut done);
            Poll::Ready(Ok(room.filled().len()))
        })
    })
    .await
}

/// Reads an HTTP head; it comes back, and what follows it.
pub async fn read_head(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            if head.starts_with(b"HTTP/1.1 ") && !head.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
            }
            let rest = head.split_off(end + 4);
            return Ok((head, rest));
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("an endless head"));
        }
    }
}

/// A stream of HTTP/2, read and written like a connection.
pub struct H2Stream {
    sending: h2::SendStream<Bytes>,
    receiving: h2::RecvStream,
    unread: Bytes,
}

impl H2Stream {
    /// A stream from its halves.
    pub fn new(sending: h2::SendStream<Bytes>, receiving: h2::RecvStream) -> H2Stream {
        H2Stream { sending, receiving, unread: Bytes::new() }
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            match ready!(this.receiving.poll_data(cx)) {
                Some(data) => this.unread = data.map_err(io::Error::other)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let read = this.unread.len().min(room.remaining());
        room.put_slice(&this.unread[..read]);
        this.unread.advance(read);
        // It fails for more than was received only.
        let _ = this.receiving.flow_control().release_capacity(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.sending.reserve_capacity(bytes.len());
        while this.sending.capacity() == 0 {
            match ready!(this.sending.poll_capacity(cx)) {
                Some(room) => drop(room.map_err(io::Error::other)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let room = this.sending.capacity().min(bytes.len());
        let data = Bytes::copy_from_slice(&bytes[..room]);
        this.sending.send_data(data, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.get_mut().sending.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}
