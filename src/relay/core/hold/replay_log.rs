//! A client's first messages, recorded to be sent again to each new upstream.

use crate::base::side::Side;
use crate::wire::frame::{Allowed, FrameEvent, Opcode, Tracker};

/// A whole message of the record.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    /// Where it ends.
    end: usize,
    /// Messages of the upstream that the client had seen before it began: it may be an answer to
    /// them.
    seen: u64,
}

/// The record: raw data frames without the control frames between them. Boxed: on most routes
/// nothing is recorded.
#[derive(Debug)]
pub(super) struct ReplayLog(Option<Box<OpeningRecord>>);

#[derive(Debug)]
struct OpeningRecord {
    bytes: Vec<u8>,
    /// The whole messages in `bytes`.
    whole: Vec<Recorded>,
    /// What the client had seen when the one in progress began.
    seen: u64,
    /// How many are to be recorded.
    first: u32,
    bytes_max: u64,
    /// They were longer than that; nothing is recorded any more.
    overflowed: bool,
    /// How many of its messages this upstream was sent, while not all were.
    cursor: Option<usize>,
    allowed: Allowed,
    /// Follows what is recorded.
    tracker: Tracker,
}

impl ReplayLog {
    pub(super) fn new(first: u32, bytes_max: u64, allowed: Allowed) -> ReplayLog {
        let record = || OpeningRecord {
            bytes: Vec::new(),
            whole: Vec::new(),
            seen: 0,
            first,
            bytes_max,
            overflowed: false,
            cursor: None,
            allowed,
            tracker: Tracker::new(Side::Client, allowed),
        };
        ReplayLog((first > 0).then(|| Box::new(record())))
    }

    /// Whether the session can no longer be begun again with it.
    pub(super) fn is_overflowed(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.overflowed)
    }

    /// Bytes recorded.
    pub(super) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |record| record.bytes.len() as u64)
    }

    /// Whole messages recorded.
    pub(super) fn messages(&self) -> u64 {
        self.0.as_ref().map_or(0, |record| record.whole.len() as u64)
    }

    /// A new upstream is to be sent all of it.
    pub(super) fn begin(&mut self) {
        if let Some(record) = &mut self.0 {
            record.cursor = (!record.whole.is_empty()).then_some(0);
        }
    }

    /// No upstream is sent any more of it.
    pub(super) fn cancel(&mut self) {
        if let Some(record) = &mut self.0 {
            record.cursor = None;
        }
    }

    /// Whether the upstream was not sent all of it.
    pub(super) fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.cursor.is_some())
    }

    /// Of the messages it was not sent those that may be sent to an upstream which has given so
    /// many `answers`: the client did not send them before it had seen as many.
    pub(super) fn poll(&mut self, answers: u64) -> Option<Vec<u8>> {
        self.0.as_mut()?.poll(answers)
    }

    /// Whether a message is recorded in part.
    pub(super) fn is_partial(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.is_partial())
    }

    /// Forgets a message recorded in part; it will come again from its beginning.
    pub(super) fn forget_partial(&mut self) {
        if let Some(record) = &mut self.0 {
            record.bytes.truncate(record.end_of(record.whole.len()));
            record.tracker = Tracker::new(Side::Client, record.allowed);
        }
    }

    /// Records what goes to an upstream, as far as it belongs to the first messages, from a client
    /// that has `seen` so many messages.
    pub(super) fn record(&mut self, bytes: &[u8], seen: u64) {
        if let Some(record) = &mut self.0 {
            record.add(bytes, seen);
        }
    }
}

impl OpeningRecord {
    fn poll(&mut self, answers: u64) -> Option<Vec<u8>> {
        let from = self.cursor?;
        let may = |one: &&Recorded| one.seen <= answers;
        let to = from + self.whole.iter().skip(from).take_while(may).count();
        self.cursor = (to < self.whole.len()).then_some(to);
        (to > from).then(|| self.bytes[self.end_of(from)..self.end_of(to)].to_vec())
    }

    /// Where the first `messages` end.
    fn end_of(&self, messages: usize) -> usize {
        messages.checked_sub(1).and_then(|last| self.whole.get(last)).map_or(0, |one| one.end)
    }

    fn is_partial(&self) -> bool {
        self.end_of(self.whole.len()) < self.bytes.len()
    }

    fn add(&mut self, mut bytes: &[u8], seen: u64) {
        while !self.is_done() {
            let before = self.tracker.frame();
            let step = self.tracker.step(bytes);
            let control = before.or(self.tracker.frame()).is_none_or(Opcode::is_control);
            if !control {
                if !self.is_partial() {
                    self.seen = seen;
                }
                self.bytes.extend_from_slice(&bytes[..step.used]);
            }
            if self.bytes.len() as u64 > self.bytes_max {
                (self.bytes, self.whole, self.overflowed) = (Vec::new(), Vec::new(), true);
            } else if step.event == Some(FrameEvent::End)
                && self.tracker.at_message_boundary()
                && !control
            {
                self.whole.push(Recorded { end: self.bytes.len(), seen: self.seen });
            }
            bytes = &bytes[step.used..];
            if step.event.is_none() {
                break;
            }
            if self.is_done() {
                self.bytes.shrink_to_fit();
                self.whole.shrink_to_fit();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.whole.len() == self.first as usize || self.overflowed
    }
}
