//! Bytes that could not go on at once: a pointer while there are none.

use std::io;
use std::task::{Poll, ready};

use super::buffer::READ_BYTES;
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

    /// A queue of a copy of these, for which it does not matter how long they wait.
    pub(super) fn copied(bytes: &[u8]) -> SendQueue {
        match bytes {
            [] => SendQueue::default(),
            _ => SendQueue::of(bytes.to_vec(), Moment::NEVER),
        }
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

    /// So many bytes of the front are done with. Much memory of those that are gone is given back,
    /// but not each time: however few go at once, a byte is copied a few times at most.
    pub(super) fn advance(&mut self, done: usize) {
        let Some(kept) = &mut self.0 else { return };
        kept.taken = kept.bytes.len().min(kept.taken + done);
        if kept.taken == kept.bytes.len() {
            self.0 = None;
        } else if kept.taken >= READ_BYTES && kept.taken > kept.bytes.len() / 2 {
            kept.bytes.drain(..kept.taken);
            kept.bytes.shrink_to_fit();
            kept.taken = 0;
        }
    }

    /// What is gone since it was last empty, and what is there.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.0.as_ref().map_or((&[], &[]), |kept| kept.bytes.split_at(kept.taken))
    }

    /// Since when none of its bytes has gone on; `NEVER` while there are none.
    pub(super) fn stuck_since(&self) -> Moment {
        self.0.as_ref().map_or(Moment::NEVER, |kept| kept.moved)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_small_steps_is_copied_seldom_and_gives_its_memory_back() {
        let all: Vec<u8> = (0..256 * 1024).map(|number: u32| number as u8).collect();
        let mut queue = SendQueue::copied(&all);
        let (mut gone, mut moves) = (0, 0);
        while !queue.is_empty() {
            assert_eq!(queue.bytes(), &all[gone..]);
            let capacity = queue.0.as_ref().map_or(0, |kept| kept.bytes.capacity());
            assert!(capacity <= 2 * queue.bytes().len() + 2 * READ_BYTES, "{capacity}");
            queue.advance(1000);
            gone += 1000;
            moves += usize::from(queue.0.as_ref().is_some_and(|kept| kept.taken == 0));
        }
        assert!(gone >= all.len() && moves <= 5, "copied {moves} times");
        queue.advance(1);
        assert!(queue.is_empty() && SendQueue::copied(&[]).is_empty());
    }
}
