//! Text to raw: TOML is parsed with all its errors, then read with all of them.

mod access;
mod files;
mod foreign;
mod glob;
mod key;
mod merge;
mod nginx_variables;
mod node;
mod syntax;
mod twice;
mod unknown;
mod variables;
mod wishes;

pub use files::{SourceFiles, read, text};
pub use glob::is_named;

use std::cell::RefCell;

use serde::Deserialize;
use toml::de::DeTable;

use crate::report::{Diagnostic, FileId, Span};

use super::fault::Fault;
use super::redact::Expanded;
use super::tables::FileTable;
use node::Node;

/// Where `${NAME}` is looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is needed while one file is read.
struct Reader<'a> {
    file: FileId,
    text: &'a str,
    environment: Environment<'a>,
    faults: RefCell<Vec<Diagnostic>>,
    expanded: RefCell<Vec<Expanded>>,
}

/// A file, as far as it could be read.
pub struct Outcome {
    /// What was written.
    pub file: FileTable,
    /// Whether it was TOML; if not, whole tables may be missing from `file`.
    pub whole: bool,
    /// All that is wrong.
    pub faults: Vec<Diagnostic>,
    /// The strings in which variables were put in their places.
    pub expanded: Vec<Expanded>,
}

/// Reads one file's text.
pub fn parse(file: FileId, text: &str, environment: Environment<'_>) -> Outcome {
    let (table, broken) = DeTable::parse_recoverable(text);
    let reader = Reader {
        file,
        text,
        environment,
        faults: RefCell::default(),
        expanded: RefCell::default(),
    };
    // A table always reads as one; what is wrong inside it went to the faults.
    let read = FileTable::deserialize(Node::root(&reader, table.get_ref(), table.span()));
    let whole = broken.is_empty();
    let mut faults = syntax::findings(&reader, broken);
    let lines: Vec<usize> =
        faults.iter().filter_map(|fault| fault.span).map(|span| reader.line(span)).collect();
    let found = reader.faults.take().into_iter();
    // Where TOML is broken, what it was recovered to says nothing about its writer.
    faults.extend(
        found.filter(|fault| fault.span.is_none_or(|span| !lines.contains(&reader.line(span)))),
    );
    let file = read.unwrap_or_else(|fault| {
        faults.push(fault.finding("type", "the file", None));
        FileTable::default()
    });
    Outcome { file, whole, faults, expanded: reader.expanded.take() }
}

impl Reader<'_> {
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    /// The line a span begins on, from 0.
    fn line(&self, span: Span) -> usize {
        let before = self.text.as_bytes().iter().take(span.start as usize);
        before.filter(|byte| **byte == b'\n').count()
    }

    fn report(&self, finding: Diagnostic) {
        self.faults.borrow_mut().push(finding);
    }
}
