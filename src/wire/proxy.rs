//! The PROXY protocol's header, versions 1 and 2, as a load balancer in front sends it, and as
//! backends are sent it.
//!
//! A header is read to its last byte and no further, because what follows may be a TLS record:
//! so an incomplete header tells how many bytes it needs at least.

mod ends;

pub use ends::ProxyEnds;

use std::fmt;
use std::net::SocketAddr;

use ppp::{v1, v2};

/// Bytes of the longest version 1 header.
pub const V1_BYTES_MAX: usize = 107;
/// Bytes of the longest version 2 header taken: room for the addresses of unix sockets and for
/// the extras that load balancers add, a certificate's names among them.
pub const V2_BYTES_MAX: usize = 2048;

/// `PROXY UNKNOWN\r\n`.
const V1_BYTES_MIN: usize = 15;
/// Signature, version and command, family, length.
const V2_BYTES_MIN: usize = 16;

const V1_PREFIX: &[u8] = b"PROXY ";
const V2_PREFIX: &[u8] = v2::PROTOCOL_PREFIX;

/// What was found at the front of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// The header is not complete.
    Incomplete {
        /// It has this many bytes more, or more; at least 1.
        more: usize,
    },
    /// The header is whole.
    Header(ProxyHeader),
    /// This is no header.
    Invalid(ProxyError),
}

/// A whole header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyHeader {
    /// Its bytes; what follows them is the client's.
    pub consumed: usize,
    /// The client; `None` when the sender speaks for itself (LOCAL) or does not know (UNKNOWN):
    /// the connection's own addresses are then the true ones.
    pub source: Option<SocketAddr>,
    /// Where the client connected to.
    pub destination: Option<SocketAddr>,
}

/// What is wrong with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyError {
    /// The connection does not begin with a PROXY header.
    NotProxy,
    /// It is longer than [`V1_BYTES_MAX`] or [`V2_BYTES_MAX`].
    TooLong,
    /// Version, command, family, addresses or ports are wrong.
    Malformed,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyError::NotProxy => "the connection does not begin with a PROXY header",
            ProxyError::TooLong => "the PROXY header is too long",
            ProxyError::Malformed => "the PROXY header is malformed",
        })
    }
}

impl std::error::Error for ProxyError {}

/// Reads the header at the front of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins = |prefix: &[u8]| {
        let common = prefix.len().min(bytes.len());
        prefix[..common] == bytes[..common]
    };
    // Nothing at all begins both: version 1 can be shorter.
    let parsed = if begins(V1_PREFIX) {
        text(bytes)
    } else if begins(V2_PREFIX) {
        binary(bytes)
    } else {
        Err(ProxyError::NotProxy)
    };
    parsed.unwrap_or_else(Parsed::Invalid)
}

fn text(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        let more = text_needs(line);
        let fits = bytes.len() + more <= V1_BYTES_MAX;
        return if fits { Ok(Parsed::Incomplete { more }) } else { Err(ProxyError::TooLong) };
    };
    let line = &line[..=end];
    if !line.ends_with(b"\r\n") {
        return Err(ProxyError::Malformed);
    }
    let header = v1::Header::try_from(line).map_err(|_| ProxyError::Malformed)?;
    if header.header.len() != line.len() {
        return Err(ProxyError::Malformed);
    }
    let (source, destination) = match header.addresses {
        v1::Addresses::Unknown => (None, None),
        v1::Addresses::Tcp4(four) => ends_four(&four),
        v1::Addresses::Tcp6(six) => ends_six(&six),
    };
    Ok(Parsed::Header(ProxyHeader { consumed: line.len(), source, destination }))
}

/// Bytes a line without its end needs at least: two for each of its five spaces to come, and its
/// end.
fn text_needs(line: &[u8]) -> usize {
    if line.len() < V1_BYTES_MIN {
        return V1_BYTES_MIN - line.len();
    }
    let spaces = match line[V1_PREFIX.len()..].starts_with(b"TCP") {
        true => line.iter().filter(|byte| **byte == b' ').count(),
        false => 5,
    };
    let end = if line.ends_with(b"\r") { 1 } else { 2 };
    2 * 5_usize.saturating_sub(spaces) + end
}

fn binary(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let Some(head) = bytes.get(..V2_BYTES_MIN) else {
        return Ok(Parsed::Incomplete { more: V2_BYTES_MIN - bytes.len() });
    };
    let consumed = V2_BYTES_MIN + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if consumed > V2_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(whole) = bytes.get(..consumed) else {
        return Ok(Parsed::Incomplete { more: consumed - bytes.len() });
    };
    // LOCAL: whatever follows is to be ignored, its family too.
    if head[12] == 0x20 {
        return Ok(Parsed::Header(ProxyHeader { consumed, source: None, destination: None }));
    }
    let header = v2::Header::try_from(whole).map_err(|_| ProxyError::Malformed)?;
    let (source, destination) = match (header.protocol, header.addresses) {
        // A datagram did not make this connection.
        (v2::Protocol::Datagram, _) => (None, None),
        (_, v2::Addresses::IPv4(four)) => ends_four(&four),
        (_, v2::Addresses::IPv6(six)) => ends_six(&six),
        (_, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => (None, None),
    };
    Ok(Parsed::Header(ProxyHeader { consumed, source, destination }))
}

type Ends = (Option<SocketAddr>, Option<SocketAddr>);

fn ends_four(four: &v1::IPv4) -> Ends {
    let source = (four.source_address, four.source_port).into();
    (Some(source), Some((four.destination_address, four.destination_port).into()))
}

fn ends_six(six: &v1::IPv6) -> Ends {
    let source = (six.source_address, six.source_port).into();
    (Some(source), Some((six.destination_address, six.destination_port).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP4: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
    const TCP6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
    const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
    const UNKNOWN_LONG: &[u8] = b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n";

    /// A version 2 header: command, family and protocol, addresses and extras.
    fn second(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [V2_PREFIX, &[command, family], &length, body].concat()
    }

    fn ip4() -> Vec<u8> {
        second(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 1, 187])
    }

    fn ip6() -> Vec<u8> {
        let mut body = [0; 36 + 5];
        (body[15], body[31], body[33], body[35]) = (1, 2, 80, 81);
        // An extra of two bytes.
        body[36..].copy_from_slice(&[4, 0, 2, 0, 0]);
        second(0x21, 0x21, &body)
    }

    fn whole(bytes: &[u8]) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let followed = [bytes, b"\x16\x03\x01"].concat();
        match parse(&followed) {
            Parsed::Header(header) => {
                assert_eq!(header.consumed, bytes.len());
                (header.source, header.destination)
            }
            other => panic!("{other:?}"),
        }
    }

    fn ends(source: &str, destination: &str) -> Ends {
        (Some(source.parse().unwrap()), Some(destination.parse().unwrap()))
    }

    #[test]
    fn both_versions_tell_who_connected() {
        assert_eq!(whole(TCP4), ends("192.0.2.1:56324", "192.0.2.2:443"));
        assert_eq!(whole(TCP6), ends("[2001:db8::1]:1", "[2001:db8::2]:65535"));
        assert_eq!(whole(&ip4()), ends("192.0.2.1:56324", "192.0.2.2:443"));
        assert_eq!(whole(&ip6()), ends("[::1]:80", "[::2]:81"));
    }

    #[test]
    fn nobody_is_told_of_when_the_sender_does_not_know_or_speaks_for_itself() {
        let none = (None, None);
        assert_eq!((whole(UNKNOWN), whole(UNKNOWN_LONG)), (none, none));
        assert_eq!(whole(&second(0x20, 0x00, &[])), none);
        assert_eq!(whole(&second(0x20, 0xff, &[1, 2, 3])), none);
        assert_eq!(whole(&second(0x21, 0x00, &[])), none);
        assert_eq!(whole(&second(0x21, 0x31, &[b'x'; 216])), none);
        assert_eq!(whole(&second(0x21, 0x12, &[1; 12])), none);
    }

    /// Reads as a reader would: as many bytes as are asked for, no more.
    fn read(bytes: &[u8]) -> (usize, usize) {
        let (mut have, mut reads) = (0, 0);
        loop {
            match parse(&bytes[..have]) {
                Parsed::Incomplete { more } => have += more,
                Parsed::Header(header) => return (header.consumed, reads),
                Parsed::Invalid(fault) => panic!("{fault} after {have} bytes"),
            }
            reads += 1;
            assert!(have <= bytes.len(), "over-read");
        }
    }

    #[test]
    fn a_reader_that_asks_never_reads_too_far() {
        let (four, six) = (ip4(), ip6());
        for bytes in [TCP4, TCP6, UNKNOWN, UNKNOWN_LONG, &four, &six] {
            let (consumed, reads) = read(bytes);
            assert_eq!(consumed, bytes.len());
            assert!(reads <= 20, "{reads} reads");
        }
        let longest = b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
            ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        assert_eq!(read(longest).0, V1_BYTES_MAX);
        assert_eq!(read(&second(0x21, 0x00, &[0; V2_BYTES_MAX - 16])).0, V2_BYTES_MAX);
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_it_shows() {
        let invalid = |bytes: &[u8]| match parse(bytes) {
            Parsed::Invalid(fault) => fault,
            other => panic!("{other:?} for {}", bytes.escape_ascii()),
        };
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"PROXX", b"\r\n\r\nX", b"proxy "]
        {
            assert_eq!(invalid(bytes), ProxyError::NotProxy);
        }
        let malformed = [
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\rx\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY \xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n",
        ];
        for bytes in malformed {
            assert_eq!(invalid(bytes), ProxyError::Malformed, "{}", bytes.escape_ascii());
        }
        for bytes in [second(0x31, 0x11, &[0; 12]), second(0x22, 0x11, &[0; 12])] {
            assert_eq!(invalid(&bytes), ProxyError::Malformed);
        }
        assert_eq!(invalid(&second(0x21, 0x41, &[0; 12])), ProxyError::Malformed);
        assert_eq!(invalid(&second(0x21, 0x11, &[0; 11])), ProxyError::Malformed);
        assert_eq!(invalid(&[b"PROXY ", &[b'x'; 200][..]].concat()), ProxyError::TooLong);
        assert_eq!(
            invalid(&second(0x21, 0x00, &[0; V2_BYTES_MAX - 15])[..16]),
            ProxyError::TooLong
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_an_incomplete_header_asks_for_more(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            prefix in prop_oneof![
                Just(&b""[..]), Just(V1_PREFIX), Just(&b"PROXY TCP4 "[..]), Just(V2_PREFIX),
                Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..]),
            ],
        ) {
            let bytes = [prefix, &bytes].concat();
            match parse(&bytes) {
                Parsed::Incomplete { more } => {
                    prop_assert!(more > 0 && bytes.len() + more <= V2_BYTES_MAX);
                }
                Parsed::Header(header) => prop_assert!(header.consumed <= bytes.len()),
                Parsed::Invalid(_) => {}
            }
        }
    }
}
