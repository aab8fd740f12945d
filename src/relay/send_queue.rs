//! Bytes that could not go on at once: a pointer while there are none.

use std::io;
use std::task::{Poll, ready};

use crate::base::clock::Moment;

/// Bytes in order, taken from the front. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(super) struct SendQueue(Option<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    /// How many of them are gone already.
    taken: usize,
    /// When that last became more, or the first of them came.
    moved: Moment,
}

impl SendQueue {
    /// A queue of these bytes, which came `now`; `NEVER` where it does not matter how long they
    /// wait.
    pub(super) fn of(bytes: Vec<u8>, now: Moment) -> SendQueue {
        SendQueue((!bytes.is_empty()).then(|| Box::new(Kept { bytes, taken: 0, moved: now })))
    }

    /// Adds bytes behind the others.
    pub(super) fn push(&mut self, more: &[u8], now: Moment) {
        if more.is_empty() {
            return;
        }
        match &mut self.0 {
            Some(kept) => kept.bytes.extend_from_slice(more),
            None => *self = SendQueue::of(more.to_vec(), now),
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

    /// Since when none of its bytes has gone on; `NEVER` while there are none.
    pub(super) fn stuck_since(&self) -> Moment {
        self.0.as_ref().map_or(Moment::NEVER, |kept| kept.moved)
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
        now: Moment,
    ) -> Poll<io::Result<()>> {
        while let Some(kept) = &mut self.0 {
            kept.taken += ready!(write(&kept.bytes[kept.taken..]))?;
            kept.moved = now;
            if kept.taken == kept.bytes.len() {
                self.0 = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}
