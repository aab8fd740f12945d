//! What is needed while one file is read, and what is found meanwhile.

use std::cell::RefCell;

use crate::config::redact::Expanded;
use crate::report::{Diagnostic, FileId, Span};

/// Where `${NAME}` is looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is needed while one file is read.
pub(super) struct Reader<'a> {
    pub(super) file: FileId,
    pub(super) text: &'a str,
    pub(super) environment: Environment<'a>,
    pub(super) faults: RefCell<Vec<Diagnostic>>,
    pub(super) expanded: RefCell<Vec<Expanded>>,
}

impl Reader<'_> {
    pub(super) fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.file, range)
    }

    /// The line a span begins on, from 0.
    pub(super) fn line(&self, span: Span) -> usize {
        let before = self.text.as_bytes().iter().take(span.start as usize);
        before.filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn report(&self, finding: Diagnostic) {
        self.faults.borrow_mut().push(finding);
    }
}
