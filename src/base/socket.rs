//! A connected stream socket, TCP or unix, with the few system calls a proxy needs beyond reading
//! and writing.

use std::future::Future;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What is not acknowledged, and what of that was not even sent (linux/sockios.h).
const SIOCOUTQ: libc::Ioctl = libc::TIOCOUTQ;
const SIOCOUTQNSD: libc::Ioctl = 0x894b;

/// A connected stream socket registered with this worker's reactor.
#[derive(Debug)]
pub struct Socket(SocketKind);

/// The process at the other end of a unix socket, as it was when it connected (`SO_PEERCRED`,
/// unix(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerProcess {
    /// Its user.
    pub uid: u32,
    /// Its process id, where the system tells it.
    pub pid: Option<i32>,
}

/// Beside each stream, where the enum's tag leaves room for it: whether bytes may wait that the
/// reactor tells nothing of. See [`Socket::poll_peer_end`].
#[derive(Debug)]
enum SocketKind {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream, AtomicBool),
    /// A unix stream socket.
    Unix(UnixStream, AtomicBool),
}

/// The same call on whichever stream it is.
macro_rules! on_kind {
    ($kind:expr, $stream:ident => $call:expr) => {
        match $kind {
            SocketKind::Tcp($stream, _) => $call,
            SocketKind::Unix($stream, _) => $call,
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Socket {
        Socket(SocketKind::Tcp(tcp, AtomicBool::new(false)))
    }
}

impl From<UnixStream> for Socket {
    fn from(unix: UnixStream) -> Socket {
        Socket(SocketKind::Unix(unix, AtomicBool::new(false)))
    }
}

impl Socket {
    /// The same, just accepted: its peer may have spoken already, so that its first read asks the
    /// system, before the reactor tells of anything.
    pub fn accepted(self) -> Socket {
        self.has_unheard().store(true, Relaxed);
        self
    }

    /// The process at the other end; `None` over TCP.
    pub fn peer_process(&self) -> Option<PeerProcess> {
        let SocketKind::Unix(unix, _) = &self.0 else { return None };
        let credentials = unix.peer_cred().ok()?;
        Some(PeerProcess { uid: credentials.uid(), pid: credentials.pid() })
    }

    /// Bytes handed to the kernel that the peer has not acknowledged (`SIOCOUTQ`, tcp(7); for a
    /// unix socket, not yet read by the peer).
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn unacknowledged(&self) -> io::Result<u32> {
        self.queue(SIOCOUTQ)
    }

    /// Of the bytes not acknowledged those that the kernel has sent (all but `SIOCOUTQNSD`,
    /// tcp(7)). To a peer that gives no room none are, however much waits. Always 0 for a unix
    /// socket.
    ///
    /// # Errors
    /// The system's, when the socket is gone.
    pub fn in_flight(&self) -> io::Result<u32> {
        match self.0 {
            SocketKind::Tcp(..) => {
                Ok(self.unacknowledged()?.saturating_sub(self.queue(SIOCOUTQNSD)?))
            }
            SocketKind::Unix(..) => Ok(0),
        }
    }

    /// Bytes in the queue that `request` asks for.
    fn queue(&self, request: libc::Ioctl) -> io::Result<u32> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the fd is open while `self` lives, and these requests write one c_int through the
        // pointer, which is valid for that long.
        let done = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), request, &mut bytes) };
        if done == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(u32::try_from(bytes).unwrap_or(0))
    }

    /// Writes bytes behind which the stream's end follows at once: the system keeps the last of
    /// them for it, so that both go in one segment (`MSG_MORE`, send(2)).
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when it takes none now.
    pub fn try_write_last(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
        match &self.0 {
            SocketKind::Tcp(tcp, _) => tcp.try_io(Interest::WRITABLE, || {
                socket2::SockRef::from(tcp).send_with_flags(bytes, flags)
            }),
            SocketKind::Unix(unix, _) => unix.try_write(bytes),
        }
    }

    /// Waits until `is_enough` is true of what has come, without taking any of it: its first bytes,
    /// as many as fit in `begin`, and how many there are. Also returns when no more can come. It is
    /// woken by bytes that arrive, never by those that wait.
    ///
    /// # Errors
    /// The system's.
    pub async fn peek_until(
        &self,
        begin: &mut [u8],
        is_enough: impl Fn(&[u8], usize) -> bool,
    ) -> io::Result<usize> {
        loop {
            let ready = on_kind!(&self.0, stream => stream.ready(Interest::READABLE).await?);
            let look = || {
                let seen = self.peek_now(begin)?;
                let come = usize::try_from(self.queue(libc::FIONREAD)?).unwrap_or(usize::MAX);
                match ready.is_read_closed() || is_enough(&begin[..seen], come.max(seen)) {
                    true => Ok(seen),
                    // What is there is known now: the next arrival is what is waited for.
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            };
            match on_kind!(&self.0, stream => stream.try_io(Interest::READABLE, look)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                looked => return looked,
            }
        }
    }

    /// Waits until the peer has closed its side, or reset the connection, however much of what it
    /// sent before waits unread.
    ///
    /// The reactor tells of an end and of bytes alike, and once for each. So what waits is taken as
    /// told, for the next event to be heard, and the next read asks the system itself.
    pub fn poll_peer_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Pending where nothing has happened since this was asked last, which is the rule.
            let readable = on_kind!(&self.0, stream => stream.poll_read_ready(cx));
            if ready!(readable).is_err() || self.is_peer_end_seen() {
                return Poll::Ready(());
            }
            let told = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
            let _ = on_kind!(&self.0, stream => stream.try_io(Interest::READABLE, told));
            self.has_unheard().store(true, Relaxed);
        }
    }

    fn has_unheard(&self) -> &AtomicBool {
        match &self.0 {
            SocketKind::Tcp(_, has_unheard) | SocketKind::Unix(_, has_unheard) => has_unheard,
        }
    }

    /// Whether the reactor has told of the peer's end.
    fn is_peer_end_seen(&self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let polled = on_kind!(&self.0, stream => pin!(stream.ready(Interest::READABLE)).poll(cx));
        matches!(polled, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Reads what the reactor tells nothing of; `None` when there was nothing.
    fn read_unheard(&self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let socket = socket2::SockRef::from(self);
        let room = buf.initialize_unfilled();
        match (&*socket).read(room) {
            Ok(read) => {
                // What filled the room may have more behind it.
                self.has_unheard().store(read == room.len(), Relaxed);
                buf.advance(read);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.has_unheard().store(false, Relaxed);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Copies what is there without taking it.
    fn peek_now(&self, into: &mut [u8]) -> io::Result<usize> {
        // SAFETY: a `MaybeUninit<u8>` may hold any initialized byte, and `peek` writes no
        // uninitialized ones into it.
        let into = unsafe { &mut *(&raw mut *into as *mut [MaybeUninit<u8>]) };
        socket2::SockRef::from(self).peek(into)
    }

    /// Makes the next close a reset: the peer learns that bytes were lost (RFC 9293 §3.10.7.4).
    pub fn reset_on_drop(&self) {
        // A socket that is already gone needs no reset.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        on_kind!(&self.0, stream => stream.as_fd())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_unheard().load(Relaxed)
            && let Some(read) = self.read_unheard(buf)
        {
            return Poll::Ready(read);
        }
        on_kind!(&mut self.get_mut().0, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_kind!(&mut self.get_mut().0, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_kind!(&mut self.get_mut().0, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Kernel sockets have no buffer of ours to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_kind!(&mut self.get_mut().0, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Socket, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Socket::from(near), far)
    }

    #[tokio::test]
    async fn what_came_is_looked_at_once_per_arrival() {
        let (near, mut far) = pair();
        let looks = Cell::new(0);
        let peek = async {
            let mut begin = [0; 3];
            let is_enough = |begin: &[u8], come| {
                looks.set(looks.get() + 1);
                begin.len() == 3 && come >= 4
            };
            let seen = near.peek_until(&mut begin, is_enough).await.unwrap();
            begin[..seen].to_vec()
        };
        let write = async {
            for byte in b"abcd" {
                far.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        let (seen, ()) = tokio::join!(peek, write);
        assert_eq!(seen, b"abc");
        assert!(looks.get() <= 6, "{} looks at four arrivals", looks.get());
    }

    #[tokio::test]
    async fn what_came_before_a_socket_was_accepted_is_read_at_once() {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        for end in [&near, &far] {
            end.set_nonblocking(true).unwrap();
        }
        let mut far = UnixStream::from_std(far).unwrap();
        far.write_all(b"early").await.unwrap();
        // The reactor is not asked in between.
        let mut near = Socket::from(UnixStream::from_std(near).unwrap()).accepted();
        let mut room = [0; 9];
        let mut room = ReadBuf::new(&mut room);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut near).poll_read(cx, &mut room).is_ready());
        assert_eq!(room.filled(), b"early");
        assert!(Pin::new(&mut near).poll_read(cx, &mut room).is_pending());
        let late = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            far.write_all(b"late").await.unwrap();
        };
        let mut read = [0; 9];
        let (read_bytes, ()) = tokio::join!(near.read(&mut read), late);
        assert_eq!(&read[..read_bytes.unwrap()], b"late");
    }

    #[tokio::test]
    async fn an_end_is_seen_behind_what_came() {
        let (near, mut far) = pair();
        far.write_all(b"a").await.unwrap();
        drop(far);
        let mut begin = [0; 3];
        assert_eq!(near.peek_until(&mut begin, |_, _| false).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn the_peers_end_is_seen_behind_bytes_that_are_read_all_the_same() {
        let (mut near, mut far) = pair();
        let end = |near: &Socket, cx: &mut Context<'_>| near.poll_peer_end(cx);
        assert!(poll_fn(|cx| Poll::Ready(end(&near, cx))).await.is_pending());
        far.write_all(&[7; 10]).await.unwrap();
        near.peek_until(&mut [0; 1], |_, come| come >= 10).await.unwrap();
        assert!(poll_fn(|cx| Poll::Ready(end(&near, cx))).await.is_pending());
        // In pieces: the first read leaves some behind it.
        for length in [4, 6] {
            let mut read = [0; 6];
            assert_eq!(near.read(&mut read[..length]).await.unwrap(), length);
        }
        assert!(poll_fn(|cx| Poll::Ready(end(&near, cx))).await.is_pending());
        far.write_all(b"late").await.unwrap();
        let mut late = [0; 9];
        assert_eq!(near.read(&mut late).await.unwrap(), 4);
        far.write_all(b"last").await.unwrap();
        let gone = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(far);
        };
        tokio::join!(poll_fn(|cx| end(&near, cx)), gone);
        assert_eq!(near.read(&mut late).await.unwrap(), 4);
        assert_eq!(near.read(&mut late).await.unwrap(), 0);
    }
}
