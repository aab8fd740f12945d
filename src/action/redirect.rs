//! A redirect, its target filled in from the request.

use http::header::LOCATION;
use http::{HeaderValue, Response};

use super::action_error::ActionError;
use crate::base::body::{self, Body};
use crate::config::plan::Redirect;
use crate::wire::path;

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
    let target = fill(&plan.to, asked)?;
    // cannot fail: the template is a field's value, and what is filled in is ASCII.
    let target = HeaderValue::try_from(target).expect("a target is text");
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = plan.status;
    answer.headers_mut().insert(LOCATION, target);
    Ok(answer)
}

fn fill(template: &str, asked: &RedirectRequest<'_>) -> Result<String, ActionError> {
    let mut target = String::with_capacity(template.len() + asked.path.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        target.push_str(before);
        let Some((name, after_name)) = after.split_once('}') else {
            rest = &rest[before.len()..];
            break;
        };
        match name {
            "scheme" => target.push_str(asked.scheme),
            "host" => target.push_str(asked.host.ok_or(ActionError::NoHost)?),
            "path" => push_path(&mut target, asked.path),
            "query" => push_query(&mut target, asked.query),
            // The configuration knows no other name; one that slips through stays as written.
            other => {
                target.push('{');
                target.push_str(other);
                target.push('}');
            }
        }
        rest = after_name;
    }
    target.push_str(rest);
    Ok(target)
}

/// A path begins with one slash: a browser takes what follows two for a host. What may not stand in
/// one is escaped; escapes stay.
fn push_path(target: &mut String, path: &str) {
    if !target.ends_with('/') {
        target.push('/');
    }
    target.push_str(&path::escape(path::trim_slashes(path), true));
}

/// A query may have what a path may, and a question mark (RFC 3986 §3.4).
fn push_query(target: &mut String, query: Option<&str>) {
    let Some(query) = query else { return };
    for part in query.split('?') {
        target.push('?');
        target.push_str(&path::escape(part, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn target(template: &str, path: &str, query: Option<&str>) -> String {
        let asked = RedirectRequest { scheme: "http", host: Some("example.com"), path, query };
        let plan = Redirect { to: template.into(), status: StatusCode::FOUND };
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
    fn what_is_no_name_stays_as_it_is() {
        assert_eq!(target("/{other}/{", "/x", None), "/{other}/{");
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
            let plan = Redirect { to: to.into(), status: StatusCode::FOUND };
            redirect(&plan, &asked)
        };
        assert!(matches!(fill("https://{host}{path}"), Err(ActionError::NoHost)));
        assert!(fill("https://example.com{path}").is_ok());
    }
}
