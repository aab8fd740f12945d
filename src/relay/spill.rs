//! Bytes that could not go on at once: a pointer while there are none.

use std::io;
use std::task::{Poll, ready};

/// Bytes in order, taken from the front. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(super) struct Spill(Option<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    /// How many of them are gone already.
    taken: usize,
}

impl Spill {
    /// A spill of these bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Spill {
        Spill((!bytes.is_empty()).then(|| Box::new(Kept { bytes, taken: 0 })))
    }

    /// Adds bytes behind the others.
    pub(super) fn push(&mut self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        match &mut self.0 {
            Some(kept) => kept.bytes.extend_from_slice(more),
            None => *self = Spill::of(more.to_vec()),
        }
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |kept| &kept.bytes[kept.taken..])
    }

    /// What is gone since it was last empty, and what is there.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.0.as_ref().map_or((&[], &[]), |kept| kept.bytes.split_at(kept.taken))
    }

    /// Takes all, leaving nothing.
    pub(super) fn take(&mut self) -> Vec<u8> {
        match self.0.take() {
            Some(mut kept) => {
                kept.bytes.drain(..kept.taken);
                kept.bytes
            }
            None => Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Gives bytes to `write`, which takes some from the front, until there are none.
    pub(super) fn poll_drain(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        while let Some(kept) = &mut self.0 {
            kept.taken += ready!(write(&kept.bytes[kept.taken..]))?;
            if kept.taken == kept.bytes.len() {
                self.0 = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
