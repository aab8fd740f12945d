//! What clients are told apart by where something scarce is shared out among them.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

/// A client's network: whatever one client can take addresses from at will counts as one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ClientNetwork {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: the smallest network that one customer is given
    /// (RFC 6177 §2, RFC 7421).
    V6([u8; 8]),
    /// The peer of a unix socket, or a proxy that is trusted: many clients may stand behind it, so
    /// it has no share.
    Unshared,
}

/// Values by client. The hash is keyed by the process and by the map, so that nobody can choose
/// addresses that meet in it.
pub type ByClient<V> = foldhash::HashMap<ClientNetwork, V>;

/// As one number: a connect looks its client up a dozen times.
impl Hash for ClientNetwork {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(match self {
            ClientNetwork::V4(address) => u64::from(address.to_bits()),
            ClientNetwork::V6(network) => u64::from_be_bytes(*network),
            ClientNetwork::Unshared => u64::MAX,
        });
    }
}

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> ClientNetwork {
        // An IPv4 address inside of IPv6 is that address (RFC 4291 §2.5.5.2).
        match address.to_canonical() {
            IpAddr::V4(address) => ClientNetwork::V4(address),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                ClientNetwork::V6(network)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> ClientNetwork {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_64_bit_network_of_ipv6_is_one_client_and_so_is_one_ipv4_address() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1:2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
