//! How a backend is chosen.

use std::sync::Arc;

use http::HeaderName;

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
        by: HashBy,
        /// How far above its fair share of sessions a backend may come, in percent.
        excess_percent: Option<u32>,
    },
}

/// What is hashed of a request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HashBy {
    /// Who asks: the IPv4 address, or the first half of the IPv6 address.
    Client,
    /// The value of a header field's first line.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(Arc<str>),
    /// A query parameter's value, as it is written.
    Query(Arc<str>),
    /// The normalised path.
    Path,
}
