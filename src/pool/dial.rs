//! Connecting to a backend: look-up, local address, TCP or unix, TLS; all within one time.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::base::clock::{self, Moment, now};
use crate::base::socket::Socket;
use crate::config::plan::{self, BackendAddress, ProxyVersion};
use crate::observe::metrics::PoolMetrics;
use crate::tls::{Connector, TlsError, Transport};
use crate::wire::proxy::ProxyEnds;

use super::error::{DialError, DialStage};

/// Look-ups of names under way for one pool: each holds a thread until the system gives up, which
/// may be long after `connect_timeout`. More wait within their own `connect_timeout`.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 16;

/// Addresses of one name that are tried in one dial.
pub const ADDRESSES_TRIED_MAX: usize = 8;

/// First and longest pause before a unix socket whose backlog is full is tried again: unlike TCP's,
/// such a connect does not wait (`EAGAIN`, connect(2)).
const BACKLOG_PAUSE: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];

/// How a pool's backends are dialled, or a server that is in none.
pub struct Dialler {
    connect_timeout: Duration,
    sources: Box<[IpAddr]>,
    /// Whose turn it is among the sources.
    source: AtomicUsize,
    tls: Option<(plan::UpstreamTls, Connector)>,
    proxy_protocol: Option<ProxyVersion>,
    lookups: Arc<Semaphore>,
    /// Where exhausted sources are counted; `None` where there are none.
    cells: Option<Arc<PoolMetrics>>,
}

impl Dialler {
    /// How this plan's backends are dialled; `old` is that of the pool before a reload, whose TLS
    /// sessions are resumed when TLS did not change.
    pub fn build(
        plan: &plan::Pool,
        old: Option<&Dialler>,
        cells: &Arc<PoolMetrics>,
    ) -> Result<Dialler, TlsError> {
        let kept = old.and_then(|old| old.tls.as_ref());
        let tls = match (&plan.tls, kept) {
            (None, _) => None,
            (Some(wanted), Some((had, connector))) if wanted == had => {
                Some((wanted.clone(), connector.clone()))
            }
            (Some(wanted), _) => Some((wanted.clone(), Connector::build(wanted)?)),
        };
        let lookups = old.map(|old| Arc::clone(&old.lookups));
        Ok(Dialler {
            connect_timeout: plan.connect_timeout,
            sources: plan.source_addresses.clone().into(),
            source: AtomicUsize::new(fastrand::usize(..plan.source_addresses.len().max(1))),
            tls,
            proxy_protocol: plan.proxy_protocol,
            lookups: lookups.unwrap_or_else(|| Arc::new(Semaphore::new(LOOKUPS_IN_FLIGHT_MAX))),
            cells: Some(Arc::clone(cells)),
        })
    }

    /// How a server is dialled that is in no pool.
    ///
    /// # Errors
    /// No TLS can be made from the plan.
    pub fn of_no_pool(
        connect_timeout: Duration,
        tls: Option<&plan::UpstreamTls>,
    ) -> Result<Dialler, TlsError> {
        let connector =
            |tls: &plan::UpstreamTls| Connector::build(tls).map(|made| (tls.clone(), made));
        Ok(Dialler {
            connect_timeout,
            sources: Box::default(),
            source: AtomicUsize::new(0),
            tls: tls.map(connector).transpose()?,
            lookups: Arc::new(Semaphore::new(LOOKUPS_IN_FLIGHT_MAX)),
            proxy_protocol: None,
            cells: None,
        })
    }

    /// Connects, for the client whose connection has these ends.
    pub async fn dial(
        &self,
        target: &BackendAddress,
        ends: Option<ProxyEnds>,
    ) -> Result<Transport, DialError> {
        let deadline = now().after(self.connect_timeout);
        let (mut socket, host) = match target {
            BackendAddress::Inet { host, port } => {
                let addresses = self.lookup(host, *port, deadline).await?;
                (Socket::from(self.connect_any(host, &addresses, deadline).await?), &**host)
            }
            BackendAddress::Unix(path) => {
                let connect = Box::pin(connect_unix(path));
                let socket = self.within(deadline, DialStage::Connect, connect).await??;
                // A path is no name; where no `server_name` is given, this machine's is expected.
                (Socket::from(socket), "localhost")
            }
        };
        if let Some(version) = self.proxy_protocol {
            let header = match version {
                ProxyVersion::V1 => ProxyEnds::text(ends),
                ProxyVersion::V2 => ProxyEnds::binary(ends),
            };
            let sent = socket.write_all(&header);
            let sent = self.within(deadline, DialStage::Connect, sent).await?;
            sent.map_err(|source| DialError::Connect { to: host.to_owned(), source })?;
        }
        let Some((_, connector)) = &self.tls else { return Ok(Transport::Plain(socket)) };
        let shake = Box::pin(connector.connect(socket, host));
        let shaken = self.within(deadline, DialStage::Tls, shake).await?;
        shaken.map_err(|source| DialError::Tls { source })
    }

    async fn lookup(
        &self,
        host: &Arc<str>,
        port: u16,
        deadline: Moment,
    ) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = Arc::clone(host);
        // On the heap, as all that a dial of an address has no need of: a future is copied to
        // where it stays.
        let resolve = Box::pin(async {
            let permit =
                Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            let blocking = tokio::task::spawn_blocking(move || {
                // Held until the system has answered, whether or not anybody still waits for it.
                let _permit = permit;
                let found = (&*name, port).to_socket_addrs()?;
                io::Result::Ok(found.take(ADDRESSES_TRIED_MAX).collect::<Vec<_>>())
            });
            blocking.await?
        });
        let error = |source| DialError::Lookup { host: Arc::clone(host), source };
        match self.within(deadline, DialStage::Lookup, resolve).await? {
            Ok(addresses) if addresses.is_empty() => Err(error(None)),
            Ok(addresses) => Ok(addresses),
            Err(source) => Err(error(Some(source))),
        }
    }

    /// Tries the addresses in order. Each has an equal share of the time that is left, so that one
    /// that swallows packets leaves some to the next.
    async fn connect_any(
        &self,
        host: &Arc<str>,
        addresses: &[SocketAddr],
        deadline: Moment,
    ) -> Result<TcpStream, DialError> {
        let mut last = DialError::Lookup { host: Arc::clone(host), source: None };
        for (tried, &to) in addresses.iter().enumerate() {
            let share = match u32::try_from(addresses.len() - tried) {
                Ok(left @ 2..) => {
                    let present = now();
                    present.after(deadline.since(present) / left)
                }
                // The last, and mostly the only one.
                _ => deadline,
            };
            // By its place: it would be copied on its way.
            let connect = pin!(self.connect(to));
            let outcome = self.within(share, DialStage::Connect, connect).await;
            match outcome.and_then(|connected| connected) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects from the source addresses in turn until one has a port left.
    async fn connect(&self, to: SocketAddr) -> Result<TcpStream, DialError> {
        let fits = |source: &&IpAddr| source.is_ipv4() == to.is_ipv4();
        if !self.sources.iter().any(|source| fits(&source)) {
            return self.connect_from(None, to).await;
        }
        let first = self.source.fetch_add(1, Relaxed) % self.sources.len();
        let (before, after) = self.sources.split_at(first);
        let mut last = DialError::NoLocalPort { to };
        for &source in after.iter().chain(before).filter(fits) {
            match self.connect_from(Some(source), to).await {
                Err(error @ (DialError::NoLocalPort { .. } | DialError::SourceAddress { .. })) => {
                    last = error;
                }
                outcome => return outcome,
            }
        }
        Err(last)
    }

    async fn connect_from(
        &self,
        source: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<TcpStream, DialError> {
        let failed = |source| DialError::Connect { to: to.to_string(), source };
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None);
        let socket = socket.map_err(|errno| failed(errno.into()))?;
        sockopt::set_tcp_nodelay(&socket, true).map_err(|errno| failed(errno.into()))?;
        if let Some(from) = source {
            choose_port_late(&socket).map_err(failed)?;
            net::bind(&socket, &SocketAddr::new(from, 0)).map_err(|errno| {
                self.count_exhausted();
                DialError::SourceAddress { from, source: errno.into() }
            })?;
        }
        connect(socket, to).await.map_err(|source| {
            if source.kind() != io::ErrorKind::AddrNotAvailable {
                return failed(source);
            }
            self.count_exhausted();
            DialError::NoLocalPort { to }
        })
    }

    fn count_exhausted(&self) {
        self.cells.iter().for_each(|cells| cells.sources_exhausted.inc());
    }

    async fn within<T>(
        &self,
        deadline: Moment,
        stage: DialStage,
        work: impl Future<Output = T>,
    ) -> Result<T, DialError> {
        let late = DialError::Timeout { stage, after: self.connect_timeout };
        clock::by(deadline, work).await.ok_or(late)
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = f.debug_struct("Dialler");
        printed.field("sources", &self.sources).field("tls", &self.tls.is_some()).finish()
    }
}

/// Connects, and waits until the connection stands or has failed. The reactor tells which: why it
/// has failed the system is asked only then (`SO_ERROR`, socket(7)).
async fn connect(socket: OwnedFd, to: SocketAddr) -> io::Result<TcpStream> {
    match net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let stream = TcpStream::from_std(socket.into())?;
    let ready = stream.ready(Interest::WRITABLE).await?;
    if ready.is_write_closed()
        && let Some(error) = stream.take_error()?
    {
        return Err(error);
    }
    Ok(stream)
}

async fn connect_unix(path: &Path) -> Result<UnixStream, DialError> {
    let [mut pause, longest] = BACKLOG_PAUSE;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            outcome => {
                let to = || format!("unix:{}", path.display());
                return outcome.map_err(|source| DialError::Connect { to: to(), source });
            }
        }
    }
}

/// Lets the system choose the local port when the destination is known, not at `bind`: then a port
/// is free again for every other destination, and one address can hold more than its 28,000
/// (`IP_BIND_ADDRESS_NO_PORT`, ip(7); IPv6 sockets take it too).
fn choose_port_late(socket: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    let fd = socket.as_raw_fd();
    // SAFETY: the fd is open while `socket` lives; the option reads one c_int through the pointer,
    // which is valid for that long.
    let done = unsafe {
        let option = libc::IP_BIND_ADDRESS_NO_PORT;
        libc::setsockopt(fd, libc::IPPROTO_IP, option, (&raw const on).cast(), length)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
