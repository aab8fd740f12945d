//! A client's TLS connection over a socket, read and written like any stream.
//!
//! The scratch it opens and seals in belongs to the thread and is borrowed inside a poll only, so
//! an idle connection costs what rustls keeps and nothing more.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::socket::Socket;

use super::engine::{Engine, HANDSHAKE_BYTES_MAX, RECORD_BYTES_MAX, SEAL_OVERHEAD_MAX};
use super::wear::Wear;

/// Ciphertext read from a socket at once, at most; no more than the reader has room for, but always
/// a whole record.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Plaintext sealed by one write: two full records, which is also what a client that does not read
/// makes us keep for it.
pub const SEAL_BYTES_MAX: usize = 32 * 1024;

/// Bytes in which a client shows that it speaks HTTP.
const METHOD_BYTES_MAX: usize = 8;

/// What is held, and what one read adds to it.
const SCRATCH_BYTES: usize = HANDSHAKE_BYTES_MAX + RECORD_BYTES_MAX + READ_BYTES_MAX;

const _: () = assert!(SEAL_BYTES_MAX + SEAL_OVERHEAD_MAX <= SCRATCH_BYTES);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
    static GATHERED: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SEAL_BYTES_MAX));
}

/// A client's TLS connection.
///
/// - **Reading** one message costs one `recv`: a read shorter than asked for tells tokio that the
///   socket is empty. The end is clean (`Ok`, nothing read) after a close_notify; an end of the
///   socket without one is [`io::ErrorKind::UnexpectedEof`], since bytes may have been cut off
///   (RFC 8446 §6.1).
/// - **Writing** accepts up to [`SEAL_BYTES_MAX`] bytes, seals them and sends them at once. What
///   the socket did not take is kept, and nothing more is accepted until it is gone: so
///   `poll_flush` after the last write, as [`AsyncWrite`] demands.
/// - **Shutdown** sends what is kept, a close_notify, and a FIN. Reading continues.
pub struct ServerStream {
    socket: Socket,
    engine: Engine,
    wear: Wear,
}

impl ServerStream {
    pub(super) fn new(socket: Socket, engine: Engine) -> ServerStream {
        ServerStream { socket, engine, wear: Wear::default() }
    }

    /// The socket below.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// The TLS state above.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether its keys are used up, or nearly.
    pub(super) fn is_worn(&self) -> bool {
        self.wear.is_worn(self.engine.cipher_suite())
    }

    /// Writes the last bytes there are, with the close_notify behind them in one `send`.
    pub(super) fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let plain = &bytes[..bytes.len().min(SEAL_BYTES_MAX)];
        SCRATCH.with_borrow_mut(|scratch| {
            let sealed = self.engine.seal(plain, scratch).map_err(failed)?;
            self.engine.keep_unsent(&scratch[..sealed]);
            io::Result::Ok(())
        })?;
        if plain.len() == bytes.len() {
            self.engine.close();
        }
        // What the socket does not take now is kept.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(plain.len())),
        }
    }

    /// Sends a close_notify as far as the socket takes it now; an alert that it does not take is
    /// not waited for.
    pub(super) fn say_close(&mut self, cx: &mut Context<'_>) {
        self.engine.close();
        let _ = self.poll_send(cx);
    }

    /// One step of the handshake; done when the client's Finished was read and all our answers are
    /// sent, or when the first bytes show that this is no TLS.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Spoken>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.engine.is_handshaking() {
                return Poll::Ready(Ok(Spoken::Tls));
            }
            let opened = SCRATCH.with_borrow_mut(|scratch| {
                let end = ready!(self.poll_fill(cx, scratch, 0))?;
                if self.engine.version().is_none() && looks_like_http(&scratch[..end]) {
                    return Poll::Ready(Ok(Spoken::PlainHttp));
                }
                // Without room for plaintext: what follows the handshake stays held.
                let opened = self.engine.open(&mut scratch[..end], &mut ReadBuf::new(&mut []));
                Poll::Ready(opened.map(|_| Spoken::Tls).map_err(failed))
            });
            match ready!(opened) {
                Ok(Spoken::Tls) => {}
                Ok(Spoken::PlainHttp) => return Poll::Ready(Ok(Spoken::PlainHttp)),
                Err(error) => {
                    // The alert; whoever does not take it at once is not owed more.
                    let _ = self.poll_send(cx);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Puts what is held into `scratch` and, unless a whole record is, reads from the socket behind
    /// it: as much as `room` bytes of plaintext may need. Returns where the bytes end.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        room: usize,
    ) -> Poll<io::Result<usize>> {
        let held = self.engine.held().len();
        scratch[..held].copy_from_slice(self.engine.held());
        let Some(partial) = self.engine.partial() else { return Poll::Ready(Ok(held)) };
        let want = room.clamp(RECORD_BYTES_MAX, READ_BYTES_MAX) - partial;
        let mut buf = ReadBuf::new(&mut scratch[held..held + want]);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buf))?;
        match buf.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            read => Poll::Ready(Ok(held + read)),
        }
    }

    /// Sends what is unsent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.engine.unsent().is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, self.engine.unsent()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.engine.sent(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Answers of TLS itself go out without a write of the session; a failure shows at its next.
        let _ = this.poll_send(cx);
        loop {
            if buf.remaining() == 0
                || this.engine.take_plain(buf) > 0
                || this.engine.is_peer_closed()
            {
                return Poll::Ready(Ok(()));
            }
            let opened = SCRATCH.with_borrow_mut(|scratch| {
                let end = ready!(this.poll_fill(cx, scratch, buf.remaining()))?;
                Poll::Ready(this.engine.open(&mut scratch[..end], buf).map_err(failed))
            });
            match ready!(opened) {
                Ok(0) => {}
                Ok(_) => return Poll::Ready(Ok(())),
                // We have closed already: a client that now just leaves cuts nothing off.
                Err(error)
                    if error.kind() == io::ErrorKind::UnexpectedEof && this.engine.is_closed() =>
                {
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
                    // The alert, if there is one.
                    let _ = this.poll_send(cx);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let plain = &buf[..buf.len().min(SEAL_BYTES_MAX)];
        SCRATCH.with_borrow_mut(|scratch| {
            let bytes = this.engine.seal(plain, scratch).map_err(failed)?;
            this.wear.on_sealed(plain.len());
            let sealed = &scratch[..bytes];
            let sent = match Pin::new(&mut this.socket).poll_write(cx, sealed) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            if sent < sealed.len() {
                this.engine.keep_unsent(&sealed[sent..]);
            }
            Poll::Ready(Ok(plain.len()))
        })
    }

    /// Pieces become one record and one `send`: a frame of HTTP/2 is a short head and a long
    /// payload, which on their own would be two of each. To copy them costs less.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut pieces = bufs.iter().filter(|buf| !buf.is_empty());
        let (first, second) = (pieces.next(), pieces.next());
        let (Some(first), Some(second)) = (first, second) else {
            return self.poll_write(cx, first.map_or(&[], |only| only));
        };
        GATHERED.with_borrow_mut(|gathered| {
            gathered.clear();
            for piece in [first, second].into_iter().chain(pieces) {
                let room = SEAL_BYTES_MAX - gathered.len();
                gathered.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            self.poll_write(cx, gathered)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.engine.close();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

/// What a client turned out to speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spoken {
    Tls,
    PlainHttp,
}

/// Whether a connection that begins so is HTTP in clear text: a method of capital letters, as far
/// as it is there. TLS begins with its record type, a number below 26.
pub(super) fn looks_like_http(bytes: &[u8]) -> bool {
    let method = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    let method = &method[..method.len().min(METHOD_BYTES_MAX)];
    !method.is_empty() && method.iter().all(|&byte| byte.is_ascii_uppercase() || byte == b'-')
}

fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
