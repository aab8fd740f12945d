//! Diagnostics as data, and their printers.
//!
//! **In:** findings with their spans. **Out:** text with line, caret and hint, or JSON.
//! **Never here:** what is right or wrong.

mod json;
mod line;
mod source;
mod text;

pub use line::{FindingLine, FindingPlace};
pub use source::{FileId, Position, Source, Sources, Span};
pub use text::Colour;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// What was found cannot be taken.
    Error,
    /// It can be taken, but is hardly what its author wants.
    Warning,
    /// It is as it should be, and good to know.
    Note,
}

impl Severity {
    /// Its name, in text and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A place that helps to understand a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Related {
    /// The place in its source.
    pub span: Span,
    /// What is to be seen there.
    pub label: String,
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its kind, a stable word for programs: `unknown-key`, `missing`, …
    pub code: &'static str,
    /// One sentence: backticks round names, the value last, no final period.
    pub message: String,
    /// Where it is; `None` when no file says it.
    pub span: Option<Span>,
    /// A few words at the caret; may be empty.
    pub label: String,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// What can be done about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding that refuses what was read.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            hint: None,
        }
    }

    /// A finding that refuses nothing.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// A finding that says how things stand.
    pub fn note(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Note, ..Diagnostic::error(code, message) }
    }

    /// What makes it like another finding.
    fn kind(&self) -> (Severity, &'static str) {
        (self.severity, self.code)
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Diagnostic {
        self.span = span.into();
        self
    }

    /// Says a few words at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Shows another place, when there is one.
    #[must_use]
    pub fn also(mut self, span: impl Into<Option<Span>>, label: impl Into<String>) -> Diagnostic {
        if let Some(span) = span.into() {
            self.related.push(Related { span, label: label.into() });
        }
        self
    }

    /// Says what can be done, when something can.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Diagnostic {
        self.hint = hint.into();
        self
    }
}

/// All that was found, in the order it was found in; nothing stops at the first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Diagnostic>,
}

impl Report {
    /// Adds a finding.
    pub fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many findings are warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|found| found.severity == severity).count()
    }

    /// Puts findings into reading order: by file and place, those without a place first, and notes
    /// behind all; an error before a warning of the same place. What several parts found of one
    /// place, as the routes of a site do, stands there once.
    pub fn sort(&mut self) {
        let is_note = |found: &Diagnostic| found.severity == Severity::Note;
        self.findings.sort_by_key(|found| (is_note(found), found.span, found.severity));
        self.findings.dedup();
    }

    /// For people: findings with their line, caret and hint, and a last line that counts them. Of
    /// one kind the first hundred are drawn and the rest counted. Empty when nothing was found.
    pub fn text(&self, sources: &Sources, colour: Colour) -> String {
        text::print(self, sources, colour)
    }

    /// For programs: an object with `errors`, `warnings` and `findings`, each with `severity`,
    /// `code`, `message`, `label`, `hint`, `place` and `related`; lines and columns count from 1,
    /// columns in characters.
    pub fn json(&self, sources: &Sources) -> String {
        json::print(self, sources)
    }
}

/// A report and the files it speaks of: what is found of a configuration, kept to be told later.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// What was found.
    pub report: Report,
    /// The files that were read.
    pub sources: Sources,
}

impl Findings {
    /// A finding that no file says.
    pub fn of(finding: Diagnostic) -> Findings {
        let report = Report { findings: vec![finding] };
        Findings { report, sources: Sources::default() }
    }

    /// For people, as [`Report::text`] has it, without colours.
    pub fn text(&self) -> String {
        self.report.text(&self.sources, Colour::Plain)
    }

    /// The first error on one line, with its place, and how many more there are.
    pub fn summary(&self) -> String {
        let mut errors =
            self.report.findings.iter().filter(|found| found.severity == Severity::Error);
        let Some(first) = errors.next() else { return String::new() };
        let place = first.span.map(|span| format!("{}: ", self.sources.place(span)));
        let more = match errors.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{}{}{more}", place.unwrap_or_default(), first.message)
    }

    /// For programs, as [`Report::json`] has it.
    pub fn json(&self) -> serde_json::Value {
        json::value(&self.report, &self.sources)
    }
}

#[cfg(test)]
mod tests;
