//! A redirect, its target filled in from the request.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode, Uri};

use crate::base::body::{self, Body};
use crate::config::plan::Redirect;

/// What a redirect's target may name.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `http` or `https`, as the client connected.
    pub scheme: &'a str,
    /// The canonical host, without a port; an IPv6 address in its brackets.
    pub host: &'a str,
    /// Path and query as they came.
    pub uri: &'a Uri,
}

/// The redirect the plan holds, for this request.
pub fn redirect(plan: &Redirect, asked: &Asked<'_>) -> Response<Body> {
    let mut answer = Response::new(body::empty());
    match HeaderValue::try_from(fill(&plan.to, asked)) {
        Ok(target) => {
            *answer.status_mut() = plan.status;
            answer.headers_mut().insert(LOCATION, target);
        }
        // What came through an HTTP parser has no byte a field could not hold; but were there one,
        // it must not reach a header.
        Err(_) => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    answer
}

fn fill(template: &str, asked: &Asked<'_>) -> String {
    let mut target = String::with_capacity(template.len() + asked.host.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        target.push_str(before);
        let Some((name, after_name)) = after.split_once('}') else {
            rest = &rest[before.len()..];
            break;
        };
        match name {
            "scheme" => target.push_str(asked.scheme),
            "host" => target.push_str(asked.host),
            // A path that begins with two slashes would be taken for a host where the template
            // begins with it.
            "path" if target.is_empty() => {
                target.push('/');
                target.push_str(asked.uri.path().trim_start_matches('/'));
            }
            "path" => target.push_str(asked.uri.path()),
            "query" => {
                if let Some(query) = asked.uri.query() {
                    target.push('?');
                    target.push_str(query);
                }
            }
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
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(template: &str, uri: &'static str) -> String {
        let uri = Uri::from_static(uri);
        fill(template, &Asked { scheme: "http", host: "example.com", uri: &uri })
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        assert_eq!(
            target("https://{host}{path}{query}", "/a%20b?c=d"),
            "https://example.com/a%20b?c=d"
        );
        assert_eq!(target("{scheme}://www.{host}/", "/x?y"), "http://www.example.com/");
        assert_eq!(target("https://{host}{path}{query}", "/"), "https://example.com/");
        assert_eq!(target("/new{path}", "/old"), "/new/old");
    }

    #[test]
    fn what_is_no_name_stays_as_it_is() {
        assert_eq!(target("/{other}/{", "/x"), "/{other}/{");
    }

    #[test]
    fn a_path_cannot_become_a_host() {
        assert_eq!(target("{path}", "//evil.example/"), "/evil.example/");
    }
}
