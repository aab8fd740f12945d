//! A client's messages, kept as they came while no upstream takes them.

use std::sync::Arc;

use super::super::budget::{HoldBudget, Share};
use crate::base::clock::Moment;

/// Data frames as the client masked them, in order; the last may be incomplete.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// Messages that end in it.
    messages: u64,
    /// When its first byte was read; `NEVER` when there is none.
    oldest: Moment,
    share: Share,
}

impl Kept {
    pub(super) fn new(budget: Arc<HoldBudget>) -> Kept {
        let share = Share::none(budget);
        Kept { bytes: Vec::new(), messages: 0, oldest: Moment::NEVER, share }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn oldest(&self) -> Moment {
        self.oldest
    }

    /// Makes room for as many of `wanted` bytes as this buffer's limit and the budget allow; what
    /// [`Kept::push`] leaves of it goes back.
    pub(super) fn reserve(&mut self, wanted: usize, bytes_max: u64) -> usize {
        let left = bytes_max.saturating_sub(self.bytes.len() as u64);
        self.share.grow(left.min(wanted as u64)) as usize
    }

    /// Keeps these bytes, for which there is room.
    pub(super) fn push(&mut self, bytes: &[u8], messages: u32, now: Moment) {
        if self.is_empty() && !bytes.is_empty() {
            self.oldest = now;
        }
        self.bytes.extend_from_slice(bytes);
        self.messages += u64::from(messages);
        self.share.set(self.bytes.len() as u64);
    }

    /// Keeps older bytes before all others.
    pub(super) fn push_front(&mut self, mut bytes: Vec<u8>, messages: u64, oldest: Moment) {
        if !bytes.is_empty() {
            bytes.append(&mut self.bytes);
            self.bytes = bytes;
            self.messages += messages;
            self.oldest = self.oldest.min(oldest);
        }
        self.share.set(self.bytes.len() as u64);
    }

    /// Takes all. Until [`Kept::release`] it counts as kept: it is on its way to a socket, which
    /// may not take it.
    pub(super) fn take(&mut self) -> (Vec<u8>, u64) {
        self.oldest = Moment::NEVER;
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.messages))
    }

    /// What was taken is gone.
    pub(super) fn release(&mut self) {
        self.share.set(self.bytes.len() as u64);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        drop(self.take());
        self.release();
    }
}
