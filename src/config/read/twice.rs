//! Keys and tables that are written twice: both places, told once.

use std::ops::Range;

use crate::report::Diagnostic;

use super::reader::Reader;

/// What is said of the key or table at `again`, which was written before.
pub fn finding(reader: &Reader<'_>, again: &Range<usize>) -> Diagnostic {
    let text = reader.text;
    let path = path_of(text, again);
    let shown = path.join(".");
    let first = first_of(text, &path, again.start);
    let finding = |said: String| {
        let also = first.clone().map(|first| reader.span(first));
        let finding = Diagnostic::error("duplicate", said).at(reader.span(again.clone()));
        finding.label("again").also(also, "first here")
    };
    match first.clone() {
        Some(first) if !is_header(text, first.start) && is_header(text, again.start) => {
            let number = text[..first.start].matches('\n').count() + 1;
            let said = format!("`{shown}` was begun with dots in line {number}");
            let last = path.last().map_or("", String::as_str);
            let inner = next_key(text, again.end).unwrap_or("key");
            let hint = format!("write `{last}.{inner} = …` there, or all of it in `[{shown}]`");
            finding(said).hint(hint)
        }
        Some(first) if is_header(text, first.start) && !is_header(text, again.start) => {
            let said = format!("`{shown}` has a table of its own");
            finding(said).hint(format!("write it in `[{shown}]`"))
        }
        _ => finding(format!("`{shown}` is written twice")),
    }
}

/// Whether `offset` is in a line that opens a table.
pub fn is_header(text: &str, offset: usize) -> bool {
    line(text, offset).trim_start().starts_with('[')
}

/// The line that holds `at`.
fn line(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next().unwrap_or("")
}

/// The names that lead to the key at `span`: those of its table, then its own.
fn path_of(text: &str, span: &Range<usize>) -> Vec<String> {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let own = text[start..span.end].trim_start();
    if own.starts_with('[') {
        return names(own.trim_start_matches('['));
    }
    // Inside of an inline table only the key itself is told.
    if own.contains(['{', '=']) {
        return names(&text[span.clone()]);
    }
    let header = text[..start].lines().rev().map(str::trim).find(|line| line.starts_with('['));
    let mut path = header.map_or_else(Vec::new, |header| {
        names(header.trim_start_matches('[').split(']').next().unwrap_or(""))
    });
    path.extend(names(own));
    path
}

/// The names of a dotted key.
fn names(dotted: &str) -> Vec<String> {
    let (mut names, mut quote) = (vec![String::new()], None);
    for c in dotted.trim().chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('.', None) => names.push(String::new()),
            (c, _) => names.last_mut().into_iter().for_each(|name| name.push(c)),
        }
    }
    names.iter().map(|name| name.trim().to_owned()).collect()
}

/// Where the key or table of `path` begins first, before `again`; in a list of tables, in the last
/// table of the list.
fn first_of(text: &str, path: &[String], again: usize) -> Option<Range<usize>> {
    let (mut table, mut first, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive('\n') {
        let (start, written) = (at, line.trim());
        at += line.len();
        if at > again {
            break;
        }
        let span = |written: &str| {
            let begin = start + line.find(written).unwrap_or(0);
            begin..begin + written.len()
        };
        if written.starts_with('[') {
            table = names(written.trim_start_matches('[').split(']').next().unwrap_or(""));
            let is_list = written.starts_with("[[");
            if is_list && path.starts_with(&table) {
                first = None;
            } else if first.is_none() && !is_list && table.starts_with(path) {
                first = Some(span(written.split('#').next().unwrap_or(written).trim()));
            }
        } else if let (None, Some((key, _))) = (&first, written.split_once('=')) {
            let whole: Vec<String> = table.iter().cloned().chain(names(key)).collect();
            if whole.starts_with(path) {
                first = Some(span(key.trim()));
            }
        }
    }
    first
}

/// The first key below the line of `at`.
fn next_key(text: &str, at: usize) -> Option<&str> {
    let below = text[at..].lines().skip(1).map(str::trim);
    let line = below.take_while(|line| !line.starts_with('[')).find(|line| line.contains('='))?;
    line.split('=').next().map(str::trim).filter(|key| !key.starts_with('#'))
}
