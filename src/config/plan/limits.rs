//! How much one value of a key may have of a route.

use super::super::tables::Pacing;
use super::super::tables::words::SessionExcess;
use super::request_key::RequestKey;

/// A route's limits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteLimits {
    /// Of WebSocket handshakes.
    pub handshakes: Vec<RateRule>,
    /// Of plain requests.
    pub requests: Vec<RateRule>,
    /// Of the messages of all sessions together.
    pub messages: Option<RateRule>,
    /// Of sessions at once.
    pub sessions: Vec<SessionRule>,
    /// Bytes of a body; unlimited when `None`.
    pub body_bytes_max: Option<u64>,
}

/// So many in a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RateRule {
    /// What tells requests apart.
    pub key: RequestKey,
    /// How many.
    pub rate: Pacing,
    /// How many at once.
    pub burst: u32,
}

/// So many sessions at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRule {
    /// What tells them apart.
    pub key: RequestKey,
    /// How many.
    pub max: usize,
    /// What becomes of one more.
    pub excess: SessionExcess,
}
