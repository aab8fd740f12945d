//! Which pages may open a WebSocket: `allowed_origins` (RFC 6455 §10.2).

use std::sync::Arc;

use http::HeaderMap;
use http::header::ORIGIN;

/// Whether the handshake's origin is among those allowed; a handshake without `Origin` does not
/// come from a page and passes, one with several never does.
pub fn is_allowed(headers: &HeaderMap, allowed: Option<&[Arc<str>]>) -> bool {
    let Some(allowed) = allowed else { return true };
    let mut lines = headers.get_all(ORIGIN).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(origin), None) => {
            origin.to_str().is_ok_and(|origin| allowed.iter().any(|one| matches(origin, one)))
        }
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

    fn allowed(origins: &[&str], patterns: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let patterns: Vec<Arc<str>> = patterns.iter().map(|one| Arc::from(*one)).collect();
        is_allowed(&headers, Some(&patterns))
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
        assert!(is_allowed(&HeaderMap::new(), None));
    }
}
