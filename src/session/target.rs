//! What a request asks for: its canonical host and its normalised path (RFC 9112 §3.2).

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Version};

use super::refusal::Refusal;
use crate::wire::{host, path};

/// A request's target, as routes are chosen by it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Lower case, without port or final dot, an IPv6 address in brackets; `None` in an HTTP/1.0
    /// request without one.
    pub(super) host: Option<String>,
    /// Host and port as the client wrote them.
    pub(super) authority: Option<HeaderValue>,
    /// Percent-decoded, dot segments resolved, slashes merged.
    pub(super) path: String,
}

impl Target {
    /// Reads the target of a request's head.
    pub(super) fn read(head: &Parts) -> Result<Target, Refusal> {
        // A CONNECT that were answered 2xx would become a tunnel; TRACE echoes credentials.
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        let authority = authority(head)?;
        let host = host::of(&head.uri, &head.headers).map_err(|_| Refusal::Host)?;
        let host = host.map(|host| host.name.into_owned());
        let path = path::normalise(head.uri.path()).map_err(|_| Refusal::Path)?.into_owned();
        Ok(Target { host, authority, path })
    }

    /// The path and query to send on, without the route's prefix. A path without dot segments and
    /// doubled slashes, plain or escaped, is cut as it came; any other in its normal form, since
    /// what follows `/api` in `/api/a/../../api/b` is not what the route is about.
    pub(super) fn cut(&self, head: &Parts, prefix: &str) -> Result<PathAndQuery, Refusal> {
        let raw = head.uri.path();
        match raw.strip_prefix(prefix) {
            Some(rest) if is_plain(raw) => join(rooted(rest), head.uri.query()),
            _ => self.normal(head, prefix),
        }
    }

    /// Path and query in their normal form, escaped, without the route's prefix (`""` for all).
    pub(super) fn normal(&self, head: &Parts, prefix: &str) -> Result<PathAndQuery, Refusal> {
        let rest = self.path.strip_prefix(prefix).unwrap_or(&self.path);
        join(escape(&rooted(rest)).into(), head.uri.query())
    }
}

/// Whether a path's text can be cut like the path it means.
fn is_plain(raw: &str) -> bool {
    let escapes = |two: &[u8]| two.eq_ignore_ascii_case(b"2e") || two.eq_ignore_ascii_case(b"2f");
    let is_escaped =
        raw.split('%').skip(1).any(|after| after.as_bytes().get(..2).is_some_and(escapes));
    !is_escaped && !raw.contains("//") && !raw.contains("/.")
}

/// Host and port: the target's own where it is in absolute form (RFC 9112 §3.2.2), else `Host`'s,
/// which HTTP/1.1 demands in either case.
fn authority(head: &Parts) -> Result<Option<HeaderValue>, Refusal> {
    let host = head.headers.get(HOST);
    if host.is_none() && head.version == Version::HTTP_11 {
        return Err(Refusal::Host);
    }
    let Some(authority) = head.uri.authority() else {
        // RFC 9113 §8.3.1: a request of HTTP/2 has one or the other.
        let is_lost = host.is_none() && head.version == Version::HTTP_2;
        return if is_lost { Err(Refusal::Host) } else { Ok(host.cloned()) };
    };
    let scheme = head.uri.scheme();
    if scheme.is_some_and(|scheme| ![Scheme::HTTP, Scheme::HTTPS].contains(scheme)) {
        return Err(Refusal::Host);
    }
    HeaderValue::try_from(authority.as_str()).map(Some).map_err(|_| Refusal::Host)
}

/// What is left of a path, with a slash before it.
fn rooted(rest: &str) -> Cow<'_, str> {
    match rest.starts_with('/') {
        true => Cow::Borrowed(rest),
        false => Cow::Owned(format!("/{rest}")),
    }
}

fn join(path: Cow<'_, str>, query: Option<&str>) -> Result<PathAndQuery, Refusal> {
    let whole = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    PathAndQuery::try_from(whole).map_err(|_| Refusal::Path)
}

/// Escapes all but what may stand in a path unescaped (RFC 3986 §3.3).
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(byte as char),
            _ if b"/-._~!$&'()*+,;=:@".contains(&byte) => escaped.push(byte as char),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                escaped.push('%');
                escaped.push(HEX[usize::from(byte >> 4)] as char);
                escaped.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(uri: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn host(uri: &str, hosts: &[&str]) -> Option<String> {
        let target = Target::read(&head(uri, hosts)).ok()?;
        target.host
    }

    #[test]
    fn a_request_needs_exactly_one_host() {
        assert_eq!(host("/", &["Example.com:8080"]).unwrap(), "example.com");
        assert_eq!(host("/", &[]), None);
        assert_eq!(host("/", &["a.example", "a.example"]), None);
        for bad in ["user@example.com", "exa mple.com", "example.com/x", ""] {
            assert_eq!(host("/", &[bad]), None, "{bad}");
        }
    }

    #[test]
    fn an_absolute_target_is_stronger_than_host() {
        let uri = "http://other.example/x";
        assert_eq!(host(uri, &["example.com"]).unwrap(), "other.example");
        let target = Target::read(&head(uri, &["example.com"])).unwrap();
        assert_eq!(target.authority.unwrap(), "other.example");
        assert_eq!(host(uri, &[]), None);
        assert_eq!(host("ftp://other.example/x", &["example.com"]), None);
    }

    #[test]
    fn http_1_0_may_have_no_host() {
        let mut old = head("/", &[]);
        old.version = Version::HTTP_10;
        assert!(Target::read(&old).unwrap().host.is_none());
    }

    #[test]
    fn connect_and_trace_are_refused() {
        for method in [Method::CONNECT, Method::TRACE] {
            let mut head = head("/", &["example.com"]);
            head.method = method;
            assert!(matches!(Target::read(&head), Err(Refusal::Method)));
        }
    }

    fn cut_of(uri: &str, prefix: &str) -> String {
        let head = head(uri, &["example.com"]);
        Target::read(&head).unwrap().cut(&head, prefix).unwrap().to_string()
    }

    #[test]
    fn a_prefix_is_cut_from_the_path_as_it_came() {
        assert_eq!(cut_of("/api/x?y=%2F", "/api"), "/x?y=%2F");
        assert_eq!(cut_of("/api", "/api"), "/");
        assert_eq!(cut_of("/api-2/x", "/api-"), "/2/x");
        assert_eq!(cut_of("/x", "/"), "/x");
        assert_eq!(cut_of("/api/a%20b%FF", "/api"), "/a%20b%FF");
    }

    #[test]
    fn a_path_that_is_not_in_its_normal_form_is_cut_in_it() {
        assert_eq!(cut_of("/x/../api/y", "/api"), "/y");
        assert_eq!(cut_of("//api//y%20z", "/api"), "/y%20z");
        assert_eq!(cut_of("/%61pi/a/../../api/b", "/api"), "/b");
        assert_eq!(cut_of("/api/a/../../api/b", "/api"), "/b");
        assert_eq!(cut_of("/api/%2E%2e/api/b", "/api"), "/b");
        assert_eq!(cut_of("/%61pi/100%25", "/api"), "/100%25");
    }
}
