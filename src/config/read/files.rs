//! The first file and those it includes, read and put together.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::report::{Diagnostic, Report, Sources, Span};

use super::super::redact::Expanded;
use super::super::tables::FileTable;
use super::merge::merge;
use super::{Environment, glob, parse};

/// Included files at most: a glob that finds more was not meant.
const INCLUDED_MAX: usize = 10_000;

/// Bytes of one configuration file: a hundred thousand routes fit in.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Bytes of a file that the configuration names at most: a list of a million revoked certificates
/// fits in.
const NAMED_BYTES_MAX: u64 = 64 << 20;

/// The files that a configuration names, read or not; what changes in them may change what it
/// means.
#[derive(Debug, Default)]
pub struct SourceFiles {
    named: Vec<PathBuf>,
    known: HashSet<PathBuf>,
}

impl SourceFiles {
    /// A file's bytes and a hash of them, the same in every process.
    ///
    /// # Errors
    /// The system's; and when it is too large, as a device without end is.
    pub fn bytes(&mut self, path: &Path) -> io::Result<(Vec<u8>, u64)> {
        self.remember(path);
        let bytes = at_most(fs::File::open(path)?, NAMED_BYTES_MAX)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        Ok((bytes, hasher.finish()))
    }

    /// Remembers a file that is read elsewhere, or files by a pattern as [`glob::files`] takes it.
    pub fn remember(&mut self, path: &Path) {
        if self.known.insert(path.to_path_buf()) {
            self.named.push(path.to_path_buf());
        }
    }

    /// Every file that was named, there or not, each once, and every pattern.
    pub fn named(&self) -> &[PathBuf] {
        &self.named
    }
}

/// What came of reading.
pub struct Whole {
    /// All files as one.
    pub file: FileTable,
    /// Whether all were TOML; if not, whole tables may be missing.
    pub whole: bool,
    /// The strings in which variables were put in their places.
    pub expanded: Vec<Expanded>,
}

/// A configuration's text.
///
/// # Errors
/// The system's; and when it is too large, or not UTF-8.
pub fn text(from: impl Read) -> io::Result<String> {
    let bytes = at_most(from, FILE_BYTES_MAX)?;
    let invalid = |said: String| io::Error::new(io::ErrorKind::InvalidData, said);
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(invalid(not_text(text.as_bytes(), text.len()))),
        Ok(text) => Ok(text),
        Err(error) => Err(invalid(not_text(error.as_bytes(), error.utf8_error().valid_up_to()))),
    }
}

fn at_most(from: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        let said = format!("it is larger than {max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, said));
    }
    Ok(bytes)
}

/// What bytes are that are no text; `valid` of them are UTF-8.
fn not_text(bytes: &[u8], valid: usize) -> String {
    // With its mark, or without: most of TOML is ASCII, of which every other byte is zero then.
    let marked = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let is_ascii = |pair: &&[u8]| (pair[0] == 0) != (pair[1] == 0);
    let ascii = bytes.chunks_exact(2).filter(is_ascii).count();
    if marked || (ascii > 0 && ascii * 4 >= bytes.len() / 2 * 3) {
        return "this is UTF-16 (byte 1), save it as UTF-8".to_owned();
    }
    if bytes.contains(&0) {
        return "this is not text".to_owned();
    }
    let line = bytes[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("this is not UTF-8: byte {} in line {line}; save it as UTF-8", valid + 1)
}

/// Reads `text`, the first file, and all it includes.
pub fn read(
    path: &Path,
    text: &str,
    environment: Environment<'_>,
    sources: &mut Sources,
    files: &mut SourceFiles,
    report: &mut Report,
) -> Whole {
    files.remember(path);
    let first = sources.add(path, text);
    let outcome = parse(first, text, environment);
    report.findings.extend(outcome.faults);
    let mut whole = Whole { file: outcome.file, whole: outcome.whole, expanded: outcome.expanded };
    for (included, span) in included(&whole.file, path, files, report) {
        files.remember(&included);
        let text = match fs::File::open(&included).and_then(self::text) {
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
        whole.expanded.extend(outcome.expanded);
        merge(&mut whole.file, outcome.file, report);
    }
    whole
}

/// The files to include, in order, each once, with the place that includes it.
fn included(
    file: &FileTable,
    path: &Path,
    named: &mut SourceFiles,
    report: &mut Report,
) -> Vec<(PathBuf, Span)> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut found: Vec<(PathBuf, Span)> = Vec::new();
    // One file may have several names: `x.toml`, `./x.toml`, a link.
    let same = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let first = same(path);
    let mut known = HashSet::from([first.clone()]);
    for pattern in file.include.get().into_iter().flat_map(|list| &list.0) {
        let Some((pattern, span)) = pattern.written() else { continue };
        named.remember(&directory.join(pattern));
        match glob::files(directory, pattern) {
            Ok(files) if files.is_empty() => {
                let said = format!("no file has such a name: `{pattern}`");
                report.push(Diagnostic::warning("file", said).at(span));
            }
            Ok(files) => {
                let is_one = files.len() == 1 && !pattern.contains('*');
                for file in files {
                    let this = same(&file);
                    if is_one && this == first {
                        let said = format!("this file includes itself: `{pattern}`");
                        let hint = "remove it: the file is read once".to_owned();
                        report.push(Diagnostic::warning("file", said).at(span).hint(hint));
                    }
                    if known.insert(this) {
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
