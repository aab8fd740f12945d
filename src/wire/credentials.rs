//! The `Authorization` field (RFC 9110 §11.6.2): a scheme, and what it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// A user's name and password (RFC 7617 §2).
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// The name; it has no colon.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What a request shows of credentials by one scheme.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown<T> {
    /// Nothing.
    Nothing,
    /// What cannot be read, or two of a kind: another reader might take the other.
    Unreadable,
    /// These.
    Credentials(T),
}

/// What stands behind a scheme's name, in one line of the field.
fn of_scheme<'a>(line: &'a HeaderValue, scheme: &str) -> Option<&'a [u8]> {
    let line = line.as_bytes().trim_ascii();
    let (name, rest) = line.split_at_checked(scheme.len())?;
    let is_whole = rest.first().is_none_or(|next| next.is_ascii_whitespace());
    (name.eq_ignore_ascii_case(scheme.as_bytes()) && is_whole).then(|| rest.trim_ascii())
}

/// What a request shows by this scheme, as it was written.
pub fn shown<'a>(headers: &'a HeaderMap, scheme: &str) -> Shown<&'a [u8]> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Shown::Nothing,
        (Some(line), None) => of_scheme(line, scheme).map_or(Shown::Nothing, Shown::Credentials),
        (Some(_), Some(_)) => Shown::Unreadable,
    }
}

/// The name and password of a request.
pub fn basic(headers: &HeaderMap) -> Shown<BasicCredentials> {
    let read = |text: &[u8]| {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        let is_text = !text.chars().any(char::is_control);
        is_text.then(|| BasicCredentials { user: user.to_owned(), password: password.to_owned() })
    };
    match shown(headers, "Basic") {
        Shown::Credentials(text) => read(text).map_or(Shown::Unreadable, Shown::Credentials),
        Shown::Nothing => Shown::Nothing,
        Shown::Unreadable => Shown::Unreadable,
    }
}

/// Removes the credentials of this scheme, of every line.
pub fn remove(headers: &mut HeaderMap, scheme: &str) {
    let lines = headers.get_all(AUTHORIZATION);
    if !lines.iter().any(|line| of_scheme(line, scheme).is_some()) {
        return;
    }
    let kept: Vec<HeaderValue> =
        lines.iter().filter(|line| of_scheme(line, scheme).is_none()).cloned().collect();
    headers.remove(AUTHORIZATION);
    for line in kept {
        headers.append(AUTHORIZATION, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[&str]) -> HeaderMap {
        let line = |line: &&str| (AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        lines.iter().map(line).collect()
    }

    fn user(lines: &[&str]) -> Option<(String, String)> {
        match basic(&map(lines)) {
            Shown::Credentials(BasicCredentials { user, password }) => Some((user, password)),
            _ => None,
        }
    }

    #[test]
    fn a_name_ends_at_the_first_colon_and_the_rest_is_the_password() {
        let ada = Some(("ada".to_owned(), "x:y".to_owned()));
        for line in ["Basic YWRhOng6eQ==", "basic  YWRhOng6eQ== ", "BASIC YWRhOng6eQ=="] {
            assert_eq!(user(&[line]), ada, "{line}");
        }
        assert_eq!(user(&["Basic Og=="]), Some((String::new(), String::new())));
    }

    #[test]
    fn what_is_no_name_and_password_is_unreadable_and_another_scheme_is_nothing() {
        // No base64, no colon, a control character, not UTF-8, nothing, two lines.
        for lines in [
            &["Basic ?"][..],
            &["Basic YWRh"],
            &["Basic YTpiAA=="],
            &["Basic Of8="],
            &["Basic"],
            &["Basic YWRhOng6eQ==", "Basic YWRhOng6eQ=="],
            &["Basic YWRhOng6eQ==", "Bearer x"],
        ] {
            assert!(basic(&map(lines)) == Shown::Unreadable, "{lines:?}");
        }
        for lines in [&[][..], &["Bearer x"], &["Basically YWRhOng6eQ=="], &[""]] {
            assert!(basic(&map(lines)) == Shown::Nothing, "{lines:?}");
        }
    }

    #[test]
    fn credentials_of_one_scheme_are_removed_and_those_of_others_stay() {
        let mut headers = map(&["basic YQ==", "Bearer x", "Basic"]);
        remove(&mut headers, "Basic");
        assert_eq!(headers, map(&["Bearer x"]));
    }
}
