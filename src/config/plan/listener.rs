//! Listeners: addresses accepted on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

/// An address to listen on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Address {
    /// IPv4 or IPv6 and port.
    Inet(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A set of networks; the peer of a unix socket is in it when `unix` is true.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks {
    /// IP networks.
    pub nets: Vec<IpNet>,
    /// Whether peers of unix sockets belong.
    pub unix: bool,
}

impl Networks {
    /// Whether `ip` (an IPv4-mapped IPv6 address counts as IPv4) is in one of the networks;
    /// `None` is the peer of a unix socket.
    pub fn contains(&self, ip: Option<IpAddr>) -> bool {
        match ip.map(|ip| ip.to_canonical()) {
            Some(ip) => self.nets.iter().any(|net| net.contains(&ip)),
            None => self.unix,
        }
    }
}

/// What a listener is over reloads: its address; and its name where the system chooses the port,
/// for there may be several of that address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ListenerIdentity(Address, Option<Arc<str>>);

impl ListenerIdentity {
    /// The address.
    pub fn address(&self) -> &Address {
        &self.0
    }

    /// The name, where the address alone does not tell which listener it is.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.1.as_ref()
    }
}

/// One address accepted on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// TLS, when it speaks TLS.
    pub tls: Option<ServerTls>,
    /// HTTP/2, when it speaks that beside HTTP/1.1: inside TLS by ALPN, else with prior knowledge.
    pub http2: Option<Http2>,
    /// The PROXY header is expected, from these networks only; others are refused.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are kept.
    pub trusted_proxies: Networks,
    /// Its limits.
    pub limits: ListenerLimits,
}

impl Listener {
    /// Its identity over reloads.
    pub fn identity(&self) -> ListenerIdentity {
        let any_port = matches!(&self.address, Address::Inet(inet) if inet.port() == 0);
        ListenerIdentity(self.address.clone(), any_port.then(|| Arc::clone(&self.name)))
    }
}

/// PROXY protocol v1 and v2, received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyProtocol {
    /// Who may send it.
    pub trusted: Networks,
    /// How long it may take to arrive.
    pub timeout: Duration,
}

/// The lowest TLS version spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// TLS towards clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerTls {
    /// Certificates, chosen by SNI among their names; the first is the default.
    pub certificates: Vec<Certificate>,
    /// The lowest version spoken.
    pub version_min: TlsVersion,
    /// Whether sessions may be resumed by tickets.
    pub resumption: bool,
}

impl ServerTls {
    /// Whether a connection that asked for `sni` was shown a certificate that is not for `host`
    /// while there is one that is (RFC 9110 §7.4). Where none is, clients have their reasons.
    pub fn is_misdirected(&self, sni: &str, host: &str) -> bool {
        let by_name = |one: &&Certificate| one.covers(sni);
        let mut shown = self.certificates.iter().filter(by_name).peekable();
        let is_covered = match shown.peek() {
            Some(_) => shown.any(|one| one.covers(host)),
            None => self.certificates.first().is_some_and(|default| default.covers(host)),
        };
        !is_covered && self.certificates.iter().any(|one| one.covers(host))
    }
}

/// A certificate chain and its key, read from PEM files and found to fit each other. Compared by
/// the files' names and contents, so that a plan made after a renewal is not equal to the one
/// before.
#[derive(Clone)]
pub struct Certificate {
    /// Chain, the leaf first.
    pub chain: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// A hash of both files' bytes.
    pub stamp: u64,
    /// The names the leaf is valid for, lower case, wildcards as `*.example.com`.
    pub names: Vec<Arc<str>>,
    /// What was read.
    pub loaded: Arc<CertifiedKey>,
}

impl Certificate {
    /// Whether it is valid for a lower-case name; a wildcard stands for one label (RFC 9525 §6.3).
    pub fn covers(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(of) => parent == Some(of),
            None => **own == *name,
        })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        (&self.chain, &self.key, self.stamp) == (&other.chain, &other.key, other.stamp)
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    /// Names only: a key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {:?})", self.chain.display(), self.names)
    }
}

/// HTTP/2 towards clients (RFC 9113).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http2 {
    /// Whether WebSockets are taken on streams, and that is announced (RFC 8441).
    pub websocket: bool,
    /// Streams open at once on a connection.
    pub streams_max: u32,
    /// Bytes a client may send on a stream before they are taken. Times `streams_max` it is at most
    /// [`Http2::WINDOW_MAX`].
    pub stream_window: u32,
    /// Streams a client may reset, within half a minute, before they are answered.
    pub resets_max: u32,
}

impl Http2 {
    /// The largest window there is (RFC 9113 §6.9.1).
    pub const WINDOW_MAX: u32 = (1 << 31) - 1;

    /// Bytes a client may send on a connection before they are taken: the windows of all streams
    /// together, so that streams nobody reads never stall the others.
    pub fn connection_window(&self) -> u32 {
        self.streams_max.saturating_mul(self.stream_window).min(Http2::WINDOW_MAX)
    }
}

/// A listener's limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerLimits {
    /// Connections between accept and the end of their TLS handshake.
    pub handshakes_in_flight_max: usize,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time for a whole request head (slowloris).
    pub head_timeout: Duration,
    /// Bytes of a request head.
    pub head_bytes_max: usize,
    /// Fields in a request head.
    pub headers_max: usize,
    /// Time a connection may stay open between requests.
    pub keep_alive_timeout: Duration,
}
