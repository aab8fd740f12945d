//! A route's conditions: host, path, methods, header fields; and the identity they give it.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use regex::{Regex, RegexBuilder};

use crate::wire::host as spelling;
use crate::wire::path::fold;

use super::super::fault::Fault;
use super::super::plan::{
    FieldCondition, FieldMatch, HostPattern, PathPattern, Route, WebSocketMode,
};
use super::super::tables::FieldTest;

/// Which hosts are taken.
pub fn host(text: &str) -> Result<HostPattern, Fault> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    let wrong = |what: &str| Fault::new(format!("{what}, not: `{text}`"));
    let write = |meant: &str| format!("write `\"{meant}\"`");
    if let Some((_, rest)) = text.split_once("://") {
        let meant = rest.split(['/', ':']).next().unwrap_or(rest);
        return Err(wrong("must be a host alone").hint(write(meant)));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        let fault = wrong("must have brackets round an IPv6 address");
        return Err(fault.hint(write(&format!("[{text}]"))));
    }
    if !text.is_ascii() {
        let hint = "an international name is written as it is sent: `xn--…`".to_owned();
        return Err(wrong("must be ASCII").hint(hint));
    }
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if name.contains('*') {
        return Err(wrong("may have a star as its whole first label only, as in `*.example.com`"));
    }
    // Requests are brought into the same spelling, or the two would never meet.
    let host = spelling::canonical(name)
        .map_err(|error| Fault::new(format!("must be a host: {error}: `{text}`")))?;
    if host.port.is_some() {
        let fault = wrong("must be a host without a port");
        return Err(fault.hint(write(&host.name)));
    }
    let name = host.name.into();
    Ok(if wildcard { HostPattern::Wildcard(name) } else { HostPattern::Exact(name) })
}

/// Which paths are taken; `ignore_case` is the key of this name.
pub fn path(text: &str, ignore_case: bool) -> Result<PathPattern, Fault> {
    if let Some(source) = text.strip_prefix('~') {
        return regex(source, ignore_case).map(PathPattern::Regex);
    }
    let folded =
        |path: &str| -> Arc<str> { if ignore_case { fold(path).into() } else { path.into() } };
    if let Some(exact) = text.strip_prefix('=') {
        let exact = exact.trim_start();
        return literal(exact, text).map(|()| PathPattern::Exact(folded(exact)));
    }
    let (is_final, prefix) = match text.strip_prefix("^~") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    match prefix.strip_suffix('*') {
        Some(prefix) => {
            literal(prefix, text)?;
            Ok(PathPattern::Textual { prefix: folded(prefix), is_final })
        }
        None => {
            literal(prefix, text)?;
            let whole = prefix.trim_end_matches('/');
            let prefix = folded(if whole.is_empty() { "/" } else { whole });
            Ok(PathPattern::Segment { prefix, is_final })
        }
    }
}

/// A literal part of a path must be one that a normalised path can begin with, else the route
/// would never be taken.
fn literal(path: &str, written: &str) -> Result<(), Fault> {
    let wrong = |what: &str| Fault::new(format!("{what}: `{written}`"));
    if !path.starts_with('/') {
        let hint = match path {
            "" | "*" => "all paths are `\"/\"`, or no `path`".to_owned(),
            _ if path.contains(['^', '$', '(', '\\', '[']) => {
                format!("a regular expression begins with `~`: write `\"~ {written}\"`")
            }
            _ => format!("write `\"/{path}\"`"),
        };
        return Err(wrong("must begin with a slash").hint(hint));
    }
    if path.contains('*') {
        let begin = written.trim_end_matches('*');
        let hint = match begin.contains('*') {
            true => "a regular expression is written `\"~ ^/a/.*/b$\"`".to_owned(),
            false => format!("write `\"{begin}*\"`: it is all that begins so"),
        };
        return Err(wrong("may have a star at its end only").hint(hint));
    }
    if path.contains(['?', '#']) {
        return Err(wrong("must be a path without a query"));
    }
    if path.contains(';') {
        let hint = "paths are matched without parameters, from `;` to the next slash".to_owned();
        return Err(wrong("would never be taken").hint(hint));
    }
    if path.contains(|letter: char| letter == '\\' || letter.is_ascii_control()) {
        let hint = "a path with a backslash or a control character is answered 400".to_owned();
        return Err(wrong("would never be taken").hint(hint));
    }
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if path.contains("//") || dots {
        let hint = "`//`, `.` and `..` are resolved before paths are matched".to_owned();
        return Err(wrong("would never be taken").hint(hint));
    }
    let hex = |at: usize| path.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if path.match_indices('%').any(|(at, _)| hex(at + 1) && hex(at + 2)) {
        let hint = "paths are decoded before they are matched: write what `%…` stands for";
        return Err(wrong("would never be taken").hint(hint.to_owned()));
    }
    Ok(())
}

/// What other routers would fill in a path that is a literal here: `:id`, `{id}`, `<id>`, or the
/// `$` of a regex.
pub fn unlikely(text: &str) -> Option<&str> {
    let is_parameter = |segment: &&str| {
        let within = |open, close| segment.starts_with(open) && segment.ends_with(close);
        (segment.starts_with(':') && segment.len() > 1) || within('{', '}') || within('<', '>')
    };
    let is_regex = text.trim_start().starts_with('~');
    let parameter = text.split('/').find(is_parameter);
    let end = text.ends_with('$').then_some("$");
    parameter.or(end).filter(|_| !is_regex)
}

/// What follows a `~`: a regex, behind a star one without regard to case. Its `.` matches newlines,
/// lest `^/admin.*$` be got round by one.
pub fn regex(text: &str, ignore_case: bool) -> Result<Regex, Fault> {
    let (source, ignore_case) = match text.strip_prefix('*') {
        Some(source) => (source, true),
        None => (text, ignore_case),
    };
    let source = source.trim_start();
    if source.is_empty() {
        return Err(Fault::new("has no regular expression after `~`"));
    }
    let flags = if ignore_case { "(?i)" } else { "" };
    let whole = format!("{flags}{source}");
    RegexBuilder::new(&whole).dot_matches_new_line(true).build().map_err(|error| {
        // The crate draws the place over several lines; its last says what is wrong.
        let said = error.to_string();
        let last = said.lines().last().unwrap_or("").trim();
        let why = last.strip_prefix("error: ").unwrap_or(last);
        Fault::new(format!("must be a regular expression: {why}: `{whole}`"))
    })
}

/// A method.
pub fn method(text: &str) -> Result<Method, Fault> {
    let wrong = || Fault::new(format!("must be a method, not: `{text}`"));
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| wrong())?;
    let upper = text.to_ascii_uppercase();
    // Methods know case (RFC 9110 §9.1), and no registered one has small letters.
    if upper == text { Ok(method) } else { Err(wrong().hint(format!("write `\"{upper}\"`"))) }
}

/// A header field's name.
pub fn field_name(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::try_from(text)
        .map_err(|_| Fault::new(format!("must be the name of a header field, not: `{text}`")))
}

/// A header field's value.
pub fn field_value(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text).map_err(|_| {
        let text = text.escape_debug();
        Fault::new(format!("must be the value of a header field, not: `{text}`"))
    })
}

/// What a header field must be.
pub fn field(test: &FieldTest) -> Result<FieldMatch, Fault> {
    match test {
        FieldTest::Present(true) => Ok(FieldMatch::Present),
        FieldTest::Present(false) => Ok(FieldMatch::Absent),
        FieldTest::Text(text) => match text.strip_prefix('~') {
            Some(source) => regex(source, false).map(FieldMatch::Regex),
            None => field_value(text).map(FieldMatch::Exact),
        },
    }
}

/// The identity of a route without a name: its condition, in one way of writing it.
pub fn identity(host: &HostPattern, route: &Route) -> Arc<str> {
    let path = &route.path;
    let mut text = match path {
        PathPattern::Segment { is_final: false, .. }
        | PathPattern::Textual { is_final: false, .. } => format!("{host}{path}"),
        _ => format!("{host} {path}"),
    };
    if route.ignore_case {
        text.push_str(" any case");
    }
    let mut methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    methods.sort_unstable();
    if !methods.is_empty() {
        text.push(' ');
        text.push_str(&methods.join(","));
    }
    let mut listeners: Vec<&str> = route.listeners.iter().map(|name| &**name).collect();
    listeners.sort_unstable();
    if !listeners.is_empty() {
        text.push_str(" @");
        text.push_str(&listeners.join(","));
    }
    if route.websocket == WebSocketMode::Matched {
        text.push_str(" websocket");
    }
    let mut headers: Vec<&FieldCondition> = route.headers.iter().collect();
    headers.sort_unstable_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    for FieldCondition { name, value } in headers {
        // Writing to a string cannot fail: it only grows.
        let _ = match value {
            FieldMatch::Present => write!(text, " {name}"),
            FieldMatch::Absent => write!(text, " !{name}"),
            FieldMatch::Exact(value) => {
                write!(text, " {name}={}", String::from_utf8_lossy(value.as_bytes()))
            }
            FieldMatch::Regex(regex) => write!(text, " {name}~{}", regex.as_str()),
        };
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_brought_into_one_form() {
        let shown = |text: &str| host(text).unwrap().to_string();
        assert_eq!(shown("Example.COM."), "example.com");
        assert_eq!(shown("*.Example.com"), "*.example.com");
        assert_eq!(shown("[0:0::1]"), "[::1]");
        assert_eq!(shown("*"), "*");
        for wrong in ["", "a..b", "a b", "a.*.b", "x*.b", "a:80", "::1", "http://a/", "bücher.de"]
        {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_read_as_they_are_shown() {
        for text in ["/", "/chat", "= /chat/", "^~ /x", "/chat*", "^~ /x*", "~ ^/r/[0-9]+$"] {
            assert_eq!(path(text, false).unwrap().to_string(), text);
        }
        assert_eq!(path("/chat/", false).unwrap(), path("/chat", false).unwrap());
        assert_eq!(path("=/x", false).unwrap(), path("= /x", false).unwrap());
        for (wrong, why) in [("/a//b", "`//`"), ("/a;b", "`;`"), ("/a\\b", "400"), ("~*", "~")] {
            let fault = format!("{:?}", path(wrong, false).unwrap_err());
            assert!(fault.contains(why), "{fault}");
        }
        for wrong in ["chat", "", "/a/../b", "/a*b", "/a?b", "/a%20b", "~", "~ (", "= x"] {
            assert!(path(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn case_is_ignored_by_a_star_or_by_the_key() {
        let shown = |text: &str| path(text, true).unwrap().to_string();
        assert_eq!(shown("/Chat"), "/chat");
        assert_eq!(shown("= /Chat/"), "= /chat/");
        assert_eq!(shown("^~ /Chat*"), "^~ /chat*");
        for (text, ignore_case) in [("~* \\.JPG|\\.PNG$", false), ("~ \\.PNG$", true)] {
            let PathPattern::Regex(regex) = path(text, ignore_case).unwrap() else { panic!() };
            assert!(regex.is_match("/a.png"));
        }
    }

    #[test]
    fn a_dot_in_a_regex_matches_newlines_and_a_star_means_the_same_in_fields() {
        let PathPattern::Regex(regex) = path("~ ^/admin.*$", false).unwrap() else { panic!() };
        assert!(regex.is_match("/admin\n"));
        let text = FieldTest::Text("~* ^ja$".to_owned());
        let FieldMatch::Regex(regex) = field(&text).unwrap() else { panic!() };
        assert!(regex.is_match("JA"));
    }
}
