//! Pages that are answered from memory.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

/// Which answers are compressed on their way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compress {
    /// Media types in lower case, without parameters; one that ends with a star stands for all that
    /// begin so.
    pub types: Vec<Box<str>>,
    /// Bodies of fewer bytes are sent as they are.
    pub bytes_min: u64,
}

/// A body, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredPage {
    /// Its bytes.
    pub body: Bytes,
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
}

/// Pages in place of the bodies of errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorPages {
    /// Statuses and their pages, those of fewer statuses first.
    pub pages: Vec<(RangeInclusive<u16>, Arc<StoredPage>)>,
    /// Whether errors of backends have them, too.
    pub from_backend: bool,
}

impl ErrorPages {
    /// The page of a status.
    pub fn of(&self, status: StatusCode) -> Option<&Arc<StoredPage>> {
        let is_of = |of: &RangeInclusive<u16>| of.contains(&status.as_u16());
        self.pages.iter().find(|(of, _)| is_of(of)).map(|(_, page)| page)
    }
}
