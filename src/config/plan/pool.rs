//! Pools: groups of backends.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use rustls::RootCertStore;

/// Fields in a backend's answer, a handshake's or another.
pub const ANSWER_HEADERS_MAX: usize = 128;

/// Bytes of the head of a backend's answer; also what is read ahead of it, or of its body's reader.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// How a backend is chosen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The one with the fewest live sessions for its weight; plain requests in turn.
    LeastSessions,
    /// The better of two that are drawn by weight.
    RandomTwo,
    /// By a hash of something in the request; without it as [`Balance::LeastSessions`].
    Hash {
        /// Of what.
        by: HashBy,
        /// How far above its fair share of sessions a backend may come, in percent.
        excess_percent: Option<u32>,
    },
}

/// What is hashed of a request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HashBy {
    /// Who asks: the IPv4 address, or the first half of the IPv6 address.
    Client,
    /// The value of a header field's first line.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(Arc<str>),
    /// A query parameter's value, as it is written.
    Query(Arc<str>),
    /// The normalised path.
    Path,
}

/// Where a backend listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum BackendAddress {
    /// A host name or IP literal (IPv6 without brackets), and a port.
    Inet {
        /// Name or literal.
        host: Arc<str>,
        /// Port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendAddress::Inet { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            BackendAddress::Inet { host, port } => write!(f, "{host}:{port}"),
            BackendAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A member of a pool; its identity over reloads is its pool's name and its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: BackendAddress,
    /// Its share, at least 1.
    pub weight: u32,
    /// Whether it is for when no other is up.
    pub backup: bool,
    /// Sessions it may have; unlimited when `None`.
    pub sessions_max: Option<usize>,
}

/// A group of backends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// Its members, at least one; addresses are unique.
    pub backends: Vec<Backend>,
    /// How one is chosen.
    pub balance: Balance,
    /// How a client is sent to the backend it had before, when it is.
    pub sticky: Option<Sticky>,
    /// Time in which a backend that is new or has returned comes to its whole weight.
    pub slow_start: Duration,
    /// How sessions move to others when the backends are uneven, when they do.
    pub rebalance: Option<Rebalance>,
    /// TLS towards the backends.
    pub tls: Option<UpstreamTls>,
    /// Time for a connection (TCP and TLS) to a backend.
    pub connect_timeout: Duration,
    /// Time from the request's head to the answer's head, for a WebSocket handshake.
    pub handshake_timeout: Duration,
    /// Time from the end of the request to the answer's head, for a plain request.
    pub response_timeout: Duration,
    /// WebSocket handshakes under way to one backend; more wait for `connect_timeout` at most.
    pub handshakes_in_flight_max: usize,
    /// WebSocket handshakes begun with one backend in a second; unlimited when `None`.
    pub handshake_rate_max: Option<u32>,
    /// Local addresses to dial from, in turn; the system chooses when empty.
    pub source_addresses: Vec<IpAddr>,
    /// When a backend counts as failed.
    pub health: Health,
    /// When another backend is tried.
    pub retry: Retry,
    /// Time an idle connection for plain requests is kept.
    pub keep_alive_timeout: Duration,
    /// Idle connections for plain requests kept per backend and worker.
    pub keep_alive_max: usize,
}

impl Pool {
    /// Whether sessions are put where there are few: only then may one be moved for that.
    pub fn goes_by_sessions(&self) -> bool {
        let by_sessions = matches!(self.balance, Balance::LeastSessions | Balance::RandomTwo);
        by_sessions && self.sticky.is_none()
    }
}

/// How sessions move until the backends are level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebalance {
    /// How far from its fair share of sessions a backend may be, in percent.
    pub threshold_percent: u32,
    /// How long it must have been further before anything is done.
    pub after: Duration,
    /// Sessions asked to move in a minute, in percent of the pool's.
    pub percent_per_minute_max: u32,
    /// Sessions that have been for less time where they are stay.
    pub age_min: Duration,
    /// Which of the others move.
    pub first: First,
}

/// Which sessions move first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum First {
    /// Those that have been longest where they are.
    Oldest,
    /// Any.
    Random,
}

impl Default for Rebalance {
    /// What an empty table means.
    fn default() -> Rebalance {
        Rebalance {
            threshold_percent: 10,
            after: Duration::from_secs(60),
            percent_per_minute_max: 10,
            age_min: Duration::from_secs(60),
            first: First::Oldest,
        }
    }
}

/// A cookie that brings a client back to its backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: Arc<str>,
    /// Whether it is sent with requests from other sites.
    pub same_site: SameSite,
    /// At least one: the first signs, all verify.
    pub secrets: Vec<Secret>,
}

/// When a browser sends a cookie with requests that another site's page makes (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SameSite {
    /// With links that are followed.
    Lax,
    /// Never.
    Strict,
    /// Always; over TLS only.
    None,
}

/// Bytes that are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Fewest bytes of a secret: as many as the hash has (RFC 2104 §3).
    pub const BYTES_MIN: usize = 32;

    /// A secret of these bytes.
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Passive health.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Failures in a row that take a backend out.
    pub failures_max: u32,
    /// How long it stays out the first time; doubled each time up to `out_max`.
    pub out: Duration,
    /// The longest it stays out.
    pub out_max: Duration,
    /// What becomes of its sessions when it stays out.
    pub sessions: OutSessions,
    /// How long it must have been out for that.
    pub sessions_after: Duration,
}

/// What becomes of the sessions of a backend that stays out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OutSessions {
    /// Those that can be held move to other backends, the others stay.
    Move,
    /// All stay.
    Keep,
    /// Those that can be held move to other backends, the others are let go.
    Drain,
}

/// The retry budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Backends tried for one request, the first included.
    pub attempts_max: u32,
    /// Retries allowed, in percent of requests over the last ten seconds.
    pub budget_percent: u32,
    /// Retries per second that are always allowed, so that a quiet pool can retry at all.
    pub budget_min_per_second: u32,
}

/// Which certificate authorities a backend's certificate is verified against.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The system's.
    System,
    /// Those in this PEM file; `stamp` is a hash of its bytes.
    File {
        /// The PEM file.
        path: PathBuf,
        /// A hash of its bytes.
        stamp: u64,
        /// What was read.
        loaded: Arc<RootCertStore>,
    },
}

impl PartialEq for Roots {
    fn eq(&self, other: &Roots) -> bool {
        match (self, other) {
            (Roots::System, Roots::System) => true,
            (
                Roots::File { path, stamp, .. },
                Roots::File { path: other_path, stamp: other_stamp, .. },
            ) => (path, stamp) == (other_path, other_stamp),
            _ => false,
        }
    }
}

impl Eq for Roots {}

/// TLS towards backends; always verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamTls {
    /// The name asked for by SNI and verified; the backend's host when `None`.
    pub server_name: Option<Arc<str>>,
    /// Whom to trust.
    pub roots: Roots,
}
