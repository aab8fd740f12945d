//! Addresses and networks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

/// An address to listen on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Address {
    /// IPv4 or IPv6 and port.
    Inet(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether the system refuses the second of the two. Port 0 is a new port for each.
    pub fn clashes(&self, other: &Address) -> bool {
        let (Address::Inet(one), Address::Inet(other)) = (self, other) else {
            return self == other;
        };
        let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
        let overlap = ip == other_ip
            || (ip.is_ipv4() == other_ip.is_ipv4()
                && (ip.is_unspecified() || other_ip.is_unspecified()));
        one.port() != 0 && one.port() == other.port() && overlap
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
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
