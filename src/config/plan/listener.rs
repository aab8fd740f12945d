//! Listeners: addresses accepted on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::tables::{FileMode, Http2, ListenerLimits, ServerTls};
use super::address::{Address, Networks};
use crate::base::network::ClientNetwork;

/// What a listener is over reloads: its address; and its name where the system chooses the port,
/// for there may be several of that address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ListenerIdentity(Address, Option<Arc<str>>);

impl ListenerIdentity {
    /// That of a listener with this address and name.
    pub fn of(address: &Address, name: &Arc<str>) -> ListenerIdentity {
        let any_port = matches!(address, Address::Inet(inet) if inet.port() == 0);
        ListenerIdentity(address.clone(), any_port.then(|| Arc::clone(name)))
    }

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
    /// Who may connect to a unix socket; as the umask has it when `None`.
    pub mode: Option<FileMode>,
    /// TLS, when it speaks TLS.
    pub tls: Option<ServerTls>,
    /// HTTP/2, when it speaks that beside HTTP/1.1: inside TLS by ALPN, else with prior knowledge.
    pub http2: Option<Http2>,
    /// The PROXY header is expected, from these networks only; others are refused.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are kept.
    pub trusted_proxies: Networks,
    /// Whether header fields with `_` in their names are kept.
    pub underscores_in_headers: bool,
    /// Its limits.
    pub limits: ListenerLimits,
}

impl Listener {
    /// What the shares of a client at this address are counted by. A trusted proxy has none, and
    /// neither has the peer of a unix socket, which has no address.
    pub fn client_network(&self, address: Option<SocketAddr>) -> ClientNetwork {
        match address.map(|address| address.ip()) {
            Some(ip) if !self.trusted_proxies.contains(Some(ip)) => ip.into(),
            _ => ClientNetwork::Unshared,
        }
    }

    /// Its identity over reloads.
    pub fn identity(&self) -> ListenerIdentity {
        ListenerIdentity::of(&self.address, &self.name)
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
