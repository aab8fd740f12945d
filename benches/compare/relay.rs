//! The yardstick: a TCP relay on bare epoll, one loop, no knowledge of what passes.
//!
//! It is what a proxy's system calls cost and nothing else: one `epoll_wait` for many sockets, one
//! `recv` and one `send` per message. `compare --relay ADDRESS BACKEND` runs it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// Events of one wait.
const EVENTS_MAX: usize = 256;

const LISTENER: u64 = u64::MAX;

/// One socket of a pair.
struct End {
    socket: TcpStream,
    /// The other one's fd.
    other: RawFd,
    /// What this one could not take yet.
    tail: Vec<u8>,
    /// It sends nothing more.
    ended: bool,
}

/// Relays every connection to `address` to `backend`, until the process is killed.
pub fn run(address: SocketAddr, backend: SocketAddr) -> io::Result<()> {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(4_096)?;
    let listener: TcpListener = listener.into();
    listener.set_nonblocking(true)?;
    let mut relay = Relay { epoll: epoll()?, ends: HashMap::default() };
    relay.watch(libc::EPOLL_CTL_ADD, listener.as_raw_fd(), LISTENER, libc::EPOLLIN);
    let mut buffer = vec![0; READ_BYTES];
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
    loop {
        // SAFETY: `events` has room for EVENTS_MAX events and outlives the call.
        let count = unsafe {
            libc::epoll_wait(relay.epoll, events.as_mut_ptr(), EVENTS_MAX as libc::c_int, -1)
        };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let (what, who) = (event.events, event.u64);
            if who == LISTENER {
                while let Ok((client, _)) = listener.accept() {
                    drop(relay.open(client, backend));
                }
                continue;
            }
            let fd = who as RawFd;
            if what & libc::EPOLLOUT as u32 != 0 && relay.drain(fd).is_err() {
                relay.close(fd);
            }
            let readable = libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR;
            if what & readable as u32 != 0 && relay.forward(fd, &mut buffer).is_err() {
                relay.close(fd);
            }
        }
    }
}

fn epoll() -> io::Result<RawFd> {
    // SAFETY: it takes no pointer.
    match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(fd),
    }
}

struct Relay {
    epoll: RawFd,
    ends: HashMap<RawFd, End, Plain>,
}

/// File descriptors need no hash: a table would do, and this is as quick as one.
type Plain = std::hash::BuildHasherDefault<Same>;

#[derive(Default)]
struct Same(u64);

impl std::hash::Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_i32(&mut self, fd: i32) {
        // Spread to the bits a hash table looks at.
        self.0 = (fd as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Relay {
    fn watch(&self, how: libc::c_int, fd: RawFd, who: u64, what: libc::c_int) {
        let mut event = libc::epoll_event { events: what as u32, u64: who };
        // SAFETY: `event` lives through the call, which copies it.
        unsafe { libc::epoll_ctl(self.epoll, how, fd, &mut event) };
    }

    fn open(&mut self, client: TcpStream, backend: SocketAddr) -> io::Result<()> {
        // On loopback this does not wait.
        let upstream = TcpStream::connect(backend)?;
        let fds = [client.as_raw_fd(), upstream.as_raw_fd()];
        for (socket, other) in [(client, fds[1]), (upstream, fds[0])] {
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let fd = socket.as_raw_fd();
            self.ends.insert(fd, End { socket, other, tail: Vec::new(), ended: false });
            self.watch(libc::EPOLL_CTL_ADD, fd, fd as u64, libc::EPOLLIN);
        }
        Ok(())
    }

    /// One read, and its bytes to the other side.
    fn forward(&mut self, fd: RawFd, buffer: &mut [u8]) -> io::Result<()> {
        let Some(end) = self.ends.get_mut(&fd) else { return Ok(()) };
        let other = end.other;
        let read = match end.socket.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        if read == 0 {
            end.ended = true;
            let Some(peer) = self.ends.get(&other) else { return Ok(()) };
            if peer.ended {
                self.close(fd);
                return Ok(());
            }
            peer.socket.shutdown(Shutdown::Write)?;
            self.watch(libc::EPOLL_CTL_MOD, fd, fd as u64, 0);
            return Ok(());
        }
        let Some(peer) = self.ends.get_mut(&other) else { return Ok(()) };
        let mut sent = 0;
        while sent < read {
            match peer.socket.write(&buffer[sent..read]) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if sent < read {
            peer.tail.extend_from_slice(&buffer[sent..read]);
            // Nothing more is read from here until that is gone.
            self.watch(libc::EPOLL_CTL_MOD, fd, fd as u64, 0);
            self.watch(libc::EPOLL_CTL_MOD, other, other as u64, libc::EPOLLIN | libc::EPOLLOUT);
        }
        Ok(())
    }

    fn drain(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(end) = self.ends.get_mut(&fd) else { return Ok(()) };
        while !end.tail.is_empty() {
            match end.socket.write(&end.tail) {
                Ok(sent) => drop(end.tail.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        end.tail = Vec::new();
        let other = end.other;
        self.watch(libc::EPOLL_CTL_MOD, fd, fd as u64, libc::EPOLLIN);
        self.watch(libc::EPOLL_CTL_MOD, other, other as u64, libc::EPOLLIN);
        Ok(())
    }

    fn close(&mut self, fd: RawFd) {
        if let Some(end) = self.ends.remove(&fd) {
            self.ends.remove(&end.other);
        }
    }
}
