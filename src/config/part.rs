//! One key of a configuration, whatever is wrong with the rest: a command to a running proxy needs
//! no certificate of it, no variable and no route.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::read::{self, Environment, SourceFiles};
use super::redact::Redactions;
use super::tables::{AdminTable, ControlTable, FileTable, Spanned};
use super::{Refused, lower, unreadable};
use crate::report::{Report, Severity, Sources, Span};

/// Where the operator's socket is; `None` without `[control]`.
///
/// # Errors
/// What is wrong with that key, or with the whole file where the table is not found in it.
pub fn control_socket(
    path: &Path,
    environment: Environment<'_>,
) -> Result<Option<PathBuf>, Refused> {
    let table = |file: &FileTable| file.control.clone();
    let key = |table: &ControlTable| table.socket.span();
    let lower = |table: &ControlTable, sources: &Sources, _: &mut Report| {
        lower::control_socket(table, sources)
    };
    part(path, environment, &table, &key, &lower)
}

/// Where the admin listener is; `None` without `[admin]`.
///
/// # Errors
/// As [`control_socket`].
pub fn admin_address(
    path: &Path,
    environment: Environment<'_>,
) -> Result<Option<SocketAddr>, Refused> {
    let table = |file: &FileTable| file.admin.clone();
    let key = |table: &AdminTable| table.address.span();
    let lower =
        |table: &AdminTable, _: &Sources, report: &mut Report| lower::admin_address(table, report);
    part(path, environment, &table, &key, &lower)
}

/// What one key of a table means.
fn part<T, U>(
    path: &Path,
    environment: Environment<'_>,
    table: &dyn Fn(&FileTable) -> Spanned<T>,
    key: &dyn Fn(&T) -> Option<Span>,
    lower: &dyn Fn(&T, &Sources, &mut Report) -> Option<U>,
) -> Result<Option<U>, Refused> {
    let text = File::open(path).and_then(read::text).map_err(|error| unreadable(path, &error))?;
    let (mut sources, mut report) = (Sources::default(), Report::default());
    let mut files = SourceFiles::default();
    let raw = read::read(path, &text, environment, &mut sources, &mut files, &mut report);
    let written = table(&raw.file);
    if let Some(meant) = written.get().and_then(|table| lower(table, &sources, &mut report)) {
        return Ok(Some(meant));
    }
    // It may stand in a file that is not there, or behind what is no TOML.
    let unread = |report: &Report| {
        report.findings.iter().any(|one| one.severity == Severity::Error && one.code == "file")
    };
    if written.is_absent() && raw.whole && !unread(&report) {
        return Ok(None);
    }
    let spans = [written.span(), written.get().and_then(key)];
    let is_of_key = |of: Span| {
        let mut spans = spans.iter().flatten();
        spans.any(|span| span.file == of.file && span.start <= of.start && of.end <= span.end)
    };
    if report.findings.iter().any(|one| one.span.is_some_and(is_of_key)) {
        report.findings.retain(|one| one.span.is_some_and(is_of_key));
    }
    Redactions::new(raw.expanded, &sources).apply(&mut report);
    report.sort();
    Err(Refused { report, sources, files: files.named().to_owned() })
}
