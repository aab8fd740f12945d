//! What passed in sessions so far, asked of them when somebody wants to know: they count for
//! themselves, and no message costs more for it.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

/// What passed in a session so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionTraffic {
    /// What the client sent.
    pub client: SideTraffic,
    /// What the upstream sent.
    pub upstream: SideTraffic,
    /// When a part of a data message last passed, where the session itself says what passed.
    pub last_data: Option<Moment>,
}

/// What one side sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideTraffic {
    /// Data messages that went across whole.
    pub messages: u64,
    /// Bytes that went across, without TLS.
    pub bytes: u64,
    /// How long our last ping to it took there and back; `None` while none was answered.
    pub rtt: Option<Duration>,
}

/// Where a session says what passed. One that ends first says nothing.
#[derive(Clone, Debug)]
pub struct TrafficReport(mpsc::Sender<(SessionId, SessionTraffic)>);

impl TrafficReport {
    /// One for so many sessions, and what they say.
    pub(super) fn of(
        sessions: usize,
    ) -> (TrafficReport, mpsc::Receiver<(SessionId, SessionTraffic)>) {
        let (sender, receiver) = mpsc::channel(sessions.max(1));
        (TrafficReport(sender), receiver)
    }

    /// What passed in the session `id`.
    pub fn tell(self, id: SessionId, traffic: SessionTraffic) {
        // There is room for each; that nobody waits any longer is no fault.
        let _ = self.0.try_send((id, traffic));
    }
}
