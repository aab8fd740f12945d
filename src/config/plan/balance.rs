//! How a backend is chosen.

use super::request_key::RequestKey;

/// How a backend is chosen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The one with the fewest live sessions for its weight; plain requests in turn.
    LeastSessions,
    /// The better of two that are drawn by weight.
    RandomTwo,
    /// By a hash of something in the request; without it as [`Balance::LeastSessions`].
    Hash {
        /// Of what.
        by: RequestKey,
        /// How far above its fair share of sessions a backend may come, in percent.
        excess_percent: Option<u32>,
    },
}
