//! For people: line, caret, label and hint, drawn by `annotate-snippets`.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Report, Severity, Source, Sources, Span};

/// Whether escape codes are written. Whoever prints knows whether a terminal reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// None.
    Plain,
    /// ANSI colours.
    Ansi,
}

/// How many findings of one kind are drawn; the rest are counted. Whoever has ten thousand routes
/// without `allowed_origins` is not helped by a megabyte that says so.
const ALIKE_MAX: usize = 100;

pub(super) fn print(report: &Report, sources: &Sources, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Ansi => Renderer::styled(),
    };
    let mut text = String::new();
    let mut alike: Vec<(Severity, &str, usize)> = Vec::new();
    for finding in &report.findings {
        let same = |kind: &(Severity, &str, usize)| (kind.0, kind.1) == finding.kind();
        let at = alike.iter().position(same).unwrap_or_else(|| {
            alike.push((finding.severity, finding.code, 0));
            alike.len() - 1
        });
        alike[at].2 += 1;
        if alike[at].2 <= ALIKE_MAX {
            text.push_str(renderer.render(&draw(finding, sources)).trim_end());
            text.push_str("\n\n");
        }
    }
    for (severity, code, number) in alike {
        if let Some(more @ 1..) = number.checked_sub(ALIKE_MAX) {
            let more = format!("{more} more of this kind; JSON output tells them all");
            let title = level(severity).primary_title(more.as_str()).id(code);
            text.push_str(renderer.render(&[Group::with_title(title)]).trim_end());
            text.push_str("\n\n");
        }
    }
    if report.errors() + report.warnings() > 0 {
        text.push_str(&count(report));
        text.push('\n');
    }
    text
}

/// The report's last line: `2 errors, 1 warning`.
fn count(report: &Report) -> String {
    let some = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        more => Some(format!("{more} {word}s")),
    };
    let counts = [some(report.errors(), "error"), some(report.warnings(), "warning")];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn draw<'a>(finding: &'a Diagnostic, sources: &'a Sources) -> Vec<Group<'a>> {
    let title = level(finding.severity).primary_title(&finding.message).id(finding.code);
    let mut group = Group::with_title(title);
    if let Some(span) = finding.span {
        group = group.elements(snippets(span, finding, sources));
    }
    if let Some(hint) = &finding.hint {
        group = group.element(Level::HELP.message(hint));
    }
    vec![group]
}

/// One snippet per file, that of the finding first.
fn snippets<'a>(
    span: Span,
    finding: &'a Diagnostic,
    sources: &'a Sources,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut files = vec![span.file];
    for related in &finding.related {
        if !files.contains(&related.span.file) {
            files.push(related.span.file);
        }
    }
    let draw = |file| {
        let source = sources.get(file)?;
        let path = source.path.to_str().unwrap_or_else(|| file_name(&source.path));
        let primary = (file == span.file).then(|| {
            let at = (AnnotationKind::Primary, visible(source, span));
            (at, finding.label.as_str())
        });
        let related = finding.related.iter().filter(|related| related.span.file == file);
        let context = related.map(|related| {
            let at = (AnnotationKind::Context, visible(source, related.span));
            (at, related.label.as_str())
        });
        let marks: Vec<_> = primary.into_iter().chain(context).collect();
        // The printer looks at every line it is given: it gets those between the marks.
        let start = marks.iter().map(|((_, at), _)| at.start).min()?;
        let end = marks.iter().map(|((_, at), _)| at.end).max()?;
        let (lines, number) = source.lines(start..end);
        let snippet = Snippet::source(&source.text[lines.clone()]).line_start(number).path(path);
        Some(marks.into_iter().fold(snippet, |snippet, ((kind, at), text)| {
            let at = at.start - lines.start..at.end - lines.start;
            snippet.annotation(kind.span(at).label(label(text)))
        }))
    };
    files.into_iter().filter_map(draw).collect()
}

fn label(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("?")
}

/// What of a span is underlined: its first line, at character borders, without the line's break.
/// A table may be a hundred lines long; the caret only has to find its beginning.
fn visible(source: &Source, span: Span) -> std::ops::Range<usize> {
    let start = source.floor(span.start as usize);
    let end = source.floor(span.end as usize).max(start);
    let first = source.text[start..end].lines().next().unwrap_or("");
    start..start + first.trim_end().len()
}
