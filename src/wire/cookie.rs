//! The `Cookie` field (RFC 6265 §4.2): pairs between semicolons, in one line or, over HTTP/2, in
//! several (RFC 9113 §8.2.3).

use http::HeaderMap;
use http::header::COOKIE;

/// The value of the first cookie of this name, which is the one whose path is longest (RFC 6265
/// §5.4). Quotes are part of a value.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn a_cookie_is_found_in_any_line_by_its_whole_name() {
        let headers = map(&["xroom=0; room2=1;a=b", " c=d ;room=seven=7; room=8"]);
        assert_eq!(value(&headers, "room"), Some(&b"seven=7"[..]));
        assert_eq!(value(&headers, "a"), Some(&b"b"[..]));
        assert_eq!(value(&headers, "oom"), None);
        assert_eq!(value(&headers, "ROOM"), None);
        assert_eq!(value(&map(&["room"]), "room"), None);
        assert_eq!(value(&map(&["room="]), "room"), Some(&b""[..]));
    }
}
