//! What becomes of a path on its way to a pool: `strip_prefix`, `replace_prefix`, `rewrite`.

use std::sync::Arc;

use regex::Regex;

use crate::report::{Diagnostic, Span};
use crate::wire::path;

use super::super::fault::Fault;
use super::super::plan::{PathChange, PathPattern, PathRewrite, RewritePart};
use super::super::tables::{self, RouteTable};
use super::{Lower, condition, opt};

/// Bytes of what a path is rewritten to, as it is written.
const TO_BYTES_MAX: usize = 4096;

/// What is done to the path of a route's requests.
pub fn path_change(cx: &mut Lower<'_>, raw: &RouteTable) -> Option<PathChange> {
    let replaced = cx.take("replace_prefix", &raw.replace_prefix, |text| prefix(text));
    if raw.replace_prefix.is_written() && raw.strip_prefix.get() == Some(&true) {
        let said = "a prefix is cut off or replaced, not both";
        let finding = Diagnostic::error("conflict", said).at(raw.replace_prefix.span());
        cx.report(finding.also(raw.strip_prefix.span(), "the other"));
    }
    let ignore_case = *raw.ignore_case.get()?;
    let written = raw.rewrite.get().filter(|_| raw.rewrite.is_written());
    let rewrite = opt(written.map(|one| rewrite(cx, one, raw.rewrite.span(), ignore_case)));
    let is_cut = *raw.strip_prefix.get()?;
    let is_known = raw.replace_prefix.is_absent() || replaced.is_some();
    let prefix = replaced.or_else(|| is_cut.then(|| Arc::from("")));
    (is_known && !raw.rewrite.is_faulty()).then_some(PathChange { prefix, rewrite: rewrite? })
}

/// Only a prefix can be cut off or replaced.
pub fn check_prefix(cx: &mut Lower<'_>, raw: &RouteTable, path: &PathPattern) {
    let is_prefix = matches!(path, PathPattern::Segment { .. } | PathPattern::Textual { .. });
    let strips = raw.strip_prefix.span().filter(|_| raw.strip_prefix.get() == Some(&true));
    for (key, span) in [("strip_prefix", strips), ("replace_prefix", raw.replace_prefix.span())] {
        if span.is_some() && !is_prefix {
            let said = format!("`{key}` needs a path that is a prefix");
            let finding = Diagnostic::error("conflict", said).at(span);
            cx.report(finding.also(raw.path.span(), "the path"));
        }
    }
}

/// What is not resolved has no prefix that could be told from the rest, and no form that a regex
/// could be relied on to find.
pub fn raw_path(cx: &mut Lower<'_>, raw: &RouteTable) -> Option<bool> {
    let is_raw = *raw.raw_path.get()?;
    let strips = raw.strip_prefix.span().filter(|_| raw.strip_prefix.get() == Some(&true));
    let others = [
        ("strip_prefix", "cuts", strips),
        ("replace_prefix", "changes", raw.replace_prefix.span()),
        ("rewrite", "changes", raw.rewrite.span()),
    ];
    for (key, does, span) in others {
        if is_raw && span.is_some() {
            let said = format!("`raw_path` sends the path as it came, and `{key}` {does} it");
            let finding = Diagnostic::error("conflict", said).at(raw.raw_path.span());
            cx.report(finding.also(span, "the other"));
        }
    }
    Some(is_raw)
}

/// What stands in place of a prefix, escaped, without its last slash.
fn prefix(text: &str) -> Result<Arc<str>, Fault> {
    let wrong = |what: &str| Fault::new(format!("{what}, not: `{text}`"));
    if !text.is_empty() && !text.starts_with('/') {
        return Err(wrong("must begin with a slash").hint(format!("write `\"/{text}\"`")));
    }
    if text.contains(['?', '#']) {
        return Err(wrong("must be a path without a query"));
    }
    let escaped = escaped(text);
    let is_as_read = |read: path::Reading<'_>| read.sent == *escaped && !escaped.contains("//");
    if !text.is_empty() && !path::read(&escaped).is_ok_and(is_as_read) {
        return Err(wrong("must be a path without `.`, `..`, `//`, `\\` and control characters"));
    }
    Ok(escaped.trim_end_matches('/').into())
}

/// What is written decoded, as it is sent; a semicolon in it begins no parameters.
fn escaped(text: &str) -> String {
    path::escape(text, false).replace(';', "%3B")
}

fn rewrite(
    cx: &mut Lower<'_>,
    raw: &tables::RewriteTable,
    at: Option<Span>,
    ignore_case: bool,
) -> Option<PathRewrite> {
    cx.need((&raw.from, "from"), "`rewrite`", at, "\"^/u/([0-9]+)$\"");
    cx.need((&raw.to, "to"), "`rewrite`", at, "\"/users/$1\"");
    let from = cx.take("from", &raw.from, |text| condition::regex(text, ignore_case))?;
    let to = cx.take("to", &raw.to, |text| parts(text, &from));
    Some(PathRewrite { to: to?, from })
}

/// The parts of what is rewritten to: text, and groups of the regex.
fn parts(written: &str, from: &Regex) -> Result<Arc<[RewritePart]>, Fault> {
    if written.len() > TO_BYTES_MAX {
        return Err(Fault::new(format!("must have at most {TO_BYTES_MAX} bytes")));
    }
    if written.contains(['?', '#']) {
        let fault = Fault::new(format!("must be a path without a query, not: `{written}`"));
        return Err(fault.hint("the query of the request stays as it is".to_owned()));
    }
    if written.contains(|letter: char| letter == '\\' || letter.is_control()) {
        return Err(Fault::new("may have no backslash and no control character"));
    }
    if !written.starts_with(['/', '$']) && from.as_str().starts_with('^') {
        let fault = Fault::new(format!("must begin with a slash, not: `{written}`"));
        return Err(fault.hint(format!("write `\"/{written}\"`")));
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = written;
    while let Some((before, behind)) = rest.split_once('$') {
        text.push_str(before);
        rest = match behind.strip_prefix('$') {
            Some(behind) => {
                text.push('$');
                behind
            }
            None => {
                let (group, behind) = group(behind, from)?;
                if !text.is_empty() {
                    parts.push(RewritePart::Text(std::mem::take(&mut text).into()));
                }
                parts.push(RewritePart::Group(group));
                behind
            }
        };
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(RewritePart::Text(text.into()));
    }
    Ok(parts.into())
}

/// The group whose number stands behind a dollar, and what stands behind that.
fn group<'a>(behind: &'a str, from: &Regex) -> Result<(usize, &'a str), Fault> {
    let digit = behind.chars().next().and_then(|letter| letter.to_digit(10));
    let groups = from.captures_len() - 1;
    let found = digit.and_then(|digit| usize::try_from(digit).ok());
    if let Some(found) = found.filter(|found| *found <= groups) {
        return Ok((found, &behind[1..]));
    }
    let said = match digit {
        Some(digit) => format!("names a group that `from` does not have: `${digit}`"),
        None => "has a `$` that names no group".to_owned(),
    };
    let has = match groups {
        0 => "`from` has no groups".to_owned(),
        1 => "`from` has one group, `$1`".to_owned(),
        more => format!("`from` has the groups `$1` to `${}`", more.min(9)),
    };
    Err(Fault::new(said).hint(format!("{has}; `$$` is a dollar")))
}
