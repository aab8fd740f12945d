//! The lines of the log, as the sources write them: each is a row of the guide, with its fields.

use std::fmt::Write as _;
use std::fs;

use super::{code, is_test, root, rust_files, settle};

const GUIDE: &str = "config/guides/logs.md";

/// One place that writes a line.
struct Line {
    /// Where.
    name: String,
    /// Its event, else its text; empty where the text is another's.
    called: String,
    fields: Vec<String>,
}

/// The text up to the parenthesis that closes what was opened before it.
fn inside(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// What the commas of the outermost level part.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted) = (0, false);
    let mut found = vec![String::new()];
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().unwrap().push(character);
    }
    let trimmed = found.iter().map(|argument| argument.trim().to_owned());
    trimmed.filter(|argument| !argument.is_empty()).collect()
}

/// The lines of levels that are logged by default.
fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, text) in rust_files(&root().join("src")) {
        if is_test(&name) {
            continue;
        }
        for level in ["info!(", "warn!(", "error!("] {
            for (at, _) in code(&text).match_indices(&format!("tracing::{level}")) {
                let written = inside(&text[at + "tracing::".len() + level.len()..]);
                let without_remarks: Vec<&str> =
                    written.lines().filter(|line| !line.trim().starts_with("//")).collect();
                lines.push(line(&name, &arguments(&without_remarks.join("\n"))));
            }
        }
    }
    lines
}

fn line(name: &str, arguments: &[String]) -> Line {
    let mut line = Line { name: name.to_owned(), called: String::new(), fields: Vec::new() };
    for argument in arguments {
        if let Some(text) = argument.strip_prefix('"') {
            let text = text.trim_end_matches('"');
            if line.called.is_empty() && !text.contains('{') {
                line.called = text.to_owned();
            }
        } else if !argument.starts_with("target:") {
            let field = argument.split(['=', '.']).next().unwrap().trim();
            let field = field.trim_start_matches(['%', '?']).to_owned();
            if field == "event" {
                let event = argument.split('"').nth(1).expect("an event is a literal");
                line.called = event.to_owned();
            }
            line.fields.push(field);
        }
    }
    line
}

#[test]
fn every_line_of_the_log_is_a_row_of_the_guide() {
    let guide = fs::read_to_string(root().join(GUIDE)).unwrap();
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with('|')).collect();
    let mut faults = String::new();
    let lines = lines();
    assert!(lines.len() > 50, "{} lines are too few to be all", lines.len());
    for Line { name, called, fields } in &lines {
        let is_access = fields.iter().any(|field| field == "event");
        let is_named = |row: &&&str| {
            let first = row.split('|').nth(1).unwrap_or_default();
            first.contains(&format!("`{called}`")) || first.contains(&format!("`` {called} ``"))
        };
        let Some(row) = rows.iter().find(is_named) else {
            writeln!(faults, "{name}: {GUIDE} has no row for `{called}`").unwrap();
            continue;
        };
        for field in fields.iter().filter(|field| !(is_access && *field == "event")) {
            if !row.contains(&format!("`{field}`")) {
                writeln!(faults, "{name}: {GUIDE} has no `{field}` in the row of `{called}`")
                    .unwrap();
            }
        }
    }
    // And nothing is told of that no line has.
    for row in rows.iter().filter(|row| row.matches(" | ").count() >= 1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let first = cells[1].split('`').nth(1).unwrap_or_default();
        let Some(told) = lines.iter().find(|line| line.called == first) else { continue };
        let fields = cells[cells.len() - 2].split('`').skip(1).step_by(2);
        for field in fields.filter(|field| *field != "event") {
            let of_all = lines.iter().filter(|line| line.called == told.called);
            if !of_all.clone().any(|line| line.fields.iter().any(|known| known == field)) {
                writeln!(faults, "{GUIDE}: no line `{first}` has `{field}`").unwrap();
            }
        }
    }
    settle(faults);
}

#[test]
fn every_field_of_access_lines_is_explained() {
    let guide = fs::read_to_string(root().join(GUIDE)).unwrap();
    let (_, explained) = guide.split_once("## Fields of access lines").unwrap();
    let (explained, _) = explained.split_once("\n## ").unwrap();
    let explained: Vec<&str> = explained
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .flat_map(|line| line.split('|').next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    let (_, access) = guide.split_once("## Access lines").unwrap();
    let (access, _) = access.split_once("\n## ").unwrap();
    let mut faults = String::new();
    for row in access.lines().filter(|line| line.starts_with("| `")) {
        let fields = row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2);
        for field in fields.filter(|field| !explained.contains(field)) {
            writeln!(faults, "{GUIDE}: `{field}` is not explained").unwrap();
        }
    }
    settle(faults);
}
