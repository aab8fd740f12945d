//! A socket's address, or none, in 22 bytes in place of the 32 of an `Option<SocketAddr>`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// In the place of a scope: no interface has these numbers, which are positive `int`s
/// (netdevice(7)).
const V4: u32 = u32::MAX;
const NONE: u32 = u32::MAX - 1;

/// A client's address as it is kept for each of many sessions. All of it is kept but the flow label
/// of IPv6, which the system does not tell of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompactAddr {
    /// An IPv4 address is inside of IPv6 here.
    ip: [u8; 16],
    scope: [u8; 4],
    port: [u8; 2],
}

impl CompactAddr {
    /// The address.
    pub fn get(self) -> Option<SocketAddr> {
        let (ip, port) = (Ipv6Addr::from(self.ip), u16::from_ne_bytes(self.port));
        match u32::from_ne_bytes(self.scope) {
            NONE => None,
            V4 => Some(SocketAddr::new(IpAddr::V6(ip).to_canonical(), port)),
            scope => Some(SocketAddrV6::new(ip, port, 0, scope).into()),
        }
    }
}

impl From<Option<SocketAddr>> for CompactAddr {
    fn from(address: Option<SocketAddr>) -> CompactAddr {
        let (ip, scope) = match address {
            Some(SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped(), V4),
            Some(SocketAddr::V6(v6)) => (*v6.ip(), v6.scope_id()),
            None => (Ipv6Addr::UNSPECIFIED, NONE),
        };
        let port = address.map_or(0, |address| address.port());
        let (scope, port) = (scope.to_ne_bytes(), port.to_ne_bytes());
        CompactAddr { ip: ip.octets(), scope, port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_when_it_comes_back() {
        assert_eq!(size_of::<CompactAddr>(), 22);
        assert_eq!(CompactAddr::from(None).get(), None);
        let all = [
            "192.0.2.7:4711",
            "0.0.0.0:0",
            "[2001:db8::7]:80",
            "[::ffff:192.0.2.7]:1",
            "[fe80::1%7]:2",
        ];
        for text in all {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(CompactAddr::from(Some(address)).get(), Some(address));
        }
    }
}
