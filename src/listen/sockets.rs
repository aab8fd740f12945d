//! A listening socket: new or inherited; TCP over IPv4 or IPv6, or a unix socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::plan::{Address, FileMode};

/// Connections that may wait in the kernel to be accepted (`net.core.somaxconn` caps it).
pub const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct OpenError {
    /// The address.
    pub address: Address,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    System(io::Error),
    /// Something answers on the unix socket.
    Answered,
    /// The unix socket's path is taken by another kind of file.
    NoSocket,
    /// The file descriptor handed down is no listening socket.
    NotListening,
}

impl OpenError {
    fn new(address: &Address, cause: Cause) -> OpenError {
        OpenError { address: address.clone(), cause }
    }

    /// Whether something else listens there.
    pub fn is_taken(&self) -> bool {
        match &self.cause {
            Cause::System(error) => error.kind() == io::ErrorKind::AddrInUse,
            Cause::Answered => true,
            Cause::NoSocket | Cause::NotListening => false,
        }
    }

    /// What an operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::Answered => Some("stop the process that listens there, or choose another path"),
            Cause::NoSocket => Some("choose another path, or remove the file"),
            Cause::NotListening => None,
            Cause::System(error) => match error.kind() {
                io::ErrorKind::AddrInUse => {
                    Some("stop what listens there (`ss -ltnp` names it), or choose another port")
                }
                io::ErrorKind::PermissionDenied => Some(
                    "a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE, \
                     a unix socket a directory that can be written to",
                ),
                io::ErrorKind::AddrNotAvailable => {
                    Some("use an address of this machine (`ip address` lists them), or `0.0.0.0`")
                }
                io::ErrorKind::NotFound => Some("make the directory first"),
                _ => None,
            },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on `{}`: ", self.address)?;
        match &self.cause {
            Cause::Answered => f.write_str("another process listens there"),
            Cause::NoSocket => f.write_str("a file that is no socket is there"),
            Cause::NotListening => f.write_str("the inherited descriptor is no listening socket"),
            Cause::System(error) if error.kind() == io::ErrorKind::AddrInUse => {
                f.write_str("the port is in use")
            }
            Cause::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::System(error) => Some(error),
            _ => None,
        }
    }
}

/// A listening socket, non-blocking; every worker registers this one descriptor.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    bound: Address,
    /// Removed when the socket is closed.
    file: Option<SocketFile>,
}

impl Listening {
    /// Opens a new socket. A unix socket's file without a process behind it is replaced.
    ///
    /// # Errors
    /// With the address and, where there is one, a hint.
    pub fn open(address: &Address) -> Result<Listening, OpenError> {
        let system = |error| OpenError::new(address, Cause::System(error));
        match address {
            Address::Inet(inet) => {
                let socket = bind_inet(*inet).map_err(system)?;
                Listening::of(socket, address, None).map_err(system)
            }
            Address::Unix(path) => Listening::open_unix(path, None),
        }
    }

    /// Opens a unix socket whose file has this mode, and at no moment a wider one; without it, as
    /// the umask has it.
    ///
    /// # Errors
    /// As [`Listening::open`].
    pub fn open_unix(path: &Path, mode: Option<FileMode>) -> Result<Listening, OpenError> {
        let address = Address::Unix(path.to_owned());
        let (socket, file) =
            bind_unix(path, mode).map_err(|cause| OpenError::new(&address, cause))?;
        Listening::of(socket, &address, Some(file))
            .map_err(|error| OpenError::new(&address, Cause::System(error)))
    }

    /// Takes a socket another process opened. Its file, if it has one, stays with its maker until
    /// [`Listening::own_file`].
    ///
    /// # Errors
    /// When the descriptor is no listening socket.
    pub fn inherit(address: &Address, fd: OwnedFd) -> Result<Listening, OpenError> {
        let socket = Socket::from(fd);
        match socket.is_listener() {
            Ok(true) => {
                // A file that is gone already has no owner.
                let file = match address {
                    Address::Unix(path) => SocketFile::new(path, false).ok(),
                    Address::Inet(_) => None,
                };
                Listening::of(socket, address, file)
                    .map_err(|error| OpenError::new(address, Cause::System(error)))
            }
            Ok(false) | Err(_) => Err(OpenError::new(address, Cause::NotListening)),
        }
    }

    fn of(socket: Socket, asked: &Address, file: Option<SocketFile>) -> io::Result<Listening> {
        socket.set_nonblocking(true)?;
        // Of an inherited socket it is the socket that decides, of which kind it is too.
        let bound = bound_to(&socket)?.unwrap_or_else(|| asked.clone());
        if let Address::Inet(_) = bound {
            // A relay writes whole frames; waiting for more would only delay them. What is accepted
            // inherits it, at the cost of no call of its own.
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Listening { socket, bound, file })
    }

    /// The address it listens on; with the port the system chose where port 0 was asked for.
    pub fn bound(&self) -> &Address {
        &self.bound
    }

    /// From now on the file of an inherited unix socket goes with it.
    pub fn own_file(&self) {
        self.set_owns_file(true);
    }

    /// From now on another process removes a unix socket's file.
    pub fn give_up_file(&self) {
        self.set_owns_file(false);
    }

    /// Whether this process removes the socket's file, where it has one.
    pub fn owns_file(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.owned.load(Relaxed))
    }

    /// From now on these may connect to a unix socket whose file is this process's.
    pub fn set_mode(&self, mode: FileMode) {
        let Some(file) = self.file.as_ref().filter(|_| self.owns_file()) else { return };
        if let Err(error) = file.set_mode(mode) {
            let path = file.path.display();
            tracing::error!(%error, %path, %mode, "the mode of a unix socket cannot be set");
        }
    }

    fn set_owns_file(&self, owned: bool) {
        if let Some(file) = &self.file {
            file.owned.store(owned, Relaxed);
        }
    }

    /// Takes a connection out of the queue, and its peer's address (a unix socket's has none). It
    /// does not block, and TCP's does not wait for more to send (Nagle's algorithm is off).
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when the queue is empty.
    pub fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        let (fd, peer) =
            acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        // A socket that a service manager opened for both families names IPv4 inside of IPv6
        // (RFC 4291 §2.5.5.2).
        let canonical = |peer: SocketAddr| SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Ok((fd, peer.map(canonical)))
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Listening> for OwnedFd {
    /// The socket alone; a file that is this process's is removed.
    fn from(listening: Listening) -> OwnedFd {
        listening.socket.into()
    }
}

/// The address a socket is bound to; a unix socket may have none, or not one that is text.
fn bound_to(socket: &Socket) -> io::Result<Option<Address>> {
    let bound = socket.local_addr()?;
    let path = || bound.as_pathname().map(|path| Address::Unix(path.to_owned()));
    Ok(bound.as_socket().map(Address::Inet).or_else(path))
}

fn bind_inet(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart need not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]:443` and `0.0.0.0:443` can both be listened on, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: Option<FileMode>) -> Result<(Socket, SocketFile), Cause> {
    let address = SockAddr::unix(path).map_err(Cause::System)?;
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if let Some(mode) = mode {
            // unix(7): the file is made with the descriptor's own mode, less the umask, so that no
            // one can connect in a moment between bind and chmod.
            let as_file = fs::File::from(OwnedFd::from(socket.try_clone()?));
            as_file.set_permissions(fs::Permissions::from_mode(mode.bits()))?;
        }
        socket.bind(&address)?;
        io::Result::Ok(socket)
    };
    let socket = match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path, &address)?;
            bind()
        }
        bound => bound,
    };
    let socket = socket.map_err(Cause::System)?;
    let file = SocketFile::new(path, true).map_err(Cause::System)?;
    if let Some(mode) = mode {
        // What the umask took.
        file.set_mode(mode).map_err(Cause::System)?;
    }
    socket.listen(BACKLOG).map_err(Cause::System)?;
    Ok((socket, file))
}

/// Removes the file of a process that is gone.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), Cause> {
    let kind = fs::symlink_metadata(path).map_err(Cause::System)?.file_type();
    if !kind.is_socket() {
        return Err(Cause::NoSocket);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(Cause::System)?;
    // A full queue must not hold up the start: its owner is alive.
    probe.set_nonblocking(true).map_err(Cause::System)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Cause::System)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Cause::System(error)),
        Ok(()) | Err(_) => Err(Cause::Answered),
    }
}

/// The file of a unix socket; its drop removes it if it is this process's, unless another took its
/// place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    owned: AtomicBool,
}

impl SocketFile {
    fn new(path: &Path, owned: bool) -> io::Result<SocketFile> {
        let found = fs::symlink_metadata(path)?;
        // A relative path must still name it if the working directory changes.
        let path = std::path::absolute(path)?;
        let (inode, owned) = ((found.dev(), found.ino()), AtomicBool::new(owned));
        Ok(SocketFile { path, inode, owned })
    }

    /// Nothing is done where another file took its place.
    fn set_mode(&self, mode: FileMode) -> io::Result<()> {
        let found = fs::symlink_metadata(&self.path)?;
        if (found.dev(), found.ino()) != self.inode || found.mode() & 0o7777 == mode.bits() {
            return Ok(());
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode.bits()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.owned.load(Relaxed) {
            return;
        }
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.inode) {
            // Whoever removed it meanwhile did our work.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
