//! A request's first line on its way in (RFC 9112 §3): the bytes of a query that clients send as
//! they are, and that a URI has escaped only (RFC 3986 §3.4).

/// Follows a head from its first byte to its last, split in any way, and escapes what no URI has
/// in its query: `"`, `<`, `>` and bytes beyond ASCII. Of a path nothing is escaped: readers must
/// agree on it.
#[derive(Clone, Copy, Default, Debug)]
pub struct QueryEscaper {
    part: LinePart,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum LinePart {
    /// Empty lines may come before it (RFC 9112 §2.2).
    #[default]
    Method,
    Path,
    Query,
    /// Behind the query, or in what is no request.
    Line,
    LineStart,
    End,
}

impl QueryEscaper {
    /// Takes bytes: how many of them are the head's, and what they become where that is not what
    /// they are.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Option<Vec<u8>>) {
        let mut escaped: Option<Vec<u8>> = None;
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            // The fields, which are most of a head, have nothing to be escaped.
            if escaped.is_none() && self.part.is_in_line(*byte) {
                let line = bytes[taken..].iter().position(|byte| *byte == b'\n');
                (self.part, taken) = (LinePart::Line, line.map_or(bytes.len(), |end| taken + end));
                continue;
            }
            if self.part == LinePart::End {
                break;
            }
            if self.part == LinePart::Query && is_odd(*byte) {
                push(*byte, escaped.get_or_insert_with(|| bytes[..taken].to_vec()));
            } else if let Some(escaped) = &mut escaped {
                escaped.push(*byte);
            }
            self.part = self.part.after(*byte);
            taken += 1;
        }
        (taken, escaped)
    }
}

/// A query, escaped in the same way; `None` where it has nothing to be escaped.
pub fn escape_query(query: &str) -> Option<String> {
    if !query.bytes().any(is_odd) {
        return None;
    }
    let mut escaped = Vec::with_capacity(query.len() * 3);
    query.bytes().for_each(|byte| push(byte, &mut escaped));
    // cannot fail: of what is escaped all is ASCII.
    Some(String::from_utf8(escaped).expect("ASCII"))
}

impl LinePart {
    /// Whether all up to the line's end is of no more interest.
    fn is_in_line(self, byte: u8) -> bool {
        match self {
            LinePart::Line => byte != b'\n',
            LinePart::LineStart => !matches!(byte, b'\r' | b'\n'),
            _ => false,
        }
    }

    fn after(self, byte: u8) -> LinePart {
        match (self, byte) {
            (LinePart::Method, b'\r' | b'\n') => LinePart::Method,
            (LinePart::Method, b' ') => LinePart::Path,
            (LinePart::Method, b'!'..=b'~') if byte != b':' => LinePart::Method,
            (LinePart::Path, b'?') => LinePart::Query,
            (LinePart::Path | LinePart::Query, b'!'..) => self,
            (LinePart::End, _) | (LinePart::LineStart, b'\n') => LinePart::End,
            (LinePart::LineStart, b'\r') | (_, b'\n') => LinePart::LineStart,
            _ => LinePart::Line,
        }
    }
}

/// Whether a query has no such byte but escaped.
pub(super) fn is_odd(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | 0x80..)
}

/// Adds a byte of a query, escaped where it must be.
fn push(byte: u8, escaped: &mut Vec<u8>) {
    match is_odd(byte) {
        true => escaped.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 0xf)]),
        false => escaped.push(byte),
    }
}

/// A digit in upper case (RFC 3986 §2.1).
fn hex(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        _ => b'A' + digit - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What becomes of bytes that come in two pieces.
    fn escaped(bytes: &[u8], split: usize) -> Vec<u8> {
        let mut escaper = QueryEscaper::default();
        let (one, other) = bytes.split_at(split.min(bytes.len()));
        let pieces = [one, other].map(|piece| {
            let (taken, escaped) = escaper.take(piece);
            [escaped.unwrap_or(piece[..taken].to_vec()), piece[taken..].to_vec()].concat()
        });
        pieces.concat()
    }

    #[test]
    fn a_query_is_escaped_and_nothing_else() {
        for (sent, wanted) in [
            ("GET /a?q=\"x\" HTTP/1.1\r\n", "GET /a?q=%22x%22 HTTP/1.1\r\n"),
            ("\r\nGET /?<é>&%3c HTTP/1.1\r\n", "\r\nGET /?%3C%C3%A9%3E&%3c HTTP/1.1\r\n"),
            ("GET http://a/?\"? HTTP/1.1\r\n", "GET http://a/?%22? HTTP/1.1\r\n"),
            ("GET /?{|}^`'\\ HTTP/1.1\r\n", "GET /?{|}^`'\\ HTTP/1.1\r\n"),
            ("GET /\"é<?a HTTP/1.1\r\n", "GET /\"é<?a HTTP/1.1\r\n"),
            ("GET /?a HTTP/1.1\r\nX: ?\"\r\n\r\n", "GET /?a HTTP/1.1\r\nX: ?\"\r\n\r\n"),
            ("GET /?\"\n?\"", "GET /?%22\n?\""),
            ("gent: /?\"", "gent: /?\""),
            ("GET /a\r\n?\"", "GET /a\r\n?\""),
            ("GET /?\"\r\n\r\nGET /?\"", "GET /?%22\r\n\r\nGET /?\""),
        ] {
            for split in 0..=sent.len() {
                let came = escaped(sent.as_bytes(), split);
                assert_eq!(String::from_utf8_lossy(&came), wanted, "{split}");
            }
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (head, behind) in [
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", "\r\nbody"),
            ("\r\n\nGET /?a\n\n", "\n"),
            ("x\0y\r\n\r\n", "GET /"),
        ] {
            let mut escaper = QueryEscaper::default();
            assert_eq!(escaper.take(&[head, behind].concat().into_bytes()), (head.len(), None));
            assert_eq!(escaper.take(behind.as_bytes()), (0, None));
        }
    }

    #[test]
    fn a_query_alone_is_escaped_in_the_same_way() {
        assert_eq!(escape_query("a=b&c=%22#"), None);
        assert_eq!(escape_query("q=\"<é>\"&x").unwrap(), "q=%22%3C%C3%A9%3E%22&x");
    }

    proptest! {
        #[test]
        fn what_a_client_escaped_itself_stays(query in "[!#-;=?-~]{0,40}", split in 0usize..60) {
            let line = format!("GET /?{query} HTTP/1.1\r\n\r\n");
            prop_assert_eq!(escaped(line.as_bytes(), split), line.as_bytes());
        }
    }
}
