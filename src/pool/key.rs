//! By what a request finds its backend again.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use super::sticky::Tag;

/// What a pool knows a request's backend by: owned and small, so that a session can keep it for as
/// long as it lives and ask with it again. Made by [`Pool::key`](super::Pool::key), and for a
/// session that has its backend by [`Pool::pinned`](super::Pool::pinned).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Of what the pool hashes.
    pub(super) hash: Option<u64>,
    /// Of the backend the client was sent to before, as its cookie says.
    pub(super) tag: Option<Tag>,
}

/// A client's number: its address, of IPv6 the first half. The second is the device's own, which
/// changes it to be less known (RFC 8981).
pub fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

/// A hash that every proxy, and every version of this one, takes of the same bytes: the first
/// eight bytes of their SHA-256. Proxies side by side must agree, and a client that knows the
/// function should not easily find many keys that meet.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let digest = digest(&SHA256, bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(first)
}
