//! A request's head as text of HTTP/1.1 (RFC 9112 §3, §5).

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

/// Writes the first line, in origin form.
pub fn write_request_line(method: &Method, target: &PathAndQuery, text: &mut Vec<u8>) {
    text.extend_from_slice(method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_str().as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes a field's line, its name in the spelling of RFCs: names count in any case (RFC 9110
/// §5.1), but not every small peer knows.
pub fn write_field(name: &HeaderName, value: &HeaderValue, text: &mut Vec<u8>) {
    let (name, value) = (name.as_str(), value.as_bytes());
    text.reserve(name.len() + value.len() + 4);
    write_name(name, text);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// Ends the head.
pub fn end(text: &mut Vec<u8>) {
    text.extend_from_slice(b"\r\n");
}

/// What the names of RFC 6455 begin with, as they are spelt there (§11.3), and as they come.
const SEC_WEBSOCKET: [&str; 2] = ["Sec-WebSocket-", "sec-websocket-"];

/// Writes a name, which is in lower case.
fn write_name(name: &str, text: &mut Vec<u8>) {
    let start = text.len();
    let [spelt, lower] = SEC_WEBSOCKET;
    let rest = match name.strip_prefix(lower) {
        Some(rest) => {
            text.extend_from_slice(spelt.as_bytes());
            rest
        }
        None => other_spelling(name).unwrap_or(name),
    };
    let rest_start = text.len();
    text.extend_from_slice(rest.as_bytes());
    if rest_start == start && rest.as_bytes().first().is_some_and(u8::is_ascii_uppercase) {
        return;
    }
    let mut begins = true;
    for byte in &mut text[rest_start..] {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
}

/// The spelling in RFCs of names that are not words with a capital each.
fn other_spelling(name: &str) -> Option<&'static str> {
    Some(match name {
        "te" => "TE",
        "dnt" => "DNT",
        "etag" => "ETag",
        "x-request-id" => "X-Request-ID",
        "www-authenticate" => "WWW-Authenticate",
        "x-xss-protection" => "X-XSS-Protection",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[test]
    fn names_are_spelt_as_rfcs_do() {
        let spelt = |name: &str| {
            let mut text = Vec::new();
            write_name(name, &mut text);
            String::from_utf8(text).unwrap()
        };
        for name in [
            "Host",
            "Content-Type",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Extensions",
            "Sec-Fetch-Mode",
            "TE",
            "ETag",
            "DNT",
            "WWW-Authenticate",
            "X-Forwarded-For",
            "X-Request-ID",
            "A",
            "X-",
        ] {
            assert_eq!(spelt(&name.to_ascii_lowercase()), name);
        }
        assert_eq!(spelt("x_own-name"), "X_own-Name");
    }

    #[test]
    fn a_head_is_lines() {
        let mut text = Vec::new();
        write_request_line(&Method::GET, &PathAndQuery::from_static("/a?b"), &mut text);
        write_field(&header::HOST, &HeaderValue::from_static("a.example"), &mut text);
        let odd = HeaderValue::from_bytes(b"\xff\t\"").unwrap();
        write_field(&header::COOKIE, &odd, &mut text);
        end(&mut text);
        assert_eq!(text, b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nCookie: \xff\t\"\r\n\r\n");
    }
}
