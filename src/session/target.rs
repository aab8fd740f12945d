//! What a request asks for: its canonical host, and its path, read once (RFC 9112 §3.2).

use http::header::HOST;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::refusal::Refusal;
use crate::config::plan::{PathChange, Route};
use crate::rewrite::upstream_path;
use crate::wire::host;
use crate::wire::path::{self, PathError, Reading};

/// A request's target, as routes are chosen by it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Lower case, without port or final dot, an IPv6 address in brackets; `None` in an HTTP/1.0
    /// request without one.
    pub(super) host: Option<String>,
    /// The port asked for, where one was written.
    pub(super) port: Option<u16>,
    /// Host and port as the client wrote them.
    pub(super) authority: Option<HeaderValue>,
    /// What routes are matched with: see [`path::Reading`].
    pub(super) path: String,
    /// What is sent on, where that is not the path as it came.
    resolved: Option<String>,
    /// Why only a route with `raw_path` may take the request.
    ambiguity: Option<PathError>,
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
        let port = host.as_ref().and_then(|host| host.port);
        let host = host.map(|host| host.name.into_owned());
        let raw = head.uri.path();
        let (path, resolved, ambiguity) = match path::read(raw) {
            Ok(Reading { matched, sent }) => {
                let resolved = if sent == raw { None } else { Some(sent.into_owned()) };
                (matched.into_owned(), resolved, None)
            }
            Err(error) if error.is_ambiguous() => {
                (path::read_ambiguous(raw).map_err(Refusal::Path)?, None, Some(error))
            }
            Err(error) => return Err(Refusal::Path(error)),
        };
        Ok(Target { host, port, authority, path, resolved, ambiguity })
    }

    /// Makes `Host` the authority that counts, for all that look at the field.
    pub(super) fn write_host(&self, headers: &mut HeaderMap) {
        match &self.authority {
            Some(authority) if headers.get(HOST) != Some(authority) => {
                headers.insert(HOST, authority.clone());
            }
            _ => {}
        }
    }

    /// Refuses a path that readers do not agree on, unless the route takes it as it came.
    pub(super) fn check(&self, route: Option<&Route>) -> Result<(), Refusal> {
        match self.ambiguity {
            Some(error) if !route.is_some_and(|route| route.raw_path) => Err(Refusal::Path(error)),
            _ => Ok(()),
        }
    }

    /// Path and query as they are sent on: without dot segments.
    pub(super) fn sent(&self, head: &Parts) -> Result<PathAndQuery, Refusal> {
        match &self.resolved {
            Some(path) => join(path, head.uri.query()),
            None => head.uri.path_and_query().cloned().ok_or(Refusal::Path(PathError::NotAbsolute)),
        }
    }

    /// Path and query as they are sent on by a route that does this to the path.
    pub(super) fn changed(
        &self,
        head: &Parts,
        route: &Route,
        change: &PathChange,
    ) -> Result<PathAndQuery, Refusal> {
        if change.prefix.is_none() && change.rewrite.is_none() {
            return self.sent(head);
        }
        let (prefix, is_whole) = (self.prefix(route), self.is_prefix(route));
        let path = upstream_path(self.sent_path(head), prefix, is_whole, change);
        join(&path.map_err(Refusal::Path)?, head.uri.query())
    }

    /// Whether it is the route's prefix, without a slash behind it.
    pub(super) fn is_prefix(&self, route: &Route) -> bool {
        self.prefix(route) == self.path.len() && !self.path.ends_with('/')
    }

    /// The route's prefix as the client wrote it, escaped, without its last slash.
    pub(super) fn public_prefix(&self, route: &Route) -> String {
        let prefix = self.path.get(..self.prefix(route)).unwrap_or_default();
        path::escape(prefix.trim_end_matches('/'), false).into_owned()
    }

    /// The path as it is matched, without the prefix that the route has cut off: what stands below
    /// a directory.
    pub(super) fn below(&self, route: Option<&Route>) -> String {
        let prefix = route.map_or(0, |route| self.prefix(route));
        let rest = self.path.get(prefix..).unwrap_or_default().trim_start_matches('/');
        ["/", rest].concat()
    }

    /// The path alone, as it is sent on.
    pub(super) fn sent_path<'a>(&'a self, head: &'a Parts) -> &'a str {
        self.resolved.as_deref().unwrap_or(head.uri.path())
    }

    /// Bytes of the matched path that the route's own path stands for.
    fn prefix(&self, route: &Route) -> usize {
        route.prefix_of(&self.path).unwrap_or_default()
    }
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

fn join(path: &str, query: Option<&str>) -> Result<PathAndQuery, Refusal> {
    let whole = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    whole.map_err(|_| Refusal::Path(PathError::NotAbsolute))
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

    fn sent(uri: &str) -> Result<String, Refusal> {
        let head = head(uri, &["example.com"]);
        let target = Target::read(&head)?;
        target.check(None)?;
        Ok(target.sent(&head)?.to_string())
    }

    #[test]
    fn what_is_sent_came_so_but_for_dot_segments() {
        assert_eq!(sent("/a%20b//c%2Fd;v=1?x=/../").unwrap(), "/a%20b//c%2Fd;v=1?x=/../");
        assert_eq!(sent("/admin/../x?y").unwrap(), "/x?y");
        assert_eq!(sent("http://example.com/a/./b").unwrap(), "/a/b");
        assert!(matches!(sent("/a/..%2fx"), Err(Refusal::Path(PathError::HiddenDots))));
    }
}
