//! Findings quote what was written, never what a `${NAME}` stands for: it may be a secret.

use std::fmt;

use crate::report::{Diagnostic, Report, Sources, Span};

/// Shorter values are no secrets, and would be found everywhere.
const VALUE_BYTES_MIN: usize = 4;

/// Parts of a value that are shorter do not give it away.
const PART_BYTES_MIN: usize = 3;

/// A string in which variables were put in their places.
pub struct Expanded {
    /// Where it was written.
    pub span: Span,
    /// What it has become.
    pub whole: String,
    /// The variables in it, and what they stand for.
    pub variables: Vec<(String, String)>,
}

/// All strings that hold variables.
#[derive(Clone, Default)]
pub struct Redactions(Vec<Redaction>);

#[derive(Clone)]
struct Redaction {
    span: Span,
    /// As it was written, without its quotes.
    written: String,
    whole: String,
    variables: Vec<(String, String)>,
}

impl fmt::Debug for Redactions {
    /// The number only: the values are what must not be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactions({})", self.0.len())
    }
}

impl Redactions {
    /// Of the strings that were read from `sources`.
    pub fn new(found: Vec<Expanded>, sources: &Sources) -> Redactions {
        let redaction = |Expanded { span, whole, variables }| {
            let written = sources.slice(span).trim_matches(['"', '\'']).to_owned();
            Redaction { span, written, whole, variables }
        };
        let with_variables = |one: &Expanded| !one.variables.is_empty();
        Redactions(found.into_iter().filter(with_variables).map(redaction).collect())
    }

    /// Puts what was written in the place of its values.
    pub fn apply(&self, report: &mut Report) {
        for finding in &mut report.findings {
            for redaction in &self.0 {
                redaction.apply(finding);
            }
        }
    }
}

impl Redaction {
    fn apply(&self, finding: &mut Diagnostic) {
        let overlaps = |span: Span| {
            let (own, other) = (self.span.range(), span.range());
            span.file == self.span.file && own.start < other.end && other.start < own.end
        };
        let about = finding.span.is_some_and(overlaps)
            || finding.related.iter().any(|related| overlaps(related.span));
        finding.message = self.shown(&finding.message, about);
        finding.label = self.shown(&finding.label, about);
        let hint = finding.hint.take().map(|hint| self.exact(&hint));
        // What a hint proposes is made of the value.
        finding.hint = hint.filter(|hint| !about || !self.gives_away(hint));
    }

    /// The text without the value, and without parts of it where it is `about` this string.
    fn shown(&self, text: &str, about: bool) -> String {
        let text = self.exact(text);
        if !about {
            return text;
        }
        let mut shown = Vec::new();
        for (at, part) in text.split('`').enumerate() {
            let is_quoted = at % 2 == 1;
            shown.push(match is_quoted && self.gives_away(part) {
                true => &self.written,
                false => part,
            });
        }
        shown.join("`")
    }

    /// The text with the whole value, and those of the variables, as they were written.
    fn exact(&self, text: &str) -> String {
        let mut text = replace(text, &self.whole, &self.written);
        for (name, value) in &self.variables {
            text = replace(&text, value, &format!("${{{name}}}"));
        }
        text
    }

    /// Whether a text has a part of a value that was not written.
    fn gives_away(&self, text: &str) -> bool {
        let (text, written) = (text.to_ascii_lowercase(), self.written.to_ascii_lowercase());
        self.variables.iter().any(|(_, value)| {
            let value = value.to_ascii_lowercase();
            let mut parts = value.split(|c: char| !c.is_alphanumeric());
            parts.any(|part| {
                part.len() >= PART_BYTES_MIN && text.contains(part) && !written.contains(part)
            })
        })
    }
}

/// Replaces each `value`, in any case of letters.
fn replace(text: &str, value: &str, by: &str) -> String {
    if value.len() < VALUE_BYTES_MIN {
        return text.to_owned();
    }
    let (folded, value) = (text.to_ascii_lowercase(), value.to_ascii_lowercase());
    let (mut replaced, mut from) = (String::with_capacity(text.len()), 0);
    for (at, found) in folded.match_indices(&value) {
        replaced.push_str(&text[from..at]);
        replaced.push_str(by);
        from = at + found.len();
    }
    replaced.push_str(&text[from..]);
    replaced
}
