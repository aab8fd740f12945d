//! A connected stream socket, TCP or unix, with the few system calls a proxy needs beyond reading
//! and writing.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What is not acknowledged, and what of that was not even sent (linux/sockios.h).
const SIOCOUTQ: libc::Ioctl = libc::TIOCOUTQ;
const SIOCOUTQNSD: libc::Ioctl = 0x894b;

/// A connected stream socket registered with this worker's reactor.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
}

impl Socket {
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
        match self {
            Socket::Tcp(_) => Ok(self.unacknowledged()?.saturating_sub(self.queue(SIOCOUTQNSD)?)),
            Socket::Unix(_) => Ok(0),
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
        match self {
            Socket::Tcp(tcp) => tcp.try_io(Interest::WRITABLE, || {
                socket2::SockRef::from(tcp).send_with_flags(bytes, flags)
            }),
            Socket::Unix(unix) => unix.try_write(bytes),
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
            let ready = match self {
                Socket::Tcp(tcp) => tcp.ready(Interest::READABLE).await?,
                Socket::Unix(unix) => unix.ready(Interest::READABLE).await?,
            };
            let look = || {
                let seen = self.peek_now(begin)?;
                let come = usize::try_from(self.queue(libc::FIONREAD)?).unwrap_or(usize::MAX);
                match ready.is_read_closed() || is_enough(&begin[..seen], come.max(seen)) {
                    true => Ok(seen),
                    // What is there is known now: the next arrival is what is waited for.
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            };
            let looked = match self {
                Socket::Tcp(tcp) => tcp.try_io(Interest::READABLE, look),
                Socket::Unix(unix) => unix.try_io(Interest::READABLE, look),
            };
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                looked => return looked,
            }
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

    /// Whether the last read error tells of a reset rather than of an orderly end.
    pub fn is_reset(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut
        )
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(tcp) => tcp.as_fd(),
            Socket::Unix(unix) => unix.as_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Socket::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Kernel sockets have no buffer of ours to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::AsyncWriteExt;

    use super::*;

    fn pair() -> (Socket, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Socket::Unix(near), far)
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
    async fn an_end_is_seen_behind_what_came() {
        let (near, mut far) = pair();
        far.write_all(b"a").await.unwrap();
        drop(far);
        let mut begin = [0; 3];
        assert_eq!(near.peek_until(&mut begin, |_, _| false).await.unwrap(), 1);
    }
}
