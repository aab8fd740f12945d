//! Listening sockets that a service manager opened (sd_listen_fds(3)).

use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{SocketAddrUnix, getsockname};

use crate::config::plan::Address;
use crate::listen::{Inherited, Origin};

/// The first descriptor handed down.
const FIRST: RawFd = 3;

/// Sockets that can be handed down; each is a listener.
const SOCKETS_MAX: usize = 1024;

/// What the service manager handed down to this process; nothing when there is none. To be called
/// once, at the start.
///
/// # Errors
/// What it says cannot be understood, or a descriptor is no socket.
pub fn inherited() -> io::Result<Vec<Inherited>> {
    let is_ours = env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    if !is_ours {
        return Ok(Vec::new());
    }
    let variable = |name| env::var(name).unwrap_or_default();
    named(&variable("LISTEN_FDS"), &variable("LISTEN_FDNAMES"))?
        .into_iter()
        .zip(FIRST..)
        .map(|(name, fd)| take(name, fd))
        .collect()
}

/// The sockets' names, as many as there are sockets; without one a name is empty.
fn named(count: &str, names: &str) -> io::Result<Vec<String>> {
    let count: usize =
        count.parse().ok().filter(|count| *count <= SOCKETS_MAX).ok_or_else(|| {
            io::Error::other(format!("`LISTEN_FDS` is no number up to {SOCKETS_MAX}: `{count}`"))
        })?;
    let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
    Ok(names.take(count).collect())
}

fn take(name: String, fd: RawFd) -> io::Result<Inherited> {
    let wrong = |error: rustix::io::Errno| {
        io::Error::other(format!("descriptor {fd} of `LISTEN_FDS`, named `{name}`: {error}"))
    };
    // SAFETY: only asked whether it is open, at the start of the process.
    let open = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let flags = fcntl_getfd(open).map_err(wrong)?;
    // SAFETY: it is open, and sd_listen_fds(3) says that it is this process's: nobody else here
    // knows of it, as this is called once.
    let fd_owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl_setfd(&fd_owned, flags | FdFlags::CLOEXEC).map_err(wrong)?;
    let bound = getsockname(&fd_owned).map_err(wrong)?;
    let address = match std::net::SocketAddr::try_from(bound.clone()) {
        Ok(inet) => Some(Address::Inet(inet)),
        Err(_) => SocketAddrUnix::try_from(bound).ok().and_then(|unix| {
            let path = unix.path()?.to_str().ok()?.to_owned();
            Some(Address::Unix(path.into()))
        }),
    };
    let address = address.ok_or_else(|| wrong(rustix::io::Errno::AFNOSUPPORT))?;
    Ok(Inherited { address, listener: None, origin: Origin::Manager { name }, fd: fd_owned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_names_as_sockets() {
        assert_eq!(named("2", "https:http").unwrap(), ["https", "http"]);
        assert_eq!(named("2", "https").unwrap(), ["https", ""]);
        assert_eq!(named("1", "a:b").unwrap(), ["a"]);
        assert!(named("0", "").unwrap().is_empty());
        assert!(named("", "").is_err() && named("-1", "").is_err());
        assert!(named("99999999999", "").is_err());
    }
}
