//! What is written down of a session.

use std::time::Duration;

use crate::wire::frame::Violation;

/// What passed in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// What the client sent.
    pub client: SideTally,
    /// What the upstream sent.
    pub upstream: SideTally,
    /// Whether a side was left with a frame cut in the middle, and so without a Close.
    pub cut: bool,
}

/// What one side sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideTally {
    /// Data messages that went across whole.
    pub messages: u64,
    /// Bytes that went across, frame headers and control frames included; without TLS.
    pub bytes: u64,
    /// Round trips of our pings.
    pub rtt: Rtt,
    /// Frames against RFC 6455.
    pub violations: u32,
    /// What the first of them did.
    pub violation: Option<Violation>,
    /// The code of its Close, when one was seen; 1005 when the Close had none.
    pub close: Option<u16>,
}

/// Round trips of our pings to a side, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtt {
    /// How many were measured.
    pub count: u32,
    last: u32,
    shortest: u32,
    longest: u32,
}

impl Rtt {
    pub(super) fn add(&mut self, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.shortest = if self.count == 0 { millis } else { self.shortest.min(millis) };
        self.longest = self.longest.max(millis);
        self.last = millis;
        self.count = self.count.saturating_add(1);
    }

    /// The last one.
    pub fn last(&self) -> Option<Duration> {
        self.some(self.last)
    }

    /// The shortest.
    pub fn shortest(&self) -> Option<Duration> {
        self.some(self.shortest)
    }

    /// The longest.
    pub fn longest(&self) -> Option<Duration> {
        self.some(self.longest)
    }

    fn some(&self, millis: u32) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_millis(u64::from(millis)))
    }
}
