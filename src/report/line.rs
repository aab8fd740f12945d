//! A finding in one line, without the text around its place: for logs.

use super::{Diagnostic, Findings, Severity, Sources};

/// What a log line says of a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FindingLine {
    /// How bad it is.
    pub severity: Severity,
    /// Its kind, a stable word.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Where it is; `None` when no file says it.
    pub place: Option<FindingPlace>,
}

/// Where a finding is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FindingPlace {
    /// The file's path, as it is shown.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Findings {
    /// For logs: each finding by itself.
    pub fn lines(&self) -> impl Iterator<Item = FindingLine> {
        self.report.findings.iter().map(|found| line(found, &self.sources))
    }
}

fn line(found: &Diagnostic, sources: &Sources) -> FindingLine {
    let place = found.span.and_then(|span| {
        let source = sources.get(span.file)?;
        let start = source.position(span.start as usize);
        let file = source.path.display().to_string();
        Some(FindingPlace { file, line: start.line, column: start.column })
    });
    FindingLine {
        severity: found.severity,
        code: found.code,
        message: found.message.clone(),
        hint: found.hint.clone(),
        place,
    }
}
