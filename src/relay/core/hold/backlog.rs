//! A client's messages, kept as they came while no upstream takes them.

use std::sync::Arc;
use std::time::Duration;

use super::super::super::budget::BudgetShare;
use super::super::order::Flush;
use crate::base::clock::Moment;
use crate::base::quota::ClientQuota;

/// What is kept. Boxed: most sessions have their upstream, and keep nothing.
#[derive(Debug)]
pub(super) struct Backlog {
    budget: Arc<ClientQuota>,
    kept: Option<Box<KeptMessages>>,
}

/// Data frames as the client masked them, in order; the last may be incomplete.
#[derive(Debug)]
struct KeptMessages {
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
        Backlog { budget, kept: None }
    }

    fn kept(&mut self) -> &mut KeptMessages {
        self.kept.get_or_insert_with(|| {
            Box::new(KeptMessages {
                bytes: Vec::new(),
                messages: 0,
                counted: (0, 0),
                oldest: Moment::NEVER,
                full_since: Moment::NEVER,
                share: BudgetShare::none(Arc::clone(&self.budget)),
            })
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.bytes.is_empty())
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.bytes.len() as u64)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full_since() != Moment::NEVER
    }

    fn full_since(&self) -> Moment {
        self.kept.as_ref().map_or(Moment::NEVER, |kept| kept.full_since)
    }

    /// When the client has waited for room for so long.
    pub(super) fn full_until(&self, most: Duration) -> Moment {
        self.full_since().after(most)
    }

    /// When the oldest of it was read; `NEVER` when there is none.
    pub(super) fn oldest(&self) -> Moment {
        self.kept.as_ref().map_or(Moment::NEVER, |kept| kept.oldest)
    }

    /// Makes room for as many of `wanted` bytes as this buffer's limit and the budget allow; what
    /// [`Backlog::push`] leaves of it goes back.
    pub(super) fn reserve(&mut self, wanted: usize, bytes_max: u64) -> usize {
        let kept = self.kept();
        let left = bytes_max.saturating_sub(kept.bytes.len() as u64);
        kept.share.grow(left.min(wanted as u64)) as usize
    }

    /// Keeps these bytes, for which there is room.
    pub(super) fn push(&mut self, bytes: &[u8], messages: u32, now: Moment) {
        let kept = self.kept();
        if kept.bytes.is_empty() && !bytes.is_empty() {
            kept.oldest = now;
        }
        kept.bytes.extend_from_slice(bytes);
        kept.messages += u64::from(messages);
        self.release();
    }

    /// There was no room for all.
    pub(super) fn on_full(&mut self, now: Moment) {
        if !self.is_full() {
            self.kept().full_since = now;
        }
    }

    /// An upstream takes it: the client is read again.
    pub(super) fn on_room(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.full_since = Moment::NEVER;
        }
    }

    /// Keeps older bytes, which were counted already, before all others.
    pub(super) fn push_front(&mut self, mut bytes: Vec<u8>, messages: u64, oldest: Moment) {
        if !bytes.is_empty() {
            let kept = self.kept();
            kept.counted = (kept.counted.0 + messages, kept.counted.1 + bytes.len() as u64);
            bytes.append(&mut kept.bytes);
            kept.bytes = bytes;
            kept.messages += messages;
            kept.oldest = kept.oldest.min(oldest);
        }
        self.release();
    }

    /// Takes all, and how many messages that is. Until [`Backlog::release`] it counts as kept: it
    /// is on its way to a socket, which may not take it.
    pub(super) fn take(&mut self) -> (Flush, u64) {
        let kept = self.kept();
        (kept.oldest, kept.full_since) = (Moment::NEVER, Moment::NEVER);
        let (bytes, messages) =
            (std::mem::take(&mut kept.bytes), std::mem::take(&mut kept.messages));
        let counted = std::mem::take(&mut kept.counted);
        let fresh =
            (messages.saturating_sub(counted.0), (bytes.len() as u64).saturating_sub(counted.1));
        (Flush { bytes, fresh: Some(fresh) }, messages)
    }

    /// What was taken is gone.
    pub(super) fn release(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.share.set(kept.bytes.len() as u64);
        }
        let is_idle = |kept: &mut Box<KeptMessages>| {
            kept.bytes.is_empty() && kept.full_since == Moment::NEVER && kept.messages == 0
        };
        self.kept.take_if(is_idle);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.kept = None;
    }
}
