//! What is wrong with one value, as the end of a sentence that begins with its key.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::report::{Diagnostic, Span};

use super::hint::{did_you_mean, quoted};

/// An error of serde, with a hint.
#[derive(Debug)]
pub struct Fault {
    /// The predicate: "must be a string, not a number: 3".
    message: String,
    hint: Option<String>,
    /// A place more precise than the value's.
    span: Option<Span>,
    /// A kind other than the caller's.
    code: Option<&'static str>,
}

impl Fault {
    /// A predicate: the rest of a sentence that begins with the key's name.
    pub fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into(), hint: None, span: None, code: None }
    }

    /// With what can be done about it, when something can.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Fault {
        self.hint = hint.into();
        self
    }

    /// With what can be done, where nothing was said yet.
    #[must_use]
    pub fn or_hint(self, hint: impl FnOnce() -> Option<String>) -> Fault {
        let hint = self.hint.clone().or_else(hint);
        self.hint(hint)
    }

    /// Of another kind, and at a more precise place, than its value's.
    #[must_use]
    pub fn of(mut self, code: &'static str, span: Span) -> Fault {
        self.code = Some(code);
        self.span = Some(span);
        self
    }

    /// The finding about `subject` at `span`.
    pub fn finding(self, code: &'static str, subject: &str, span: Option<Span>) -> Diagnostic {
        Diagnostic::error(self.code.unwrap_or(code), format!("{subject} {}", self.message))
            .at(self.span.or(span))
            .hint(self.hint)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// serde carries text only: a hint follows a line break.
    fn custom<T: fmt::Display>(said: T) -> Fault {
        let said = said.to_string();
        match said.split_once('\n') {
            Some((message, hint)) => Fault { hint: Some(hint.to_owned()), ..Fault::new(message) },
            None => Fault::new(said),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        let expected = expected.to_string().replace("a sequence", "a list");
        Fault::new(format!("must be {expected}, not {}", describe(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Fault {
        let hint = did_you_mean(word, known.iter().copied());
        Fault { hint, ..Fault::new(format!("must be {}, not: `{word}`", quoted(known))) }
    }
}

/// A value by its kind, as TOML's readers call it.
pub fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("a boolean: {value}"),
        Unexpected::Signed(value) => format!("a number: {value}"),
        Unexpected::Unsigned(value) => format!("a number: {value}"),
        Unexpected::Float(value) => format!("a number: {value}"),
        Unexpected::Str(text) => format!("a string: `{text}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Other(what) => what.to_owned(),
        other => other.to_string(),
    }
}
