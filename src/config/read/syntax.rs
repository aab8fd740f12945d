//! Errors of TOML's grammar, told once each.

use toml::de::Error;

use crate::report::Diagnostic;

use super::Reader;

/// Errors told at most; a file with more is hardly TOML at all.
const ERRORS_MAX: usize = 50;

/// The first error of each line, for the others follow from it; and nothing behind a bracket that
/// was not closed, which swallows all that comes.
pub fn findings(reader: &Reader<'_>, mut broken: Vec<Error>) -> Vec<Diagnostic> {
    let unclosed = broken.iter().any(|error| {
        let message = error.message();
        message.contains("unclosed array") || message.contains("unclosed inline table")
    });
    broken.sort_by_key(|error| error.span().map(|range| range.start));
    let mut findings: Vec<Diagnostic> = Vec::new();
    let mut last = None;
    for error in broken {
        let span = error.span().map(|range| reader.span(range));
        let line = span.map(|span| reader.line(span));
        if line.is_some() && last == line {
            continue;
        }
        last = line;
        let (message, expected) = match error.message().split_once(", expected ") {
            // What comes where nothing stands is not a string without its quotes.
            _ if error.span().is_some_and(|range| range.is_empty()) && is_bare(&error) => {
                ("a value is missing", String::new())
            }
            Some((message, expected)) => (message, format!("expected {expected}")),
            None => (error.message(), String::new()),
        };
        let swallowed = unclosed && message.starts_with("missing comma");
        let hint = swallowed.then(|| "probably a bracket above is not closed".to_owned());
        let finding = Diagnostic::error("syntax", format!("this is not TOML: {message}"));
        findings.push(finding.at(span).label(expected).hint(hint));
        if swallowed || findings.len() == ERRORS_MAX {
            break;
        }
    }
    findings
}

/// A word where a value was expected.
fn is_bare(error: &Error) -> bool {
    error.message().starts_with("string values must be quoted")
}
