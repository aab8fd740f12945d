//! A request's head as text of HTTP/1.1 (RFC 9112 §3, §5).

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

/// Names whose spelling in RFCs is not that of words with a capital each. Names count in any case
/// (RFC 9110 §5.1), but not every small peer knows.
const SPELLINGS: [&str; 6] =
    ["DNT", "ETag", "TE", "WWW-Authenticate", "X-Request-ID", "X-XSS-Protection"];

/// What the names of RFC 6455 begin with, as they are spelt there (§11.3).
const SEC_WEBSOCKET: &str = "Sec-WebSocket-";

/// Writes the first line, in origin form.
pub fn write_request_line(method: &Method, target: &PathAndQuery, text: &mut Vec<u8>) {
    text.extend_from_slice(method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_str().as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes a field's line, its name in the spelling of RFCs.
pub fn write_field(name: &HeaderName, value: &HeaderValue, text: &mut Vec<u8>) {
    write_name(name.as_str(), text);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

/// Ends the head.
pub fn end(text: &mut Vec<u8>) {
    text.extend_from_slice(b"\r\n");
}

/// Writes a name, which is in lower case.
fn write_name(name: &str, text: &mut Vec<u8>) {
    let spelt = SPELLINGS.iter().find(|spelt| spelt.eq_ignore_ascii_case(name));
    let start = text.len();
    text.extend_from_slice(spelt.map_or(name, |spelt| spelt).as_bytes());
    if spelt.is_some() {
        return;
    }
    let mut begins = true;
    for byte in &mut text[start..] {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
    let written = &mut text[start..];
    if let Some(begin) = written.get_mut(..SEC_WEBSOCKET.len())
        && begin.eq_ignore_ascii_case(SEC_WEBSOCKET.as_bytes())
    {
        begin.copy_from_slice(SEC_WEBSOCKET.as_bytes());
    }
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
