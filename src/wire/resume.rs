//! `Tidegate-Session` and `Tidegate-Resume`: they tell a backend which session a handshake
//! opens or resumes; and `Tidegate-Expires`, by which it says when the session ends. No client can
//! say or read them ([`Scope::Reserved`](super::fields::Scope::Reserved)).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::random;

/// On a session's first handshake: `Tidegate-Session: <token>`.
pub const SESSION: HeaderName = HeaderName::from_static("tidegate-session");

/// On every later one: `Tidegate-Resume: <token>; attempt=n; lost=<ms>`. In the answer, with the
/// same token, it says that the session goes on.
pub const RESUME: HeaderName = HeaderName::from_static("tidegate-resume");

/// In a backend's 101: when the session ends, in seconds since 1970.
pub const EXPIRES: HeaderName = HeaderName::from_static("tidegate-expires");

/// The second since 1970 that an answer's [`EXPIRES`] says; `None` where it says none, or something
/// else, or two.
pub fn expires<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Option<u64> {
    let mut said = fields.filter(|(name, _)| **name == EXPIRES);
    let (_, value) = said.next()?;
    let second = value.to_str().ok()?.trim().parse().ok()?;
    said.next().is_none().then_some(second)
}

/// What a session is called before its backends, over all of them: 128 random bits, in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token([u8; 16]);

impl Token {
    /// A new one, which cannot be guessed.
    pub fn new() -> Token {
        Token(random())
    }

    /// The value of [`SESSION`].
    pub fn session(&self) -> HeaderValue {
        value(self.to_string())
    }

    /// The value of [`RESUME`]: the `attempt`th, counted from 1, since the session `lost` its
    /// upstream so long ago.
    pub fn resume(&self, attempt: u32, lost: Duration) -> HeaderValue {
        value(format!("{self}; attempt={attempt}; lost={}", lost.as_millis()))
    }

    /// Whether an answer with this [`RESUME`] takes the session up: it names it, whatever follows.
    pub fn is_named_by(&self, answer: &HeaderValue) -> bool {
        let named = answer.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        named.trim_ascii().eq_ignore_ascii_case(self.to_string().as_bytes())
    }
}

impl Default for Token {
    fn default() -> Token {
        Token::new()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is not written as a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAToken;

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Token, NotAToken> {
        let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_plain.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(|number| Token(number.to_be_bytes())).ok_or(NotAToken)
    }
}

impl fmt::Debug for Token {
    /// Not the token: who knows it may speak for the session to a backend that trusts it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn value(text: String) -> HeaderValue {
    // cannot fail: letters, digits, spaces, `;` and `=` only.
    HeaderValue::try_from(text).expect("a value of visible letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_one_whole_number_or_none() {
        let said = |values: &[&'static str]| {
            let values: Vec<_> = values.iter().map(|text| HeaderValue::from_static(text)).collect();
            let name = EXPIRES;
            expires(values.iter().map(|value| (&name, value)))
        };
        assert_eq!((said(&["1000"]), said(&[" 7 "])), (Some(1000), Some(7)));
        for wrong in [&["soon"][..], &["-1"], &["1.5"], &[""], &["1000", "1000"], &[]] {
            assert_eq!(said(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_32_digits_that_do_not_come_again() {
        let token = Token::new();
        let text = token.to_string();
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{text}");
        assert_ne!(Token::new(), token);
        assert_eq!(token.session(), text);
        assert_eq!(
            token.resume(2, Duration::from_millis(1500)),
            format!("{text}; attempt=2; lost=1500")
        );
        assert!(!format!("{token:?}").contains(&text));
        assert_eq!((text.parse(), text.to_uppercase().parse()), (Ok(token), Ok(token)));
        for wrong in [&text[1..], &format!("+{}", &text[1..]), &format!("{text}0"), ""] {
            assert_eq!(wrong.parse::<Token>(), Err(NotAToken), "{wrong}");
        }
        let named = |answer: String| token.is_named_by(&HeaderValue::try_from(answer).unwrap());
        for answer in ["", "; attempt=2; lost=1500", " ;known"] {
            assert!(named(format!("{text}{answer}")), "{answer}");
        }
        for answer in [String::new(), format!("{text}0"), Token::new().to_string()] {
            assert!(!named(answer.clone()), "{answer}");
        }
    }
}
