//! The query of a target (RFC 3986 §3.4) as parameters between `&`.

use http::Uri;
use http::uri::PathAndQuery;

/// The name of a parameter, and its value where there is one.
fn parts(parameter: &str) -> (&str, &str) {
    parameter.split_once('=').unwrap_or((parameter, ""))
}

/// The values of every parameter of this name, as they were written.
pub fn values<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let named = query.split('&').map(parts).filter(move |(found, _)| *found == name);
    named.map(|(_, value)| value)
}

/// What a value says that was written with escapes and `+` for a space (the form's encoding of
/// URLs); `None` where that is no text.
pub fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                (high << 4 | low) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Removes every parameter of this name; the others stay as they were written.
pub fn remove(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else { return };
    if values(query, name).next().is_none() {
        return;
    }
    let kept: Vec<&str> = query.split('&').filter(|one| parts(one).0 != name).collect();
    let target = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    // Parts of a query are a query: this keeps every target.
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.path_and_query = Some(target);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(uri: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        remove(&mut uri, "token");
        uri.to_string()
    }

    #[test]
    fn parameters_of_a_name_are_found_and_removed_and_the_others_stay_as_they_were() {
        let found = |query| values(query, "token").collect::<Vec<_>>();
        assert_eq!(found("a=1&token=x=y&token&tokens=2"), ["x=y", ""]);
        assert_eq!(decoded("a%20b+c=%C3%A9").as_deref(), Some("a b c=é"));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
        assert_eq!(found("Token=x&to%6ben=y"), [""; 0]);
        assert_eq!(without("/a?token=x"), "/a");
        assert_eq!(without("/a?b=%20&token=x&c&&token=y"), "/a?b=%20&c&");
        assert_eq!(without("http://example.com:8/a?token=x&b=1"), "http://example.com:8/a?b=1");
        assert_eq!(without("/a?tokens=x"), "/a?tokens=x");
        assert_eq!(without("/a"), "/a");
    }
}
