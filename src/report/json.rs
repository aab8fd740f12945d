//! For programs: one JSON object.

use serde_json::{Value, json};

use super::{Diagnostic, Report, Sources, Span};

pub(super) fn print(report: &Report, sources: &Sources) -> String {
    format!("{:#}\n", value(report, sources))
}

pub(super) fn value(report: &Report, sources: &Sources) -> Value {
    let findings: Vec<Value> =
        report.findings.iter().map(|found| finding(found, sources)).collect();
    json!({
        "errors": report.errors(),
        "warnings": report.warnings(),
        "findings": findings,
    })
}

fn finding(found: &Diagnostic, sources: &Sources) -> Value {
    let related: Vec<Value> = found
        .related
        .iter()
        .map(|related| json!({ "place": place(related.span, sources), "label": related.label }))
        .collect();
    json!({
        "severity": found.severity.name(),
        "code": found.code,
        "message": found.message,
        "label": found.label,
        "hint": found.hint,
        "place": found.span.map(|span| place(span, sources)),
        "related": related,
    })
}

fn place(span: Span, sources: &Sources) -> Value {
    let Some(source) = sources.get(span.file) else { return Value::Null };
    let start = source.position(span.start as usize);
    let end = source.position(span.end as usize);
    json!({
        "file": source.path.display().to_string(),
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
    })
}
