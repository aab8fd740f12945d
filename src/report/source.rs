//! Files by id, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Which file of a [`Sources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(u32);

impl FileId {
    /// The file of this index, which [`FileId::index`] gave.
    pub const fn from_index(index: u32) -> FileId {
        FileId(index)
    }

    /// Its index among its sources.
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// A stretch of a file, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

impl Span {
    /// The stretch `range` of `file`; past 4 GiB it ends at the last byte that can be named.
    pub fn new(file: FileId, range: Range<usize>) -> Span {
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file, start: byte(range.start), end: byte(range.end) }
    }

    /// Its bytes.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A line and a column, both counted from 1; columns are characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A file as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its path, as it is shown.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    /// Where its lines begin, found when somebody first asks: a report may speak of each of ten
    /// thousand routes, and must not read the file from its beginning for each.
    line_starts: OnceLock<Vec<usize>>,
}

impl Source {
    /// Where the byte `at` is; past the end counts as the end.
    pub fn position(&self, at: usize) -> Position {
        let at = self.floor(at);
        let line = self.line(at);
        let column = self.text[self.line_starts()[line]..at].chars().count() + 1;
        Position { line: line + 1, column }
    }

    /// The whole lines round the bytes `range`, and the number of the first, counted from 1.
    pub(super) fn lines(&self, range: Range<usize>) -> (Range<usize>, usize) {
        let (first, last) = (self.line(self.floor(range.start)), self.line(self.floor(range.end)));
        let starts = self.line_starts();
        let end = starts.get(last + 1).copied().unwrap_or(self.text.len());
        (starts[first]..end, first + 1)
    }

    /// The line of the byte `at`, counted from 0.
    fn line(&self, at: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= at) - 1
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let after = self.text.match_indices('\n').map(|(newline, _)| newline + 1);
            std::iter::once(0).chain(after).collect()
        })
    }

    /// The last character border at or before `at`.
    pub(super) fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// The files a report speaks of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> FileId {
        self.files.push(Source {
            path: path.into(),
            text: text.into(),
            line_starts: OnceLock::new(),
        });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// The file of an id.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }

    /// The path of an id; empty when the id is another's.
    pub fn path(&self, file: FileId) -> &Path {
        self.get(file).map_or(Path::new(""), |source| &source.path)
    }

    /// The text of a span; empty when it is not in these files.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|source| source.text.get(span.range())).unwrap_or("")
    }

    /// `path:line:column` of a span's beginning, for one-line answers.
    pub fn place(&self, span: Span) -> String {
        let Some(source) = self.get(span.file) else { return String::new() };
        let Position { line, column } = source.position(span.start as usize);
        format!("{}:{line}:{column}", source.path.display())
    }
}
