//! The first file and those it includes, read and put together.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::report::{Diagnostic, Report, Sources, Span};

use super::super::tables::FileTable;
use super::merge::merge;
use super::{Environment, glob, parse};

/// Included files at most: a glob that finds more was not meant.
const INCLUDED_MAX: usize = 10_000;

/// Bytes of one configuration file: a hundred thousand routes fit in.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files as they are read; it remembers which.
#[derive(Debug, Default)]
pub struct Files {
    read: Vec<PathBuf>,
    known: HashSet<PathBuf>,
}

impl Files {
    /// A file's bytes and a hash of them, the same in every process.
    pub fn bytes(&mut self, path: &Path) -> io::Result<(Vec<u8>, u64)> {
        let bytes = fs::read(path)?;
        self.remember(path);
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        Ok((bytes, hasher.finish()))
    }

    /// Remembers a file that was read elsewhere.
    pub fn remember(&mut self, path: &Path) {
        if self.known.insert(path.to_path_buf()) {
            self.read.push(path.to_path_buf());
        }
    }

    /// Every file that was read, each once.
    pub fn into_read(self) -> Vec<PathBuf> {
        self.read
    }
}

/// What came of reading.
pub struct Whole {
    /// All files as one.
    pub file: FileTable,
    /// Whether all were TOML; if not, whole tables may be missing.
    pub whole: bool,
}

/// A configuration file's text.
///
/// # Errors
/// The system's; and when it is too large, or not UTF-8.
pub fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let said = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, said));
    }
    Ok(text)
}

/// Reads `text`, the first file, and all it includes.
pub fn read(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Whole {
    let first = sources.add(path, text);
    let outcome = parse(first, text, environment);
    report.findings.extend(outcome.faults);
    let mut whole = Whole { file: outcome.file, whole: outcome.whole };
    for (included, span) in included(&whole.file, path, report) {
        let text = match self::text(&included) {
            Ok(text) => text,
            Err(error) => {
                let said = format!("cannot read the file `{}`: {error}", included.display());
                report.push(Diagnostic::error("file", said).at(span).label("included here"));
                continue;
            }
        };
        let file = sources.add(&included, text.as_str());
        let outcome = parse(file, &text, environment);
        report.findings.extend(outcome.faults);
        whole.whole &= outcome.whole;
        merge(&mut whole.file, outcome.file, report);
    }
    whole
}

/// The files to include, in order, each once, with the place that includes it.
fn included(file: &FileTable, path: &Path, report: &mut Report) -> Vec<(PathBuf, Span)> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut found: Vec<(PathBuf, Span)> = Vec::new();
    let mut known = HashSet::from([path.to_path_buf()]);
    for pattern in file.include.get().into_iter().flat_map(|list| &list.0) {
        let Some((pattern, span)) = pattern.written() else { continue };
        match glob::files(directory, pattern) {
            Ok(files) if files.is_empty() => {
                let said = format!("no file has such a name: `{pattern}`");
                report.push(Diagnostic::warning("file", said).at(span));
            }
            Ok(files) => {
                for file in files {
                    if known.insert(file.clone()) {
                        found.push((file, span));
                    }
                }
            }
            Err(error) => {
                let said = format!("cannot look for files named `{pattern}`: {error}");
                report.push(Diagnostic::error("file", said).at(span));
            }
        }
    }
    if found.len() > INCLUDED_MAX {
        let said = format!("more than {INCLUDED_MAX} files are included: {}", found.len());
        report.push(Diagnostic::error("file", said).at(file.include.span()));
        found.truncate(INCLUDED_MAX);
    }
    found
}
