//! A client's first messages, recorded to be sent again to each new upstream.

use crate::base::side::Side;
use crate::wire::frame::{Allowed, Event, Tracker};

/// The record: raw data frames without the control frames between them.
#[derive(Debug)]
pub(super) struct Replay {
    bytes: Vec<u8>,
    /// Where the whole messages in `bytes` end.
    whole: usize,
    /// How many they are.
    messages: u32,
    /// How many are to be recorded.
    first: u32,
    bytes_max: u64,
    /// They were longer than that; nothing is recorded any more.
    over: bool,
    allowed: Allowed,
    /// Follows what is recorded.
    tracker: Tracker,
}

impl Replay {
    pub(super) fn new(first: u32, bytes_max: u64, allowed: Allowed) -> Replay {
        let tracker = Tracker::new(Side::Client, allowed);
        Replay {
            bytes: Vec::new(),
            whole: 0,
            messages: 0,
            first,
            bytes_max,
            over: false,
            allowed,
            tracker,
        }
    }

    /// Whether the session can be begun again with it.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whole messages recorded.
    pub(super) fn messages(&self) -> u64 {
        u64::from(self.messages)
    }

    /// The whole messages recorded.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.whole]
    }

    /// Whether a message is recorded in part.
    pub(super) fn is_partial(&self) -> bool {
        self.whole < self.bytes.len()
    }

    /// Forgets a message recorded in part; it will come again from its beginning.
    pub(super) fn forget_partial(&mut self) {
        self.bytes.truncate(self.whole);
        self.tracker = Tracker::new(Side::Client, self.allowed);
    }

    /// Records what goes to an upstream, as far as it belongs to the first messages.
    pub(super) fn record(&mut self, mut bytes: &[u8]) {
        while !self.is_done() {
            let before = self.tracker.frame();
            let step = self.tracker.step(bytes);
            let control = before.or(self.tracker.frame()).is_none_or(|frame| frame.is_control());
            if !control {
                self.bytes.extend_from_slice(&bytes[..step.used]);
            }
            if self.bytes.len() as u64 > self.bytes_max {
                (self.bytes, self.whole, self.over) = (Vec::new(), 0, true);
            } else if step.event == Some(Event::End)
                && self.tracker.at_message_boundary()
                && !control
            {
                self.whole = self.bytes.len();
                self.messages += 1;
            }
            bytes = &bytes[step.used..];
            if step.event.is_none() {
                break;
            }
            if self.is_done() {
                self.bytes.shrink_to_fit();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.messages == self.first || self.over
    }
}
