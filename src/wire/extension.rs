//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1): offers, answers, and what they free in frames.

use std::fmt;

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

use super::frame::Allowed;
use super::list::{is_token, split_quoted, unquote};

/// Extensions in one handshake at most.
pub const EXTENSIONS_MAX: usize = 64;

/// An extension as offered or answered, quotes taken off: `a; b=c` equals `a;b="c"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// Its token.
    pub name: String,
    /// Its parameters, in order.
    pub params: Vec<(String, Option<String>)>,
}

/// The field is not of the form §9.1 demands, or has more than [`EXTENSIONS_MAX`] extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`Sec-WebSocket-Extensions` is malformed")
    }
}

impl std::error::Error for Malformed {}

impl Extension {
    /// Whether it is permessage-deflate (RFC 7692 §7).
    pub fn is_deflate(&self) -> bool {
        self.name.eq_ignore_ascii_case("permessage-deflate")
    }

    /// Whether it has this parameter.
    pub fn has(&self, param: &str) -> bool {
        self.params.iter().any(|(name, _)| name.eq_ignore_ascii_case(param))
    }

    /// Adds a parameter without a value, unless it is there.
    pub fn add(&mut self, param: &str) {
        if !self.has(param) {
            self.params.push((param.to_owned(), None));
        }
    }

    /// Whether two answers agree on the same: the order of parameters says nothing.
    pub fn agrees_with(&self, other: &Extension) -> bool {
        let sorted = |extension: &Extension| {
            let mut params = extension.params.clone();
            params.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
            params.sort_unstable();
            params
        };
        self.name.eq_ignore_ascii_case(&other.name) && sorted(self) == sorted(other)
    }

    fn parse(text: &str) -> Option<Extension> {
        let mut parts = split_quoted(text, b';')?.into_iter();
        let name = parts.next().filter(|name| is_token(name))?.to_owned();
        let params = parts.map(|part| {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(unquote(value)?)),
                None => (part, None),
            };
            // Unquoted, a value must be a token still.
            let fine = is_token(name) && value.as_deref().is_none_or(is_token);
            fine.then(|| (name.to_owned(), value.map(Into::into)))
        });
        Some(Extension { name, params: params.collect::<Option<_>>()? })
    }
}

impl fmt::Display for Extension {
    /// As it is written in the field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.params.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, "; {name}={value}"),
            None => write!(f, "; {name}"),
        })
    }
}

/// The extensions of a request or an answer, over all its field lines.
///
/// # Errors
/// A field that is malformed.
pub fn parse(headers: &HeaderMap) -> Result<Vec<Extension>, Malformed> {
    parse_lines(headers.get_all(SEC_WEBSOCKET_EXTENSIONS))
}

/// The same of the field's lines.
///
/// # Errors
/// A line that is malformed.
pub fn parse_lines<'a>(
    lines: impl IntoIterator<Item = &'a HeaderValue>,
) -> Result<Vec<Extension>, Malformed> {
    let mut found = Vec::new();
    for line in lines {
        let line = line.to_str().map_err(|_| Malformed)?;
        let elements = split_quoted(line, b',').ok_or(Malformed)?;
        for element in elements.into_iter().filter(|element| !element.is_empty()) {
            if found.len() == EXTENSIONS_MAX {
                return Err(Malformed);
            }
            found.push(Extension::parse(element).ok_or(Malformed)?);
        }
    }
    Ok(found)
}

/// The first extension answered that was not offered; a client must fail on it (§4.1).
pub fn unoffered<'a>(answers: &'a [Extension], offers: &[Extension]) -> Option<&'a Extension> {
    answers
        .iter()
        .find(|answer| !offers.iter().any(|offer| offer.name.eq_ignore_ascii_case(&answer.name)))
}

/// What the negotiated extensions free in frames.
pub fn allowed(negotiated: &[Extension]) -> Allowed {
    if negotiated.is_empty() {
        Allowed::NOTHING
    } else if negotiated.iter().all(Extension::is_deflate) {
        Allowed::DEFLATE
    } else {
        Allowed::ANYTHING
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn parsed(lines: &[&str]) -> Result<Vec<Extension>, Malformed> {
        let line = |line: &&str| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap());
        parse(&lines.iter().map(line).collect())
    }

    #[test]
    fn offers_go_over_lines_with_their_parameters() {
        let found = parsed(&[
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, foo",
            ",bar;x=\"1\",",
        ]);
        let param = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let extension = |name: &str, params| Extension { name: name.to_owned(), params };
        let deflate = vec![
            param("client_max_window_bits", None),
            param("server_max_window_bits", Some("10")),
        ];
        assert_eq!(
            found.unwrap(),
            [
                extension("permessage-deflate", deflate),
                extension("foo", vec![]),
                extension("bar", vec![param("x", Some("1"))]),
            ]
        );
        assert_eq!(parsed(&[]), Ok(vec![]));
    }

    #[test]
    fn spelling_does_not_tell_extensions_apart() {
        assert_eq!(parsed(&["a; b=\"c\"  ;d"]), parsed(&["a;b=c; d"]));
        assert_eq!(parsed(&["a; b=\"\\c\""]), parsed(&["a;b=c"]));
    }

    #[test]
    fn answers_agree_whatever_the_order_of_their_parameters() {
        let agree = |one, other| {
            let (one, other) = (parsed(&[one]).unwrap(), parsed(&[other]).unwrap());
            one[0].agrees_with(&other[0])
        };
        assert!(agree("a; b=1; c", "A;C;B=\"1\""));
        assert!(!agree("a; b=1", "a; b=2"));
        assert!(!agree("a; b", "a; b; c"));
        assert!(!agree("a", "b"));
    }

    #[test]
    fn a_parameter_is_added_once_and_what_is_written_is_read_again() {
        let mut extension = parsed(&["permessage-deflate; X=\"1\""]).unwrap().remove(0);
        extension.add("y");
        extension.add("Y");
        assert_eq!(extension.to_string(), "permessage-deflate; X=1; y");
        assert_eq!(parsed(&[&extension.to_string()]).unwrap(), [extension]);
    }

    #[test]
    fn malformed_fields_are_refused() {
        for wrong in ["a b", ";a", "a;", "a;;b", "a; =b", "a; b=", "a; b=\"x y\"", "a; b=\"x", "é"]
        {
            assert_eq!(parsed(&[wrong]), Err(Malformed), "{wrong}");
        }
        assert_eq!(parsed(&["a, ".repeat(EXTENSIONS_MAX + 1).as_str()]), Err(Malformed));
    }

    #[test]
    fn an_answer_must_have_been_offered() {
        let offers = parsed(&["permessage-deflate; client_max_window_bits"]).unwrap();
        let fine = parsed(&["permessage-deflate"]).unwrap();
        let wrong = parsed(&["permessage-deflate, mux"]).unwrap();
        assert_eq!(unoffered(&fine, &offers), None);
        assert_eq!(unoffered(&wrong, &offers).map(|one| &*one.name), Some("mux"));
        assert_eq!(unoffered(&fine, &[]), Some(&fine[0]));
    }

    #[test]
    fn deflate_frees_one_bit_and_the_unknown_frees_all() {
        let frees = |line| allowed(&parsed(&[line]).unwrap());
        assert_eq!(frees(""), Allowed::NOTHING);
        assert_eq!(frees("permessage-deflate; server_no_context_takeover"), Allowed::DEFLATE);
        assert_eq!(frees("permessage-deflate, mux"), Allowed::ANYTHING);
        assert_eq!(frees("x-webkit-deflate-frame"), Allowed::ANYTHING);
    }

    proptest! {
        #[test]
        fn any_line_is_judged(line in "[ -~]{0,80}", near in "[a-c;,=\"\\\\ ]{0,40}") {
            for line in [line, near] {
                for extension in parsed(&[&line]).unwrap_or_default() {
                    prop_assert!(is_token(&extension.name));
                }
            }
        }
    }
}
