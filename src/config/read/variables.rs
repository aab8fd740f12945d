//! `${NAME}` in strings, from the environment.

use std::borrow::Cow;
use std::ops::Range;

/// What is wrong with a `${…}`; where, in the text that was given.
#[derive(PartialEq, Eq, Debug)]
pub enum BrokenVariable {
    /// The variable is not set.
    Undefined(String, Range<usize>),
    /// It is not closed, or its name is none.
    Form(Range<usize>),
}

/// Puts variables in their places, and notes them with what they stand for; `$${` stays as `${`.
/// Values are not looked into again.
pub fn expand<'a>(
    text: &'a str,
    environment: &dyn Fn(&str) -> Option<String>,
    found: &mut Vec<(String, String)>,
) -> Result<Cow<'a, str>, BrokenVariable> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(dollar) = text[at..].find("${").map(|found| at + found) {
        if text[at..dollar].ends_with('$') {
            expanded.push_str(&text[at..dollar - 1]);
            expanded.push_str("${");
            at = dollar + 2;
            continue;
        }
        expanded.push_str(&text[at..dollar]);
        let Some(end) = text[dollar..].find('}').map(|found| dollar + found + 1) else {
            return Err(BrokenVariable::Form(dollar..text.len()));
        };
        let name = &text[dollar + 2..end - 1];
        if !is_name(name) {
            return Err(BrokenVariable::Form(dollar..end));
        }
        match environment(name) {
            Some(value) => {
                expanded.push_str(&value);
                found.push((name.to_owned(), value));
            }
            None => return Err(BrokenVariable::Undefined(name.to_owned(), dollar..end)),
        }
        at = end;
    }
    expanded.push_str(&text[at..]);
    Ok(Cow::Owned(expanded))
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_their_places_and_a_doubled_dollar_escapes() {
        let environment = |name: &str| (name == "HOST").then(|| "a${b".to_owned());
        let expand = |text| expand(text, &environment, &mut Vec::new());
        assert_eq!(expand("${HOST}:${HOST}").unwrap(), "a${b:a${b");
        assert_eq!(expand("cost: $5, $${HOST}, $").unwrap(), "cost: $5, ${HOST}, $");
        assert_eq!(expand("^/room$").unwrap(), "^/room$");
        assert_eq!(expand("x${PORT}"), Err(BrokenVariable::Undefined("PORT".into(), 1..8)));
        assert_eq!(expand("${PORT"), Err(BrokenVariable::Form(0..6)));
        assert_eq!(expand("${1}"), Err(BrokenVariable::Form(0..4)));
    }
}
