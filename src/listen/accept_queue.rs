//! A listening socket on one worker: connections that wait are taken out of its queue, and become
//! the worker's own.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};

use super::sockets::Listening;
use crate::base::socket::Socket;
use crate::config::plan::Address;

/// A listening socket as the reactor of one thread sees it; several threads may share the socket.
pub struct AcceptQueue(AsyncFd<Registered>);

struct Registered(Arc<Listening>);

impl AsRawFd for Registered {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl AcceptQueue {
    /// Registers the socket with this thread's reactor.
    ///
    /// # Errors
    /// The system's.
    pub fn new(listening: &Arc<Listening>) -> io::Result<AcceptQueue> {
        let registered = Registered(Arc::clone(listening));
        // SAFETY: `Registered` keeps the socket and never changes it, so the descriptor is open
        // and the same until the `AsyncFd` is dropped.
        let ready = unsafe { AsyncFd::register_with_interest(registered, Interest::READABLE)? };
        Ok(AcceptQueue(ready))
    }

    /// Waits for a connection; one task at a time may.
    ///
    /// # Errors
    /// The system's.
    pub async fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        poll_fn(|cx| {
            loop {
                let mut ready = ready!(self.0.poll_read_ready(cx))?;
                if let Ok(accepted) = ready.try_io(|registered| registered.get_ref().0.accept()) {
                    return Poll::Ready(accepted);
                }
            }
        })
        .await
    }
}

/// Registers a socket that [`Listening::accept`] gave with this thread's reactor; `bound` is the
/// address it came by.
///
/// # Errors
/// The system's, when the socket is gone.
pub fn connected(fd: OwnedFd, bound: &Address) -> io::Result<Socket> {
    match bound {
        Address::Inet(_) => Ok(Socket::from(TcpStream::from_std(fd.into())?).accepted()),
        Address::Unix(_) => Ok(Socket::from(UnixStream::from_std(fd.into())?).accepted()),
    }
}
