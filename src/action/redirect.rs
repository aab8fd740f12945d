//! A redirect, its target filled in from the request.

use http::header::LOCATION;
use http::{HeaderValue, Response};

use super::action_error::ActionError;
use crate::base::body::{self, Body};
use crate::config::plan::Redirect;
use crate::wire::path;
use crate::wire::template::{Fill, Hole};

/// What a redirect's target may name.
#[derive(Clone, Copy, Debug)]
pub struct RedirectRequest<'a> {
    /// `http` or `https`, as the client connected.
    pub scheme: &'a str,
    /// The canonical host, without a port; an IPv6 address in its brackets; `None` in an HTTP/1.0
    /// request without one.
    pub host: Option<&'a str>,
    /// The path as it would be sent to a backend.
    pub path: &'a str,
    /// The query, without its `?`.
    pub query: Option<&'a str>,
}

/// The redirect the plan holds, for this request.
///
/// # Errors
/// [`ActionError::NoHost`] where the target names the host and the request does not.
pub fn redirect(
    plan: &Redirect,
    asked: &RedirectRequest<'_>,
) -> Result<Response<Body>, ActionError> {
    if plan.to.has(&Hole::Host) && asked.host.is_none() {
        return Err(ActionError::NoHost);
    }
    let target = plan.to.fill(asked);
    // cannot fail: the template's texts are a field's value, and what is filled in is ASCII.
    let target = HeaderValue::try_from(target).expect("a target is text");
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = plan.status;
    answer.headers_mut().insert(LOCATION, target);
    Ok(answer)
}

impl Fill for RedirectRequest<'_> {
    fn fill(&self, hole: &Hole, out: &mut Vec<u8>) {
        match hole {
            Hole::Scheme => out.extend_from_slice(self.scheme.as_bytes()),
            Hole::Host => out.extend_from_slice(self.host.unwrap_or_default().as_bytes()),
            Hole::Path => push_path(out, self.path),
            Hole::Query => push_query(out, self.query),
            // A redirect has no others: `template::REDIRECT`.
            _ => {}
        }
    }
}

/// A path begins with one slash: a browser takes what follows two for a host. What may not stand in
/// one is escaped; escapes stay.
fn push_path(target: &mut Vec<u8>, path: &str) {
    if !target.ends_with(b"/") {
        target.push(b'/');
    }
    target.extend_from_slice(path::escape(path::trim_slashes(path), true).as_bytes());
}

/// A query may have what a path may, and a question mark (RFC 3986 §3.4).
fn push_query(target: &mut Vec<u8>, query: Option<&str>) {
    let Some(query) = query else { return };
    for part in query.split('?') {
        target.push(b'?');
        target.extend_from_slice(path::escape(part, true).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::template::{REDIRECT, Template};
    use http::StatusCode;

    fn found(to: &str) -> Redirect {
        Redirect { to: Template::parse(to, &REDIRECT).unwrap(), status: StatusCode::FOUND }
    }

    fn target(template: &str, path: &str, query: Option<&str>) -> String {
        let asked = RedirectRequest { scheme: "http", host: Some("example.com"), path, query };
        let plan = found(template);
        redirect(&plan, &asked).unwrap().headers()[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        assert_eq!(
            target("https://{host}{path}{query}", "/a%20b%2Fc//d;e", Some("f=g?h")),
            "https://example.com/a%20b%2Fc//d;e?f=g?h"
        );
        assert_eq!(target("{scheme}://www.{host}/", "/x", None), "http://www.example.com/");
        assert_eq!(target("https://{host}{path}{query}", "/", None), "https://example.com/");
        assert_eq!(target("/new{path}", "/old", None), "/new/old");
    }

    #[test]
    fn a_path_cannot_become_a_host() {
        for path in
            ["//evil.example/", "///evil.example/", "/%2fevil.example/", "/%2F/evil.example/"]
        {
            assert_eq!(target("{path}", path, None), "/evil.example/", "{path}");
            assert_eq!(target("/{path}", path, None), "/evil.example/", "{path}");
            let whole = target("https://{host}/{path}", path, None);
            assert_eq!(whole, "https://example.com/evil.example/", "{path}");
        }
    }

    #[test]
    fn what_may_not_stand_in_a_url_is_escaped() {
        let odd = target("{path}{query}", "/a\\b\"<é>`{|}^", Some("\\<é>\"#?x"));
        assert_eq!(odd, "/a%5Cb%22%3C%C3%A9%3E%60%7B%7C%7D%5E?%5C%3C%C3%A9%3E%22%23?x");
    }

    #[test]
    fn a_host_that_is_not_there_is_not_left_out() {
        let asked =
            RedirectRequest { scheme: "http", host: None, path: "//evil.example/", query: None };
        let fill = |to: &str| {
            let plan = found(to);
            redirect(&plan, &asked)
        };
        assert!(matches!(fill("https://{host}{path}"), Err(ActionError::NoHost)));
        assert!(fill("https://example.com{path}").is_ok());
    }
}
