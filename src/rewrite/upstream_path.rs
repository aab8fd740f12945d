//! A path on its way upstream: its prefix replaced, then what a regex finds in it.

use std::borrow::Cow;

use crate::config::plan::{PathChange, PathRewrite, RewritePart};
use crate::wire::path::{self, PathError};

/// Bytes of a path that is rewritten: what a head may have of one.
const PATH_BYTES_MAX: usize = 64 * 1024;

/// The path that goes upstream in place of `sent`, whose first `prefix` bytes, as they are matched,
/// are the route's own.
///
/// # Errors
/// What it is rewritten to does not lead where it says.
pub fn upstream_path(
    sent: &str,
    prefix: usize,
    is_whole: bool,
    change: &PathChange,
) -> Result<String, PathError> {
    let path: Cow<'_, str> = match change.prefix.as_deref() {
        Some(with) => replaced(sent, prefix, is_whole, with).into(),
        None => sent.into(),
    };
    match &change.rewrite {
        Some(rewrite) => rewritten(path, rewrite),
        None => Ok(path.into_owned()),
    }
}

/// `with` in place of the prefix; `is_whole` says that there is nothing behind it.
fn replaced(sent: &str, prefix: usize, is_whole: bool, with: &str) -> String {
    match is_whole && !with.is_empty() {
        true => with.to_owned(),
        false => [with, &path::cut(sent, prefix)].concat(),
    }
}

/// What the regex finds, in the form that routes are matched with, replaced. Where it finds nothing
/// the path stays as it came; what is found is decoded, and is escaped anew. The result is refused
/// where it is not read as it stands there: by no other reading does a part of a request lead out
/// of what was written in the configuration.
fn rewritten(path: Cow<'_, str>, rewrite: &PathRewrite) -> Result<String, PathError> {
    let matched = path::read(&path)?.matched;
    let Some(found) = rewrite.from.captures(&matched) else { return Ok(path.into_owned()) };
    let whole = found.get(0).map_or(0..0, |whole| whole.range());
    let mut text = matched[..whole.start].to_owned();
    for part in rewrite.to.iter() {
        let part = match part {
            RewritePart::Text(text) => text,
            RewritePart::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
        };
        if text.len() + part.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        text.push_str(part);
    }
    text.push_str(&matched[whole.end..]);
    // A backend could take what follows two slashes for a host.
    let text = ["/", text.trim_start_matches('/')].concat();
    // What was decoded begins no parameters.
    let escaped = path::escape(&text, false).replace(';', "%3B");
    match path::read(&escaped)?.sent == escaped {
        true => Ok(escaped),
        false => Err(PathError::HiddenDots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    fn prefix(sent: &str, prefix: &str, with: &str) -> String {
        let change = PathChange { prefix: Some(with.into()), rewrite: None };
        let matched = path::read(sent).unwrap().matched.into_owned();
        upstream_path(sent, prefix.len(), matched == prefix, &change).unwrap()
    }

    fn rewrite(sent: &str, from: &str, to: &[RewritePart]) -> Result<String, PathError> {
        let from = Regex::new(from).unwrap();
        let rewrite = PathRewrite { from, to: to.into() };
        let change = PathChange { prefix: None, rewrite: Some(rewrite) };
        upstream_path(sent, 0, false, &change)
    }

    fn text(text: &str) -> RewritePart {
        RewritePart::Text(text.into())
    }

    #[test]
    fn a_prefix_is_replaced_and_what_follows_it_stays_as_it_came() {
        assert_eq!(prefix("/api/x%20y/z", "/api", "/v2"), "/v2/x%20y/z");
        assert_eq!(prefix("/api", "/api", "/v2"), "/v2");
        assert_eq!(prefix("/api/", "/api", "/v2"), "/v2/");
        assert_eq!(prefix("/%61pi;v=1//x", "/api", "/v2"), "/v2/x");
        assert_eq!(prefix("/api/x", "/api", ""), "/x");
        assert_eq!(prefix("/api", "/api", ""), "/");
    }

    #[test]
    fn what_is_found_is_replaced_and_the_rest_stays() {
        let users = [text("/users/"), RewritePart::Group(1)];
        assert_eq!(rewrite("/u/17", "^/u/([0-9]+)$", &users).unwrap(), "/users/17");
        assert_eq!(rewrite("/%75/17", "^/u/([0-9]+)$", &users).unwrap(), "/users/17");
        assert_eq!(rewrite("/u/x%2Fy", "^/u/([0-9]+)$", &users).unwrap(), "/u/x%2Fy");
        assert_eq!(rewrite("/u/a/b", "^/u/", &[text("/v/")]).unwrap(), "/v/a/b");
        assert_eq!(rewrite("/u/%3Fa=b%23", "^/u/", &[text("/v/")]).unwrap(), "/v/%3Fa=b%23");
        assert_eq!(rewrite("/u/a%3Bb", "^/u/", &[text("/ö/")]).unwrap(), "/%C3%B6/a%3Bb");
        assert_eq!(rewrite("/u/a%25b", "^/u/", &[text("/")]).unwrap(), "/a%25b");
    }

    #[test]
    fn a_rewritten_path_leads_where_it_says() {
        let joined = [text("/"), RewritePart::Group(1), RewritePart::Group(2)];
        let dots = rewrite("/.x./y", "^/([.])x([.].*)$", &joined);
        assert_eq!(dots, Err(PathError::AboveRoot));
        let inside = rewrite(
            "/a/.x./y",
            "^/a/([.])x([.].*)$",
            &[text("/b/"), joined[1].clone(), joined[2].clone()],
        );
        assert_eq!(inside, Err(PathError::HiddenDots));
        let host = [text("/"), RewritePart::Group(1)];
        assert_eq!(rewrite("/go/evil.example", "^/go(.*)$", &host).unwrap(), "/evil.example");
        let many = vec![RewritePart::Group(1); 4096];
        let long = format!("/{}", "a".repeat(1000));
        assert_eq!(rewrite(&long, "^(.*)$", &many), Err(PathError::TooLong));
    }
}
