//! How long a body is, by its message's fields (RFC 9112 §6): what a reader of HTTP may take in
//! two ways is refused before it is passed on.

use std::fmt;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::list::tokens;

/// Why a message's fields do not tell where its body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramingError {
    /// A transfer coding that is not ours to undo (RFC 9112 §6.1).
    Coding,
    /// `chunked` more than once (§6.1), or a field without a coding.
    Chunked,
    /// A length beside a transfer coding (§6.3).
    Both,
    /// A length that is none, or several that differ (§6.3).
    Length,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FramingError::Coding => "a transfer coding other than `chunked`",
            FramingError::Chunked => "`Transfer-Encoding` is not `chunked` once",
            FramingError::Both => "both `Transfer-Encoding` and `Content-Length`",
            FramingError::Length => "`Content-Length` is not one number",
        })
    }
}

impl std::error::Error for FramingError {}

/// Whether `Transfer-Encoding` says `chunked` and nothing else, or is not there. The coding ends
/// here, and a body is passed on without it: any other would be lost with it.
///
/// # Errors
/// [`FramingError::Coding`], [`FramingError::Chunked`].
pub fn check_coding(headers: &HeaderMap) -> Result<(), FramingError> {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let mut codings = tokens(headers, TRANSFER_ENCODING);
    let is_chunked = |coding: &str| coding.eq_ignore_ascii_case("chunked");
    match (codings.next(), codings.next()) {
        (Some(one), None) if is_chunked(one) => Ok(()),
        (Some(one), rest) if rest.is_some_and(|rest| !is_chunked(rest)) || !is_chunked(one) => {
            Err(FramingError::Coding)
        }
        _ => Err(FramingError::Chunked),
    }
}

/// Checks all that a backend's answer says of its length, and makes equal lengths one line, as a
/// proxy must (RFC 9110 §8.6, RFC 9112 §6.3). An answer that never has a body keeps no length.
///
/// # Errors
/// The first thing that is wrong.
pub fn settle_answer(status: StatusCode, headers: &mut HeaderMap) -> Result<(), FramingError> {
    check_coding(headers)?;
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    let Some(length) = one_length(headers)? else { return Ok(()) };
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(FramingError::Both);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(())
}

/// The length that all elements of all lines agree on.
fn one_length(headers: &HeaderMap) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for line in headers.get_all(CONTENT_LENGTH) {
        for element in line.to_str().map_err(|_| FramingError::Length)?.split(',') {
            let element = element.trim_matches([' ', '\t']);
            let is_number = !element.is_empty() && element.bytes().all(|b| b.is_ascii_digit());
            // `parse` alone would take a plus sign.
            let number = element.parse::<u64>().ok().filter(|_| is_number);
            let number = number.ok_or(FramingError::Length)?;
            if length.is_some_and(|length| length != number) {
                return Err(FramingError::Length);
            }
            length = Some(number);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    const CODING: &str = "transfer-encoding";
    const LENGTH: &str = "content-length";

    #[test]
    fn chunked_stands_alone_or_not_at_all() {
        assert_eq!(check_coding(&map(&[])), Ok(()));
        for fine in ["chunked", "Chunked", " chunked ,"] {
            assert_eq!(check_coding(&map(&[(CODING, fine)])), Ok(()), "{fine}");
        }
        for wrong in ["gzip", "gzip, chunked", "chunked, gzip", "chunked;x", "\"chunked\""] {
            assert_eq!(check_coding(&map(&[(CODING, wrong)])), Err(FramingError::Coding));
        }
        for wrong in ["chunked, chunked", "", ","] {
            assert_eq!(check_coding(&map(&[(CODING, wrong)])), Err(FramingError::Chunked));
        }
        let twice = map(&[(CODING, "chunked"), (CODING, "chunked")]);
        assert_eq!(check_coding(&twice), Err(FramingError::Chunked));
        let two = map(&[(CODING, "identity"), (CODING, "chunked")]);
        assert_eq!(check_coding(&two), Err(FramingError::Coding));
    }

    #[test]
    fn lengths_that_agree_become_one_and_others_are_refused() {
        for fine in ["5", "5, 5", "05,5"] {
            let mut headers = map(&[(LENGTH, fine), (LENGTH, "5")]);
            assert_eq!(settle_answer(StatusCode::OK, &mut headers), Ok(()));
            assert_eq!(headers.get_all(LENGTH).iter().collect::<Vec<_>>(), ["5"]);
        }
        for wrong in ["", "+5", "-5", "0x5", "5 5", "5,", "5, 6", "18446744073709551616", "é"] {
            let mut headers = map(&[(LENGTH, wrong)]);
            assert_eq!(
                settle_answer(StatusCode::OK, &mut headers),
                Err(FramingError::Length),
                "{wrong}"
            );
        }
        let mut both = map(&[(LENGTH, "5"), (CODING, "chunked")]);
        assert_eq!(settle_answer(StatusCode::OK, &mut both), Err(FramingError::Both));
        let mut none = map(&[("x", "y")]);
        assert_eq!(settle_answer(StatusCode::OK, &mut none), Ok(()));
        assert_eq!(none.len(), 1);
        let mut empty = map(&[(LENGTH, "5")]);
        assert_eq!(settle_answer(StatusCode::NO_CONTENT, &mut empty), Ok(()));
        assert!(empty.is_empty(), "204 has no length");
    }

    proptest! {
        #[test]
        fn any_fields_are_judged(length in "[0-9+ ,x]{0,12}", coding in "[a-e,; hunk]{0,16}") {
            let mut headers = map(&[(LENGTH, &length), (CODING, &coding)]);
            prop_assert!(settle_answer(StatusCode::OK, &mut headers).is_err());
            headers.remove(CODING);
            if settle_answer(StatusCode::OK, &mut headers).is_ok() {
                prop_assert!(headers[LENGTH].to_str().unwrap().parse::<u64>().is_ok());
            }
        }
    }
}
