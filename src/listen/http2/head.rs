//! A request's head: what the `h2` crate lets through and HTTP/1.1 could misread is refused, the
//! rest is made what HTTP/1.1 would have brought (RFC 9113 §8.2, §8.3).

use h2::Reason;
use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::config::plan::ListenerLimits;
use crate::wire::{host, request_line};

/// Why a head is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeadError {
    /// It is no request: the stream is reset with this (RFC 9113 §8.1.1).
    Malformed(Reason),
    /// More than `headers_max` fields.
    TooManyFields,
}

const MALFORMED: HeadError = HeadError::Malformed(Reason::PROTOCOL_ERROR);

/// Judges a head, and makes it as HTTP/1.1 has it.
///
/// The crate has refused names in upper case, fields about the connection, CR, LF and NUL in
/// values, lengths that are none, differ, or are not the body's, and pseudo-fields that are
/// doubled, unknown, or not before all others.
pub(super) fn fit(head: &mut Parts, limits: &ListenerLimits) -> Result<(), HeadError> {
    // A browser sends each of its cookies on a line of its own.
    join_cookies(&mut head.headers);
    if head.headers.len() > limits.headers_max {
        return Err(HeadError::TooManyFields);
    }
    let is_tunnel = head.method == Method::CONNECT && head.extensions.get::<Protocol>().is_none();
    // A tunnel's target is `:authority` and nothing else (RFC 9113 §8.5).
    let has_target = if is_tunnel { head.uri.authority().is_some() } else { has_path(head) };
    if !has_target || !is_host_one(head) {
        return Err(MALFORMED);
    }
    // RFC 9113 §8.2.1; on a line of HTTP/1.1 such spaces would be lost.
    if head.headers.values().any(is_padded) {
        return Err(MALFORMED);
    }
    keep_one_length(&mut head.headers);
    escape_query(&mut head.uri)
}

/// Escapes what no URI has in its query (RFC 3986 §3.4), as is done over HTTP/1.1. Only bytes
/// beyond ASCII come here as they are: the crate resets the stream of a `:path` with `"`, `<` or
/// `>`, which `http::uri` does not take (`h2::server::Peer::convert_poll_message`).
fn escape_query(uri: &mut Uri) -> Result<(), HeadError> {
    let Some(query) = uri.query().and_then(request_line::escape_query) else { return Ok(()) };
    let target = format!("{}?{query}", uri.path());
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| MALFORMED)?);
    *uri = Uri::from_parts(parts).map_err(|_| MALFORMED)?;
    Ok(())
}

/// Whether the client waits to be told to send its body.
pub(super) fn expects_continue(head: &Parts) -> bool {
    let expected = head.headers.get(EXPECT);
    expected.is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// RFC 9113 §8.3.1: `:path` begins with a slash; `*` is for OPTIONS.
fn has_path(head: &Parts) -> bool {
    // Empty where there was none, which the crate lets pass without `:authority`.
    let path = head.uri.path();
    path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS)
}

/// RFC 9113 §8.3.1: one of `Host` and `:authority` is there and not empty, and both say the same
/// after normalisation: that of case, final dots and the scheme's own port (RFC 3986 §6.2.3).
fn is_host_one(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), head.uri.authority()) {
        (_, Some(_), _) => false,
        (Some(host), None, Some(authority)) => {
            host.to_str().is_ok_and(|host| is_one_authority(head, host, authority.as_str()))
        }
        (Some(host), None, None) => !host.is_empty(),
        (None, None, authority) => authority.is_some(),
    }
}

/// Compares as URLs are (RFC 3986 §6.2.3): case, a final dot and the scheme's own port make no
/// other host. What is no host compares by its letters, and is refused further on.
fn is_one_authority(head: &Parts, one: &str, other: &str) -> bool {
    let own = if head.uri.scheme_str() == Some("http") { 80 } else { 443 };
    let (Ok(one_host), Ok(other_host)) = (host::canonical(one), host::canonical(other)) else {
        return one.eq_ignore_ascii_case(other);
    };
    let port = |port: Option<u16>| port.unwrap_or(own);
    one_host.name == other_host.name && port(one_host.port) == port(other_host.port)
}

fn is_padded(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last())
}

/// RFC 9113 §8.2.3: cookies that came in several fields are one for HTTP/1.1.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Values joined by what may stand in one are a value.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Equal lengths are one length (RFC 9110 §8.6).
fn keep_one_length(headers: &mut HeaderMap) {
    if let Some(length) = headers.get(CONTENT_LENGTH).cloned() {
        headers.insert(CONTENT_LENGTH, length);
    }
}
