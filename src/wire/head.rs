//! A head as text of HTTP/1.1 (RFC 9112 §3, §4, §5).

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

/// Writes the first line, in origin form.
pub fn write_request_line(method: &Method, target: &PathAndQuery, text: &mut Vec<u8>) {
    text.extend_from_slice(method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_str().as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes the first line of an answer.
pub fn write_status_line(status: StatusCode, text: &mut Vec<u8>) {
    text.extend_from_slice(b"HTTP/1.1 ");
    text.extend_from_slice(status.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    text.extend_from_slice(b"\r\n");
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

/// Writes an answer's head.
pub fn write_answer<B>(answer: &Response<B>, text: &mut Vec<u8>) {
    write_status_line(answer.status(), text);
    for (name, value) in answer.headers() {
        write_field(name, value, text);
    }
    end(text);
}

/// Ends the head.
pub fn end(text: &mut Vec<u8>) {
    text.extend_from_slice(b"\r\n");
}

/// Bytes of an answer's head as it is written, which need not be how it came: white space around
/// values is not counted.
pub fn answer_bytes(reason: usize, headers: &HeaderMap) -> usize {
    let line = "HTTP/1.1 200 \r\n".len() + reason;
    let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    line + headers.iter().map(field).sum::<usize>() + 2
}

/// Writes a name, which is in lower case: a capital begins each word.
fn write_name(name: &str, text: &mut Vec<u8>) {
    if let Some(spelling) = usual_spelling(name).or_else(|| special_spelling(name)) {
        return text.extend_from_slice(spelling.as_bytes());
    }
    let at = text.len();
    text.extend_from_slice(name.as_bytes());
    for word in text[at..].split_mut(|byte| *byte == b'-') {
        if let Some(first) = word.first_mut() {
            first.make_ascii_uppercase();
        }
    }
}

/// How names are written that nearly every head has: to find them is cheaper than to spell them.
fn usual_spelling(name: &str) -> Option<&'static str> {
    Some(match name {
        "connection" => "Connection",
        "cookie" => "Cookie",
        "date" => "Date",
        "forwarded" => "Forwarded",
        "host" => "Host",
        "origin" => "Origin",
        "sec-websocket-accept" => "Sec-WebSocket-Accept",
        "sec-websocket-extensions" => "Sec-WebSocket-Extensions",
        "sec-websocket-protocol" => "Sec-WebSocket-Protocol",
        "upgrade" => "Upgrade",
        "user-agent" => "User-Agent",
        "via" => "Via",
        "x-forwarded-for" => "X-Forwarded-For",
        "x-forwarded-host" => "X-Forwarded-Host",
        "x-forwarded-port" => "X-Forwarded-Port",
        "x-forwarded-proto" => "X-Forwarded-Proto",
        "x-real-ip" => "X-Real-Ip",
        "x-request-id" => "X-Request-Id",
        _ => return None,
    })
}

/// Names that are no words with a capital each, as their specifications spell them.
pub const SPECIAL_SPELLINGS: [&str; 27] = [
    "A-IM",
    "Accept-CH",
    "Content-DPR",
    "Content-ID",
    "Content-MD5",
    "Critical-CH",
    "DAV",
    "DNT",
    "DPR",
    "ECT",
    "ETag",
    "Expect-CT",
    "IM",
    "MIME-Version",
    "NEL",
    "P3P",
    "RTT",
    "Sec-GPC",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "SourceMap",
    "TE",
    "WWW-Authenticate",
    "X-XSS-Protection",
];

/// The one of [`SPECIAL_SPELLINGS`] that spells this name, which is in lower case.
pub fn special_spelling(name: &str) -> Option<&'static str> {
    let first = name.as_bytes().first()?.wrapping_sub(b'a');
    let (lengths, from, to) = *BY_FIRST_LETTER.get(usize::from(first))?;
    // Nearly every name is told from all of them by its first letter and its length.
    if name.len() >= 32 || lengths & (1 << name.len()) == 0 {
        return None;
    }
    let spells = |one: &&&str| one.eq_ignore_ascii_case(name);
    SPECIAL_SPELLINGS[from..to].iter().find(spells).copied()
}

/// Of [`SPECIAL_SPELLINGS`], which are sorted, by first letter: the lengths that there are, a bit
/// each, and where they begin and end.
const BY_FIRST_LETTER: [(u32, usize, usize); 26] = {
    let mut by_letter = [(0, 0, 0); 26];
    let mut at = SPECIAL_SPELLINGS.len();
    while at > 0 {
        at -= 1;
        let spelling = SPECIAL_SPELLINGS[at].as_bytes();
        let letter = &mut by_letter[(spelling[0] - b'A') as usize];
        let end = if letter.0 == 0 { at + 1 } else { letter.2 };
        *letter = (letter.0 | 1 << spelling.len(), at, end);
    }
    by_letter
};

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[test]
    fn names_are_spelt_as_rfcs_do() {
        for spelling in SPECIAL_SPELLINGS {
            let lower = spelling.to_ascii_lowercase();
            assert_eq!(special_spelling(&lower), Some(spelling));
        }
        let spelt = |name: &str| {
            let mut text = Vec::new();
            write_name(name, &mut text);
            String::from_utf8(text).unwrap()
        };
        for name in [
            "Connection",
            "Cookie",
            "Date",
            "Forwarded",
            "Host",
            "Origin",
            "Upgrade",
            "User-Agent",
            "Via",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "X-Real-Ip",
            "Content-Type",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Extensions",
            "Sec-Fetch-Mode",
            "TE",
            "ETag",
            "DNT",
            "WWW-Authenticate",
            "X-Forwarded-For",
            "X-Request-Id",
            "A",
            "X-",
        ]
        .iter()
        .chain(&SPECIAL_SPELLINGS)
        {
            assert_eq!(spelt(&name.to_ascii_lowercase()), *name);
        }
        assert_eq!(spelt("x_own-name"), "X_own-Name");
    }

    #[test]
    fn an_answers_bytes_are_those_written() {
        let mut headers = HeaderMap::new();
        headers.append(header::VIA, HeaderValue::from_static("a"));
        headers.append(header::VIA, HeaderValue::from_static(""));
        let mut text = Vec::new();
        write_status_line(StatusCode::NOT_FOUND, &mut text);
        for (name, value) in &headers {
            write_field(name, value, &mut text);
        }
        end(&mut text);
        assert_eq!(text, b"HTTP/1.1 404 Not Found\r\nVia: a\r\nVia: \r\n\r\n");
        assert_eq!(answer_bytes("Not Found".len(), &headers), text.len());
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
