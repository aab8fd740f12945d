//! A client's messages, kept as they came while no upstream takes them.

use std::sync::Arc;
use std::time::Duration;

use super::super::super::budget::BudgetShare;
use super::super::order::Flush;
use crate::base::clock::Moment;
use crate::base::quota::ClientQuota;

/// Data frames as the client masked them, in order; the last may be incomplete.
#[derive(Debug)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// Messages that end in it.
    messages: u64,
    /// Of both, what was counted before it was taken back.
    counted: (u64, u64),
    /// When its first byte was read; `NEVER` when there is none.
    oldest: Moment,
    /// Since when the client is not read for want of room; `NEVER` while there is some.
    full_since: Moment,
    share: BudgetShare,
}

impl Backlog {
    pub(super) fn new(budget: Arc<ClientQuota>) -> Backlog {
        Backlog {
            bytes: Vec::new(),
            messages: 0,
            counted: (0, 0),
            oldest: Moment::NEVER,
            full_since: Moment::NEVER,
            share: BudgetShare::none(budget),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn is_full(&self) -> bool {
        self.full_since != Moment::NEVER
    }

    /// When the client has waited for room for so long.
    pub(super) fn full_until(&self, most: Duration) -> Moment {
        self.full_since.after(most)
    }

    /// When the oldest of it was read; `NEVER` when there is none.
    pub(super) fn oldest(&self) -> Moment {
        self.oldest
    }

    /// Makes room for as many of `wanted` bytes as this buffer's limit and the budget allow; what
    /// [`Backlog::push`] leaves of it goes back.
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
        self.release();
    }

    /// There was no room for all.
    pub(super) fn on_full(&mut self, now: Moment) {
        if !self.is_full() {
            self.full_since = now;
        }
    }

    /// An upstream takes it: the client is read again.
    pub(super) fn on_room(&mut self) {
        self.full_since = Moment::NEVER;
    }

    /// Keeps older bytes, which were counted already, before all others.
    pub(super) fn push_front(&mut self, mut bytes: Vec<u8>, messages: u64, oldest: Moment) {
        if !bytes.is_empty() {
            self.counted = (self.counted.0 + messages, self.counted.1 + bytes.len() as u64);
            bytes.append(&mut self.bytes);
            self.bytes = bytes;
            self.messages += messages;
            self.oldest = self.oldest.min(oldest);
        }
        self.release();
    }

    /// Takes all, and how many messages that is. Until [`Backlog::release`] it counts as kept: it
    /// is on its way to a socket, which may not take it.
    pub(super) fn take(&mut self) -> (Flush, u64) {
        self.oldest = Moment::NEVER;
        self.on_room();
        let (bytes, messages) =
            (std::mem::take(&mut self.bytes), std::mem::take(&mut self.messages));
        let counted = std::mem::take(&mut self.counted);
        let fresh =
            (messages.saturating_sub(counted.0), (bytes.len() as u64).saturating_sub(counted.1));
        (Flush { bytes, fresh: Some(fresh) }, messages)
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
