//! The header that a backend is sent.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ppp::v2;

/// The two ends of a client's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyEnds {
    /// The client; its port is 0 where a proxy told of it.
    pub client: SocketAddr,
    /// Where it came in.
    pub listener: SocketAddr,
}

/// Version 2, and a proxy that speaks for a client, or for itself.
const PROXY: u8 = 0x21;
const LOCAL: u8 = 0x20;

impl ProxyEnds {
    /// Both ends in one family: an address of the other is not told.
    pub fn new(client: SocketAddr, listener: SocketAddr) -> ProxyEnds {
        let (from, to) = (client.ip().to_canonical(), listener.ip().to_canonical());
        let to = match from {
            _ if from.is_ipv4() == to.is_ipv4() => to,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        ProxyEnds {
            client: SocketAddr::new(from, client.port()),
            listener: SocketAddr::new(to, listener.port()),
        }
    }

    /// The header of version 1; `None` is a client that is not known.
    pub fn text(ends: Option<ProxyEnds>) -> Vec<u8> {
        let Some(ProxyEnds { client, listener }) = ends else {
            return b"PROXY UNKNOWN\r\n".to_vec();
        };
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, to) = (client.ip(), listener.ip());
        format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), listener.port()).into_bytes()
    }

    /// The header of version 2; `None` is a connection of our own.
    pub fn binary(ends: Option<ProxyEnds>) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        let Some(ProxyEnds { client, listener }) = ends else {
            header.extend_from_slice(&[LOCAL, 0, 0, 0]);
            return header;
        };
        match (client.ip(), listener.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                header.extend_from_slice(&[PROXY, 0x11, 0, 12]);
                header.extend_from_slice(&from.octets());
                header.extend_from_slice(&to.octets());
            }
            (from, to) => {
                let wide = |ip| match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                    IpAddr::V6(ip) => ip.octets(),
                };
                header.extend_from_slice(&[PROXY, 0x21, 0, 36]);
                header.extend_from_slice(&wide(from));
                header.extend_from_slice(&wide(to));
            }
        }
        header.extend_from_slice(&client.port().to_be_bytes());
        header.extend_from_slice(&listener.port().to_be_bytes());
        header
    }
}

impl fmt::Display for ProxyEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.client, self.listener)
    }
}

/// What was displayed.
impl FromStr for ProxyEnds {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<ProxyEnds, Self::Err> {
        let (client, listener) = text.split_once(' ').unwrap_or((text, ""));
        Ok(ProxyEnds { client: client.parse()?, listener: listener.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_both_versions() {
        for (client, listener, told) in [
            ("192.0.2.1:56324", "192.0.2.2:443", "192.0.2.2:443"),
            ("[2001:db8::1]:1", "[2001:db8::2]:443", "[2001:db8::2]:443"),
            ("[::ffff:192.0.2.1]:1", "[::]:443", "0.0.0.0:443"),
            ("[2001:db8::1]:1", "0.0.0.0:443", "[::]:443"),
            ("192.0.2.1:0", "192.0.2.2:443", "192.0.2.2:443"),
        ] {
            let client: SocketAddr = client.parse().unwrap();
            let ends = ProxyEnds::new(client, listener.parse().unwrap());
            let canonical = SocketAddr::new(client.ip().to_canonical(), client.port());
            for header in [ProxyEnds::text(Some(ends)), ProxyEnds::binary(Some(ends))] {
                let Parsed::Header(read) = parse(&header) else { panic!("{header:?}") };
                assert_eq!(read.consumed, header.len());
                assert_eq!(read.source, Some(canonical));
                assert_eq!(read.destination, Some(told.parse().unwrap()));
            }
            assert_eq!(ends.to_string().parse(), Ok(ends));
        }
    }

    #[test]
    fn a_client_that_is_not_known_is_not_told() {
        for header in [ProxyEnds::text(None), ProxyEnds::binary(None)] {
            let Parsed::Header(read) = parse(&header) else { panic!("{header:?}") };
            assert_eq!((read.consumed, read.source), (header.len(), None));
        }
    }
}
