//! What is written down of a session.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::base::side::Side;
use crate::registry::{SessionTraffic, SideTraffic};
use crate::wire::frame::Violation;

/// What passed in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionStats {
    /// What the client sent.
    pub client: SideStats,
    /// What the upstream sent.
    pub upstream: SideStats,
    /// Messages of ours that were sent to the client.
    pub pushed: u64,
    /// Whether a side was left with a frame cut in the middle, and so without a Close.
    pub cut: bool,
}

impl SessionStats {
    /// Writes a line about each side that sent frames against RFC 6455.
    pub(in crate::relay) fn log_violations(&self, session: SessionId) {
        for (side, of) in [(Side::Client, &self.client), (Side::Upstream, &self.upstream)] {
            if let Some(violation) = of.violation {
                let (violation, count) = (violation.label(), of.violations);
                tracing::info!(%session, %side, violation, count, "frames against RFC 6455");
            }
        }
    }
}

/// What one side sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideStats {
    /// Data messages that went across whole.
    pub messages: u64,
    /// Bytes that went across, frame headers and control frames included; without TLS.
    pub bytes: u64,
    /// How long our last ping took there and back.
    pub rtt: Rtt,
    /// Frames against RFC 6455.
    pub violations: u32,
    /// What the first of them did.
    pub violation: Option<Violation>,
    /// Of its Close, when one was seen.
    pub close: SeenCode,
    /// Of the last Close that went to it, when one did.
    pub close_sent: SeenCode,
}

/// The code of a Close, where there was one; 1005 where it had none. No code is 0, so that no Close
/// takes no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeenCode(Option<NonZeroU16>);

impl SessionStats {
    /// What of it is told while the session lives.
    pub fn traffic(&self) -> SessionTraffic {
        let of = |side: &SideStats| SideTraffic {
            messages: side.messages,
            bytes: side.bytes,
            rtt: side.rtt.last(),
        };
        SessionTraffic { client: of(&self.client), upstream: of(&self.upstream), last_data: None }
    }
}

impl SideStats {
    /// A Close with this code came from it.
    pub(super) fn on_close(&mut self, code: u16) {
        self.close = SeenCode(NonZeroU16::new(code));
    }

    /// One with this code went to it.
    pub(super) fn on_close_sent(&mut self, code: u16) {
        self.close_sent = SeenCode(NonZeroU16::new(code));
    }

    /// The same, where another transport takes the side's place.
    pub(super) fn without_closes(self) -> SideStats {
        SideStats { close: SeenCode::default(), close_sent: SeenCode::default(), ..self }
    }
}

impl SeenCode {
    /// The code; `None` where there was no Close.
    pub fn get(self) -> Option<u16> {
        self.0.map(NonZeroU16::get)
    }
}

/// The last round trip of our pings to a side, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtt {
    /// One millisecond more, so that none takes no room.
    last: Option<NonZeroU32>,
}

impl Rtt {
    pub(super) fn note(&mut self, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.last = NonZeroU32::new(millis.saturating_add(1));
    }

    /// The last one; `None` while no ping was answered.
    pub fn last(&self) -> Option<Duration> {
        self.last.map(|more| Duration::from_millis(u64::from(more.get()) - 1))
    }
}
