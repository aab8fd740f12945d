//! The `Cookie` field (RFC 6265 §4.2): pairs between semicolons, in one line or, over HTTP/2, in
//! several (RFC 9113 §8.2.3).

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The value of the first cookie of this name, which is the one whose path is longest (RFC 6265
/// §5.4). Quotes are part of a value.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

/// Removes every cookie of this name; the others stay as they were written.
pub fn remove(headers: &mut HeaderMap, name: &str) {
    if value(headers, name).is_none() {
        return;
    }
    let is_named = |pair: &[u8]| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"="))
    };
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let pairs = line.as_bytes().split(|byte| *byte == b';');
        let left: Vec<&[u8]> = pairs.filter(|pair| !is_named(pair)).collect();
        let left = left.join(&b';');
        let left = left.trim_ascii();
        // Parts of a value are a value: this keeps every line in which something is left.
        if let (false, Ok(line)) = (left.is_empty(), HeaderValue::from_bytes(left)) {
            headers.append(COOKIE, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_cookie_is_removed_from_all_lines_and_leaves_the_others_as_they_were() {
        let without = |lines: &[&'static str]| {
            let mut headers = map(lines);
            remove(&mut headers, "room");
            let lines =
                headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap().to_owned());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(without(&["a=b; room=1; c=\"d\""]), ["a=b; c=\"d\""]);
        assert_eq!(without(&["room=1; a=b", "c=d;room=2;e=f"]), ["a=b", "c=d;e=f"]);
        assert_eq!(without(&["room=1", "a=b"]), ["a=b"]);
        assert_eq!(without(&["room=1"]), [""; 0]);
        assert_eq!(without(&["rooms=1;  room"]), ["rooms=1;  room"]);
    }
}
