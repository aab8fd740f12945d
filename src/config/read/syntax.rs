//! Errors of TOML's grammar, told once each.

use std::ops::Range;

use toml::de::Error;

use crate::report::Diagnostic;

use super::foreign::format_of;
use super::reader::Reader;
use super::twice;

/// Errors told at most; a file with more is hardly TOML at all.
const ERRORS_MAX: usize = 50;

/// The first error of each line, for the others follow from it; and nothing behind a bracket that
/// was not closed, which swallows all that comes. A file of another format is one error.
pub fn findings(reader: &Reader<'_>, mut broken: Vec<Error>) -> Vec<Diagnostic> {
    broken.sort_by_key(|error| error.span().map(|range| range.start));
    let grammar = |error: &&Error| !is_duplicate(error);
    if let Some(first) = broken.iter().find(grammar)
        && let Some((format, hint)) = format_of(reader.text)
    {
        let said = format!("this looks like {format}, not TOML");
        let place = first.span().map(|range| reader.span(range));
        return vec![Diagnostic::error("syntax", said).at(place).hint(hint.to_owned())];
    }
    let unclosed = broken.iter().any(|error| {
        let message = error.message();
        message.contains("unclosed array") || message.contains("unclosed inline table")
    });
    let mut findings: Vec<Diagnostic> = Vec::new();
    let (mut last, mut in_second_table) = (None, false);
    for error in broken {
        let span = error.span().map(|range| reader.span(range));
        let line = span.map(|span| reader.line(span));
        if line.is_some() && last == line {
            continue;
        }
        last = line;
        if let (true, Some(again)) = (is_duplicate(&error), error.span()) {
            // Where a table is there twice, so are its keys.
            let is_header = twice::is_header(reader.text, again.start);
            if is_header || !in_second_table {
                findings.push(twice::finding(reader, &again));
            }
            in_second_table |= is_header;
        } else {
            in_second_table = false;
            let finding = of_grammar(reader, &error, unclosed);
            let swallowed = finding.hint.as_deref() == Some(UNCLOSED);
            findings.push(finding);
            if swallowed {
                break;
            }
        }
        if findings.len() == ERRORS_MAX {
            break;
        }
    }
    findings
}

/// The hint of what a bracket above has swallowed.
const UNCLOSED: &str = "probably a bracket above is not closed";

fn of_grammar(reader: &Reader<'_>, error: &Error, unclosed: bool) -> Diagnostic {
    let place = error.span();
    if let Some(finding) = place.clone().and_then(|place| typeset(reader, place)) {
        return finding;
    }
    if let Some(text) = place.clone().and_then(|place| unquoted(reader.text, error, place)) {
        let written = &reader.text[text.clone()];
        let said = "this is not TOML: text stands in quotes";
        let finding = Diagnostic::error("syntax", said).at(reader.span(text.clone()));
        return finding.hint(format!("write `\"{written}\"`"));
    }
    let (message, expected) = match error.message().split_once(", expected ") {
        // What comes where nothing stands is not a string without its quotes.
        _ if place.as_ref().is_some_and(Range::is_empty) && is_bare(error) => {
            ("a value is missing", String::new())
        }
        Some((message, expected)) => (message, format!("expected {expected}")),
        None => (error.message(), String::new()),
    };
    let swallowed = unclosed && message.starts_with("missing comma");
    let hint = swallowed.then(|| UNCLOSED.to_owned());
    let finding = Diagnostic::error("syntax", format!("this is not TOML: {message}"));
    finding.at(place.map(|range| reader.span(range))).label(expected).hint(hint)
}

/// Letters that a word processor or a page puts in the place of those of TOML, and what they are.
const TYPESET: [(&str, &str, &str); 4] = [
    ("“”„‟«»", "this is a quote of a page", "write `\"`"),
    ("‘’‚‛", "this is a quote of a page", "write `\"`, or `'`"),
    (
        "\u{a0}\u{2002}\u{2003}\u{2007}\u{2009}\u{202f}\u{3000}",
        "this is no plain space",
        "write a space",
    ),
    (
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
        "a letter without width stands here",
        "take it away",
    ),
];

/// The first letter of a line that is of a page and not of TOML, if the error is in that line.
fn typeset(reader: &Reader<'_>, place: Range<usize>) -> Option<Diagnostic> {
    let text = reader.text;
    let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.start..].find('\n').map_or(text.len(), |end| place.start + end);
    let (mut quote, mut line) = (None, text[start..end].char_indices());
    // Inside of quotes and behind `#` all letters are right.
    let (at, (letter, (_, said, hint))) = line.find_map(|(at, letter)| {
        match (quote, letter) {
            (None, '#') => quote = Some('\n'),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, _) => {
                let found = TYPESET.iter().find(|(letters, ..)| letters.contains(letter))?;
                return Some((at, (letter, found)));
            }
            _ => {}
        }
        None
    })?;
    let span = start + at..start + at + letter.len_utf8();
    let finding = Diagnostic::error("syntax", format!("this is not TOML: {said}"));
    Some(finding.at(reader.span(span)).hint((*hint).to_owned()))
}

/// Where a value stands that is text without its quotes.
fn unquoted(text: &str, error: &Error, place: Range<usize>) -> Option<Range<usize>> {
    let numbers = ["invalid float", "invalid integer", "invalid date", "invalid time"];
    let number = numbers.iter().any(|word| error.message().starts_with(word));
    if place.is_empty() || !(number || is_bare(error)) {
        return None;
    }
    let before = &text[..place.start];
    let start = before.rfind(['=', '[', ',', '{', '\n']).map_or(0, |at| at + 1);
    let end = text[place.start..].find([',', ']', '}', '#', '\n']);
    let end = end.map_or(text.len(), |end| place.start + end);
    let value = text.get(start..end)?;
    let (leading, value) = (value.len() - value.trim_start().len(), value.trim());
    let is_text = !value.is_empty() && !value.contains(['"', '\'', '=']);
    is_text.then(|| start + leading..start + leading + value.len())
}

/// A word where a value was expected.
fn is_bare(error: &Error) -> bool {
    error.message().starts_with("string values must be quoted")
}

fn is_duplicate(error: &Error) -> bool {
    error.message().starts_with("duplicate key")
}
