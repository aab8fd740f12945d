//! Which pages may open a WebSocket: `allowed_origins` (RFC 6455 §10.2).

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};

use crate::config::plan::Origins;
use crate::wire::host::is_page_of;

/// Whether the handshake's origin is among those allowed, on a request for `host` as the client
/// wrote it; a handshake without `Origin` does not come from a page and passes, one with several
/// never does.
pub fn is_allowed(
    headers: &HeaderMap,
    allowed: Option<&Origins>,
    host: Option<&HeaderValue>,
) -> bool {
    let Some(allowed) = allowed else { return true };
    let mut lines = headers.get_all(ORIGIN).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(origin), None) => origin.to_str().is_ok_and(|origin| {
            let host = host.filter(|_| allowed.same).and_then(|host| host.to_str().ok());
            host.is_some_and(|host| is_page_of(origin, host))
                || allowed.listed.iter().any(|one| matches(origin, one))
        }),
        _ => false,
    }
}

/// Whether `origin` is `pattern`, or below its wildcard: `https://*.example.com` takes
/// `https://a.b.example.com`, but neither `https://example.com` nor another port.
fn matches(origin: &str, pattern: &str) -> bool {
    if let Some((scheme, host)) = pattern.split_once("*.") {
        let Some(rest) = strip_prefix(origin, scheme) else { return false };
        let Some(at) = rest.len().checked_sub(host.len() + 1) else { return false };
        // A label stands before the dot, and nothing that a host cannot hold.
        return at > 0
            && rest.is_char_boundary(at)
            && rest[at..].starts_with('.')
            && rest[at + 1..].eq_ignore_ascii_case(host)
            && rest[..at]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    }
    origin.eq_ignore_ascii_case(pattern)
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn allowed(origins: &[&str], patterns: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let listed = patterns.iter().map(|one| Arc::from(*one)).collect();
        is_allowed(&headers, Some(&Origins { same: false, listed }), None)
    }

    #[test]
    fn the_same_host_is_the_same_name_and_port() {
        let same = |origin: &str, host: &str| {
            let headers = [(ORIGIN, origin.parse().unwrap())].into_iter().collect();
            let origins = Origins { same: true, listed: Vec::new() };
            is_allowed(&headers, Some(&origins), Some(&host.parse().unwrap()))
        };
        for (origin, host) in [
            ("https://example.com", "example.com"),
            ("https://Example.com", "example.COM:443"),
            ("http://example.com:80", "example.com"),
            ("https://example.com:8443", "example.com:8443"),
            ("http://[::1]:8080", "[0:0::1]:8080"),
        ] {
            assert!(same(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "example.com"),
            ("https://example.com.evil.org", "example.com"),
            ("https://example.com:8443", "example.com"),
            ("https://example.com", "example.com:8443"),
            ("https://a.example.com", "example.com"),
            ("https://example.com/x", "example.com"),
            ("https://user@example.com", "example.com"),
            ("null", "null"),
            ("", ""),
        ] {
            assert!(!same(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn an_origin_is_taken_whole() {
        let list = ["https://example.com", "null"];
        assert!(allowed(&["https://example.com"], &list));
        assert!(allowed(&["HTTPS://EXAMPLE.com"], &list));
        assert!(allowed(&["null"], &list));
        for other in ["http://example.com", "https://example.com.evil.org", "https://example.com:1"]
        {
            assert!(!allowed(&[other], &list), "{other}");
        }
    }

    #[test]
    fn a_wildcard_takes_what_is_below_it_only() {
        let list = ["https://*.example.com"];
        assert!(allowed(&["https://a.example.com"], &list));
        assert!(allowed(&["https://a.b.example.com"], &list));
        for other in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://evil.org/.example.com",
            "https://user@.example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
        ] {
            assert!(!allowed(&[other], &list), "{other}");
        }
    }

    #[test]
    fn no_origin_passes_and_two_do_not() {
        assert!(allowed(&[], &["https://example.com"]));
        assert!(!allowed(
            &["https://example.com", "https://example.com"],
            &["https://example.com"]
        ));
        assert!(is_allowed(&HeaderMap::new(), None, None));
    }
}
