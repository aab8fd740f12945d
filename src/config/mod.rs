//! Text to raw to checked plan.
//!
//! **In:** files and the environment, as text. **Out:** a [`plan::Plan`] with every default
//! applied, or a report of all that is wrong. **Never here:** tokio, sockets, clocks.

mod fault;
mod hint;
mod lower;
mod part;
pub mod plan;
mod read;
mod redact;
mod reference;
mod schema;
mod tables;

pub use hint::did_you_mean;
pub use lower::{ListenedOn, NamedFiles};
pub use part::{admin_address, control_socket};
pub use read::{Environment, is_named};
pub use reference::{reference_markdown, schema_json};
pub use tables::{Rate, Wait};

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::report::{Diagnostic, Report, Sources, Span};
use plan::Plan;
use read::SourceFiles;
use redact::Redactions;

/// A configuration that can be taken.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Arc<Plan>,
    /// Where each of the plan's routes was written, in the plan's order.
    pub route_spans: Vec<Span>,
    /// The files of certificates' chains, and where each was named.
    pub certificate_spans: Vec<(PathBuf, Span)>,
    /// What will be listened on, and where each was written.
    pub listened_on: Vec<ListenedOn>,
    /// What is hardly meant, but can be taken.
    pub warnings: Report,
    /// The files that were read.
    pub sources: Sources,
    redactions: Redactions,
}

impl Loaded {
    /// Takes the values of variables out of findings about this configuration.
    pub fn redact(&self, report: &mut Report) {
        self.redactions.apply(report);
    }
}

/// A configuration that cannot be taken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// All that is wrong with it, warnings included.
    pub report: Report,
    /// The files that were read.
    pub sources: Sources,
    /// The files that were named so far, as in [`Plan::files`].
    pub files: Vec<PathBuf>,
}

/// Reads a configuration file and all it names.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Loaded, Refused> {
    load_file(path, environment, NamedFiles::Read)
}

/// Reads a configuration file as [`load`] does, and the files that it names or not.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load_file(
    path: &Path,
    environment: Environment<'_>,
    named_files: NamedFiles,
) -> Result<Loaded, Refused> {
    match File::open(path) {
        Ok(file) => load_from(path, file, environment, named_files),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Reads a configuration from what is no file; other files it names are relative to `path`, which
/// need not exist.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load_from(
    path: &Path,
    from: impl Read,
    environment: Environment<'_>,
    named_files: NamedFiles,
) -> Result<Loaded, Refused> {
    match read::text(from) {
        Ok(text) => load_as(path, &text, environment, named_files),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Refused {
    let said = format!("cannot read the configuration `{}`: {error}", path.display());
    let mut report = Report::default();
    let help = match error.kind() {
        io::ErrorKind::NotFound => Some("`tidegate init` prints one to begin with"),
        _ => hint::unreadable("", error),
    };
    report.push(Diagnostic::error("file", said).hint(help.map(str::to_owned)));
    Refused { report, sources: Sources::default(), files: vec![path.to_owned()] }
}

/// Reads a configuration from its text; other files it names are relative to `path`, which need
/// not exist.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load_text(path: &Path, text: &str, environment: Environment<'_>) -> Result<Loaded, Refused> {
    load_as(path, text, environment, NamedFiles::Read)
}

fn load_as(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    named_files: NamedFiles,
) -> Result<Loaded, Refused> {
    let (mut sources, mut report) = (Sources::default(), Report::default());
    let mut files = SourceFiles::default();
    let raw = read::read(path, text, environment, &mut sources, &mut files, &mut report);
    let lower = || lower::lower(raw.file, &sources, &mut files, &mut report, named_files);
    let lowered = raw.whole.then(lower).flatten();
    let redactions = Redactions::new(raw.expanded, &sources);
    redactions.apply(&mut report);
    report.sort();
    match lowered {
        Some(lowered) if report.errors() == 0 => Ok(Loaded {
            plan: Arc::new(lowered.plan),
            route_spans: lowered.route_spans,
            certificate_spans: lowered.certificate_spans,
            listened_on: lowered.listened_on,
            warnings: report,
            sources,
            redactions,
        }),
        _ => Err(Refused { report, sources, files: files.named().to_owned() }),
    }
}

/// A backend's address from its text, as a pool has it.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub fn backend_address(text: &str) -> Result<plan::BackendAddress, String> {
    lower::backend_address(text)
}

/// Looks names up in the process's environment, for [`load`].
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every key that has one, with the word for what a reload that changes it does.
#[cfg(test)]
pub(crate) fn keys_by_reload() -> Vec<(String, String)> {
    let root = schema::schema().to_value();
    let places = schema::places(&root);
    let word =
        |place: &schema::Place<'_>| place.schema.get("x-reload")?.as_str().map(str::to_owned);
    places.iter().filter_map(|place| Some((place.path(), word(place)?))).collect()
}

#[cfg(test)]
mod tests;
