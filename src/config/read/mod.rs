//! Text to raw: TOML is parsed with all its errors, then read with all of them.

mod access;
mod deserialize;
mod files;
mod foreign;
mod glob;
mod key;
mod merge;
mod nginx_variables;
mod node;
mod reader;
mod syntax;
mod twice;
mod unknown;
mod variables;
mod wishes;

pub use files::{SourceFiles, read, text};
pub use glob::is_named;
pub use reader::Environment;

use std::cell::RefCell;

use serde::Deserialize;
use toml::de::DeTable;

use crate::report::{Diagnostic, FileId};

use super::fault::Fault;
use super::redact::Expanded;
use super::tables::FileTable;
use node::Node;
use reader::Reader;

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
