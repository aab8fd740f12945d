//! Comma-separated lists over any number of field lines (RFC 9110 §5.6.1), tokens and quoted
//! strings (§5.6.2, §5.6.4).

use std::borrow::Cow;

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderValue};

/// The elements of a field whose list holds tokens only (`Connection`, `Upgrade`,
/// `Sec-WebSocket-Protocol`), in order, over all its lines; empty elements and those that are not
/// text are passed over.
pub fn tokens(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    tokens_of(headers.get_all(name))
}

/// The same of a field's lines.
pub fn tokens_of<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = &'a str> {
    let elements = lines.into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    elements.filter_map(|element| {
        let element = std::str::from_utf8(element).ok()?.trim_matches(OWS);
        (!element.is_empty()).then_some(element)
    })
}

/// Whether such a list has a token, in any case of letters.
pub fn has_token(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    have_token(headers.get_all(name), token)
}

/// The same of a field's lines.
pub fn have_token<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>, token: &str) -> bool {
    lines.into_iter().any(|line| {
        // Nearly always it stands alone.
        line.as_bytes().eq_ignore_ascii_case(token.as_bytes())
            || tokens_of([line]).any(|element| element.eq_ignore_ascii_case(token))
    })
}

/// Whether a value is a token (§5.6.2).
pub fn is_token(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| IS_TOKEN[usize::from(byte)])
}

/// Which bytes a token may have.
const IS_TOKEN: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0;
    while byte < may.len() {
        may[byte] = match byte as u8 {
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~' => true,
            letter => letter.is_ascii_alphanumeric(),
        };
        byte += 1;
    }
    may
};

/// Optional white space (§5.6.3).
pub(super) const OWS: [char; 2] = [' ', '\t'];

/// The parts of a value between separators that stand outside quoted strings, trimmed; `None` when
/// a quoted string has no end.
pub(super) fn split_quoted(value: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(value[start..at].trim_matches(OWS));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim_matches(OWS));
    (!quoted).then_some(parts)
}

/// A token or quoted string, without its quotes; `None` when it is neither.
pub(super) fn unquote(value: &str) -> Option<Cow<'_, str>> {
    if is_token(value) {
        return Some(value.into());
    }
    let mut inside = value.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut plain = String::with_capacity(value.len());
    while let Some(letter) = inside.next() {
        match letter {
            '"' => return None,
            '\\' => plain.push(inside.next()?),
            _ => plain.push(letter),
        }
    }
    Some(plain.into())
}

/// The value itself when it is a token, else as a quoted string.
pub(super) fn quote(value: &str) -> Cow<'_, str> {
    if is_token(value) {
        return value.into();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for letter in value.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONNECTION, UPGRADE};
    use proptest::prelude::*;

    fn connection(lines: &[&[u8]]) -> HeaderMap {
        let line = |line: &&[u8]| (CONNECTION, HeaderValue::from_bytes(line).unwrap());
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_list_goes_over_lines_and_empty_elements() {
        let headers = connection(&[b"keep-alive,, Upgrade\t,", b"", b" , close"]);
        let found: Vec<_> = tokens(&headers, CONNECTION).collect();
        assert_eq!(found, ["keep-alive", "Upgrade", "close"]);
        assert_eq!(tokens(&headers, UPGRADE).count(), 0);
    }

    #[test]
    fn a_token_is_found_in_any_case_but_only_whole() {
        let headers = connection(&[b"Keep-Alive", b"uPGRADE"]);
        assert!(has_token(&headers, CONNECTION, "upgrade"));
        assert!(has_token(&headers, "connection", "keep-alive"));
        assert!(!has_token(&headers, CONNECTION, "grade"));
        assert!(!has_token(&connection(&[b"upgrade websocket"]), CONNECTION, "upgrade"));
        assert!(!has_token(&connection(&[b"\"upgrade\""]), CONNECTION, "upgrade"));
    }

    #[test]
    fn an_element_that_is_not_text_hides_no_other() {
        let headers = connection(&[b"\xff, upgrade"]);
        assert_eq!(tokens(&headers, CONNECTION).collect::<Vec<_>>(), ["upgrade"]);
    }

    #[test]
    fn separators_in_quotes_do_not_separate() {
        assert_eq!(split_quoted(r#"a="x,\",y" ,b"#, b','), Some(vec![r#"a="x,\",y""#, "b"]));
        assert_eq!(split_quoted(r#"a="x"#, b','), None);
        assert_eq!(split_quoted(r#"a="x\""#, b','), None);
    }

    #[test]
    fn a_tokens_bytes_are_those_of_the_rfc() {
        for byte in 0..=255 {
            let may = char::from(byte).is_ascii_alphanumeric();
            let may = may || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(IS_TOKEN[usize::from(byte)], may, "{byte}");
        }
        assert!(!is_token(""));
    }

    #[test]
    fn quotes_come_off_and_go_on() {
        assert_eq!(unquote(r#""a\"b""#).as_deref(), Some("a\"b"));
        assert_eq!(unquote("plain").as_deref(), Some("plain"));
        for wrong in ["", "a b", "\"", "\"a", "a\"", "\"a\"b\"", "\"a\\\""] {
            assert_eq!(unquote(wrong), None, "{wrong}");
        }
        assert_eq!(quote("[::1]"), "\"[::1]\"");
        assert_eq!(quote("example.com"), "example.com");
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in proptest::collection::vec(32_u8..=255, 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                let headers: HeaderMap = [(CONNECTION, value)].into_iter().collect();
                prop_assert!(tokens(&headers, CONNECTION).all(|token| !token.contains(',')));
            }
        }

        #[test]
        fn what_is_quoted_is_unquoted(value in ".{0,40}") {
            let quoted = quote(&value);
            prop_assert_eq!(unquote(&quoted), Some(Cow::from(&value)));
            prop_assert_eq!(split_quoted(&quoted, b',').map(|parts| parts.len()), Some(1));
        }

        #[test]
        fn any_text_is_split(value in ".{0,60}") {
            if let Some(parts) = split_quoted(&value, b';') {
                parts.iter().for_each(|part| drop(unquote(part)));
            }
        }
    }
}
