//! A listening socket: new or inherited; TCP over IPv4 or IPv6, or a unix socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::plan::Address;

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
    _file: Option<SocketFile>,
}

impl Listening {
    /// Opens a new socket. A unix socket's file that nobody answers behind is replaced.
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
            Address::Unix(path) => {
                let (socket, file) =
                    bind_unix(path, None).map_err(|cause| OpenError::new(address, cause))?;
                Listening::of(socket, address, Some(file)).map_err(system)
            }
        }
    }

    /// Opens a unix socket whose file has `mode` from its first moment.
    ///
    /// # Errors
    /// As [`Listening::open`].
    pub fn open_private(path: &Path, mode: u32) -> Result<Listening, OpenError> {
        let address = Address::Unix(path.to_owned());
        let (socket, file) =
            bind_unix(path, Some(mode)).map_err(|cause| OpenError::new(&address, cause))?;
        Listening::of(socket, &address, Some(file))
            .map_err(|error| OpenError::new(&address, Cause::System(error)))
    }

    /// Takes a socket another process opened. Its file, if it has one, stays with its maker.
    ///
    /// # Errors
    /// When the descriptor is no listening socket.
    pub fn inherit(address: &Address, fd: OwnedFd) -> Result<Listening, OpenError> {
        let socket = Socket::from(fd);
        match socket.is_listener() {
            Ok(true) => Listening::of(socket, address, None)
                .map_err(|error| OpenError::new(address, Cause::System(error))),
            Ok(false) | Err(_) => Err(OpenError::new(address, Cause::NotListening)),
        }
    }

    fn of(socket: Socket, asked: &Address, file: Option<SocketFile>) -> io::Result<Listening> {
        socket.set_nonblocking(true)?;
        let bound = match asked {
            Address::Inet(asked) => {
                Address::Inet(socket.local_addr()?.as_socket().unwrap_or(*asked))
            }
            Address::Unix(path) => Address::Unix(path.clone()),
        };
        Ok(Listening { socket, bound, _file: file })
    }

    /// The address it listens on; with the port the system chose where port 0 was asked for.
    pub fn bound(&self) -> &Address {
        &self.bound
    }

    /// Takes a connection out of the queue, and its peer's address (a unix socket's has none).
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WouldBlock`] when the queue is empty.
    pub fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        let (socket, peer) = self.socket.accept()?;
        Ok((socket.into(), peer.as_socket()))
    }
}

impl AsRawFd for Listening {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
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

fn bind_unix(path: &Path, mode: Option<u32>) -> Result<(Socket, SocketFile), Cause> {
    let address = SockAddr::unix(path).map_err(Cause::System)?;
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if let Some(mode) = mode {
            // unix(7): the file is made with the descriptor's own mode, so that nobody can connect
            // in a moment between bind and chmod.
            let as_file = fs::File::from(OwnedFd::from(socket.try_clone()?));
            as_file.set_permissions(fs::Permissions::from_mode(mode))?;
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
    let file = SocketFile::new(path).map_err(Cause::System)?;
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

/// The file of a unix socket this process made; its drop removes it, unless another took its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        let found = fs::symlink_metadata(path)?;
        // A relative path must still name it if the working directory changes.
        let path = std::path::absolute(path)?;
        Ok(SocketFile { path, inode: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.inode) {
            // Whoever removed it meanwhile did our work.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> Address {
        Address::Inet("127.0.0.1:0".parse().unwrap())
    }

    #[test]
    fn port_0_is_answered_with_the_port_chosen() {
        let listening = Listening::open(&any_port()).unwrap();
        let Address::Inet(bound) = listening.bound() else { panic!() };
        assert_ne!(bound.port(), 0);
        assert_eq!(listening.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _client = std::net::TcpStream::connect(bound).unwrap();
        assert_eq!(listening.accept().unwrap().1.unwrap().ip(), bound.ip());
    }

    #[test]
    fn a_port_in_use_is_named_with_a_hint() {
        let first = Listening::open(&any_port()).unwrap();
        let error = Listening::open(first.bound()).unwrap_err();
        let expected = format!("cannot listen on `{}`: the port is in use", first.bound());
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("another port"));
    }

    #[test]
    fn an_ipv6_socket_leaves_ipv4_to_others() {
        let Ok(six) = Listening::open(&Address::Inet("[::]:0".parse().unwrap())) else { return };
        let Address::Inet(bound) = six.bound() else { panic!() };
        let four = SocketAddr::from(([0, 0, 0, 0], bound.port()));
        Listening::open(&Address::Inet(four)).unwrap();
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let address = Address::Unix(path.clone());
        let listening = Listening::open(&address).unwrap();
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert_eq!(listening.accept().unwrap().1, None);
        let error = Listening::open(&address).unwrap_err();
        assert!(error.to_string().ends_with("another process listens there"), "{error}");
        drop(listening);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "text").unwrap();
        let error = Listening::open(&Address::Unix(path.clone())).unwrap_err();
        assert!(error.to_string().ends_with("a file that is no socket is there"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }

    #[test]
    fn a_file_put_in_the_place_of_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let ours = Listening::open(&Address::Unix(path.clone())).unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        let theirs = Listening::open(&Address::Unix(path.clone())).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
        assert!(!path.exists());
    }

    #[test]
    fn a_private_socket_is_private_from_its_first_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listening = Listening::open_private(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_inherited_socket_goes_on_with_what_was_queued() {
        let first = Listening::open(&any_port()).unwrap();
        let Address::Inet(bound) = first.bound().clone() else { panic!() };
        let _queued = std::net::TcpStream::connect(bound).unwrap();
        let fd = first.as_fd().try_clone_to_owned().unwrap();
        drop(first);
        let second = Listening::inherit(&Address::Inet(bound), fd).unwrap();
        second.accept().unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        let error = Listening::inherit(&any_port(), reader.into()).unwrap_err();
        assert!(error.to_string().contains("no listening socket"), "{error}");
    }
}
