//! A stream between two processes that carries lines and open descriptors (unix(7), `SCM_RIGHTS`).
//!
//! The kernel keeps the order: descriptors that were sent with a line are there when the line is.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;

/// Descriptors one line can bring; the kernel's own limit is 253.
pub const FDS_PER_LINE_MAX: usize = 64;

/// Bytes of one line; who sends more is not understood.
pub const LINE_BYTES_MAX: usize = 1 << 20;

const READ_BYTES: usize = 4096;

/// What has arrived and was not taken yet.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Takes the next whole line.
    fn line(&mut self) -> io::Result<Option<String>> {
        match self.bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let rest = self.bytes.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.bytes, rest);
                line.pop();
                let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8");
                String::from_utf8(line).map(Some).map_err(wrong)
            }
            None if self.bytes.len() > LINE_BYTES_MAX => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"))
            }
            None => Ok(None),
        }
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self, from: impl AsFd) -> io::Result<bool> {
        let mut bytes = [0; READ_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_LINE_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let read = recvmsg(from, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        if read.flags.contains(ReturnFlags::CTRUNC) {
            // The limit of open files, most likely: what is missing cannot be had again.
            return Err(io::Error::other("descriptors were lost on their way"));
        }
        self.bytes.extend_from_slice(&bytes[..read.bytes]);
        Ok(read.bytes > 0)
    }

    /// Takes as many descriptors, when as many are there.
    fn take(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        (self.fds.len() >= count).then(|| self.fds.drain(..count).collect())
    }
}

/// Sends once; `fds` go with the first byte.
fn send(to: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_LINE_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors at once"));
    }
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// A link that blocks; the stream brings its own timeouts.
#[derive(Debug)]
pub struct Link {
    stream: UnixStream,
    inbox: Inbox,
}

impl Link {
    /// A link over this stream.
    pub fn new(stream: UnixStream) -> Link {
        Link { stream, inbox: Inbox::default() }
    }

    /// Sends a line, which has no newline in it, and descriptors with it.
    ///
    /// # Errors
    /// The system's, or more than [`FDS_PER_LINE_MAX`] descriptors.
    pub fn send(&self, line: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = format!("{line}\n").into_bytes();
        let mut sent = send(&self.stream, &bytes, fds)?;
        while sent < bytes.len() {
            sent += send(&self.stream, &bytes[sent..], &[])?;
        }
        Ok(())
    }

    /// The next line; `None` at the end of the stream.
    ///
    /// # Errors
    /// The system's, or what came is no line.
    pub fn receive(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.inbox.line()? {
                return Ok(Some(line));
            }
            if !self.inbox.read(&self.stream)? {
                return Ok(None);
            }
        }
    }

    /// Takes the descriptors that came with the lines so far, in order; `None` when fewer are
    /// there.
    pub fn take_fds(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        self.inbox.take(count)
    }

    /// Another handle to the same link; what has arrived stays with this one.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Link> {
        self.stream.try_clone().map(Link::new)
    }

    /// The same link on this thread's reactor.
    ///
    /// # Errors
    /// The system's.
    pub fn into_async(self) -> io::Result<AsyncLink> {
        self.stream.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(self.stream)?;
        Ok(AsyncLink { stream, inbox: self.inbox })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A link on a reactor.
#[derive(Debug)]
pub struct AsyncLink {
    stream: tokio::net::UnixStream,
    inbox: Inbox,
}

impl AsyncLink {
    /// As [`Link::send`].
    ///
    /// # Errors
    /// As [`Link::send`].
    pub async fn send(&self, line: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = format!("{line}\n").into_bytes();
        let mut sent = 0;
        while sent < bytes.len() {
            let fds = if sent == 0 { fds } else { &[] };
            let once = || send(&self.stream, &bytes[sent..], fds);
            sent += self.stream.async_io(Interest::WRITABLE, once).await?;
        }
        Ok(())
    }

    /// Sends a line if there is room for it at this moment.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when the other side does not read.
    pub fn try_send(&self, line: &str) -> io::Result<()> {
        let bytes = format!("{line}\n").into_bytes();
        self.stream.try_io(Interest::WRITABLE, || send(&self.stream, &bytes, &[])).map(drop)
    }

    /// Another handle to the same link; what has arrived stays with this one.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<AsyncLink> {
        Link::new(UnixStream::from(self.stream.as_fd().try_clone_to_owned()?)).into_async()
    }

    /// As [`Link::receive`]. When it is dropped before its end, nothing is lost.
    ///
    /// # Errors
    /// As [`Link::receive`].
    pub async fn receive(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(line) = self.inbox.line()? {
                return Ok(Some(line));
            }
            let (stream, inbox) = (&self.stream, &mut self.inbox);
            if !stream.async_io(Interest::READABLE, || inbox.read(stream)).await? {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn pair() -> (Link, Link) {
        let (one, other) = UnixStream::pair().unwrap();
        (Link::new(one), Link::new(other))
    }

    #[test]
    fn descriptors_come_with_their_lines_in_order() {
        let (one, mut other) = pair();
        let (mut far, near) = UnixStream::pair().unwrap();
        one.send("nothing", &[]).unwrap();
        one.send("two", &[near.as_fd(), near.as_fd()]).unwrap();
        drop((one, near));
        assert_eq!(other.receive().unwrap().as_deref(), Some("nothing"));
        assert_eq!(other.receive().unwrap().as_deref(), Some("two"));
        assert!(other.take_fds(3).is_none());
        let fds = other.take_fds(2).unwrap();
        for fd in &fds {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        let mut one = UnixStream::from(fds.into_iter().next().unwrap());
        one.write_all(b"!").unwrap();
        far.read_exact(&mut [0]).unwrap();
        assert_eq!(other.receive().unwrap(), None);
    }

    #[test]
    fn lines_arrive_in_pieces_and_together() {
        let (one, mut other) = pair();
        let long = "x".repeat(3 * READ_BYTES);
        one.send(&long, &[]).unwrap();
        one.send("", &[]).unwrap();
        assert_eq!(other.receive().unwrap(), Some(long));
        assert_eq!(other.receive().unwrap().as_deref(), Some(""));
    }

    #[tokio::test]
    async fn a_full_link_does_not_hold_up_who_only_tries() {
        let (one, other) = pair();
        let (one, mut other) = (one.into_async().unwrap(), other.into_async().unwrap());
        one.send("a", &[]).await.unwrap();
        assert_eq!(other.receive().await.unwrap().as_deref(), Some("a"));
        let line = "x".repeat(1000);
        let full = std::iter::repeat_with(|| one.try_send(&line)).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        while other.receive().await.unwrap().is_some() {}
    }
}
