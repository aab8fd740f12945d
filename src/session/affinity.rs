//! By what a request finds its backend again: what its pool hashes.

use std::net::IpAddr;

use super::admit::Routed;
use crate::config::plan::{Balance, HashBy};
use crate::pool::{Key, Pool};
use crate::wire::cookie;

/// The key of a request, as it came from the client.
pub(super) fn key(routed: &Routed, pool: &Pool) -> Option<Key> {
    let Balance::Hash { by, .. } = &pool.plan().balance else { return None };
    let head = &routed.head;
    match by {
        HashBy::Client => match routed.asker?.ip().to_canonical() {
            IpAddr::V4(ip) => pool.key(Some(&ip.octets())),
            // The second half is the device's own, which changes it to be less known (RFC 8981).
            IpAddr::V6(ip) => pool.key(ip.octets().get(..8)),
        },
        HashBy::Header(name) => pool.key(head.headers.get(name).map(|value| value.as_bytes())),
        HashBy::Cookie(name) => pool.key(cookie::value(&head.headers, name)),
        HashBy::Query(name) => pool.key(parameter(head.uri.query(), name)),
        HashBy::Path => pool.key(Some(routed.target.path.as_bytes())),
    }
}

/// A query parameter's value, as it is written.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a [u8]> {
    let mut pairs = query?.split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        let found = |query| parameter(Some(query), "room");
        assert_eq!(found("a=1&room=b%20c&room=2"), Some(&b"b%20c"[..]));
        assert_eq!(found("xroom=1&rooms=2&room"), None);
        assert_eq!(found("room="), Some(&b""[..]));
        assert_eq!(parameter(None, "room"), None);
    }
}
