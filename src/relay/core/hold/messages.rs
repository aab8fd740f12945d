//! What becomes of the client's messages: on their way, kept, taken back, sent again.

use super::super::order::Flush;
use super::transit::Recovered;
use super::{Hold, Stage};
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::wire::frame::Tracker;

impl Hold {
    /// Bytes of this client, or a frame of ours, are about to go upstream.
    pub(in super::super) fn on_sending(&mut self, client: &Tracker) {
        // What answers the Close of an upstream goes when the upstream is away already, and was
        // marked when that came.
        if self.stage != Stage::Away {
            self.transit.on_sending((!self.stands_apart(Side::Upstream)).then_some(client));
        }
    }

    /// These bytes went across, of a client that has `seen` so many messages.
    pub(in super::super) fn on_crossed(&mut self, bytes: &[u8], messages: u32, seen: u64) {
        self.record(bytes, seen);
        self.transit.on_crossed(messages);
    }

    /// Records the session's beginning, which counts in what all sessions keep.
    fn record(&mut self, bytes: &[u8], seen: u64) {
        self.replay.record(bytes, seen);
        self.kept.set(u64::from(self.head_bytes) + self.replay.bytes());
    }

    /// What went to the upstream last could not all be sent: `sent` of it was.
    pub(in super::super) fn on_spilled(&mut self, sent: &[u8], now: Moment) {
        self.transit.on_spilled(sent, now);
    }

    /// All was sent that went to the upstream.
    pub(in super::super) fn on_flushed(&mut self) {
        self.transit.on_flushed();
        self.backlog.release();
    }

    /// The upstream is gone, or takes nothing more: `written` of what waited for it was sent, and
    /// `unsent` was not. The messages and bytes that are kept of that, which had been counted; or
    /// none where the session's beginning was cut, so that no other upstream can be given it.
    pub(in super::super) fn on_unsent(
        &mut self,
        written: &[u8],
        unsent: &[u8],
    ) -> Option<(u64, u64)> {
        let mut kept = (0, 0);
        if !self.is_absent() {
            return Some(kept);
        }
        match self.transit.recover(written, unsent, self.replay.messages()) {
            None => return Some(kept),
            Some(Recovered::AllSent { discarding }) => {
                self.backlog.release();
                self.discarded += u32::from(self.discards && !discarding);
            }
            Some(Recovered::Unsent(found)) => {
                self.discards = found.discards;
                self.discarded += u32::from(found.cut);
                kept = (found.messages, found.bytes.len() as u64);
                self.backlog.push_front(found.bytes, found.messages, found.oldest);
            }
        }
        if self.discards && self.replay.is_partial() {
            return None;
        }
        self.replay.forget_partial();
        Some(kept)
    }

    /// How many of the client's next `bytes` can be kept.
    pub(in super::super) fn reserve(&mut self, bytes: usize) -> usize {
        self.backlog.reserve(bytes, self.terms.buffer_bytes_max)
    }

    /// Keeps them, in which so many messages end; `full` when there was not room for all.
    pub(in super::super) fn keep(&mut self, bytes: &[u8], messages: u32, full: bool, now: Moment) {
        self.backlog.push(bytes, messages, now);
        if full {
            self.backlog.on_full(now);
        }
    }

    /// Gives back room that nothing was kept in.
    pub(in super::super) fn release(&mut self) {
        self.backlog.release();
    }

    /// What goes to the new upstream now, and how many messages of the client's that is, of which
    /// a replay's are none; the client has `seen` so many.
    pub(in super::super) fn poll_flush(&mut self, seen: u64, now: Moment) -> Option<(Flush, u64)> {
        let answers = match self.stage {
            Stage::Waiting { left, .. } => self.seen_answers.saturating_sub(left).into(),
            _ => u64::MAX,
        };
        if let Some(bytes) = self.replay.poll(answers) {
            self.transit.on_sending(None);
            self.answers.on_replayed(now);
            return Some((Flush { bytes, fresh: None }, 0));
        }
        if !matches!(self.stage, Stage::Live | Stage::Asking { .. }) || self.backlog.is_empty() {
            return None;
        }
        let oldest = self.backlog.oldest();
        let (flush, messages) = self.backlog.take();
        self.transit.on_flushing(oldest, messages);
        self.answers.on_asked(u32::try_from(messages).unwrap_or(u32::MAX), now);
        self.record(&flush.bytes, seen);
        Some((flush, messages))
    }
}
