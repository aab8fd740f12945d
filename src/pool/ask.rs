//! What a pool is asked for, and its answer where there is none to be had.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key::Key;
use super::lease::Kind;
use crate::base::clock::Moment;
use crate::base::network::ClientNetwork;

/// What a backend is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The present moment.
    pub now: Moment,
    /// For how long it will be held.
    pub kind: Kind,
    /// Whose share of the backend's requests or sessions it comes from.
    pub client: ClientNetwork,
    /// Whether it goes on for a session that lives: that has what room there is, beyond its
    /// client's share.
    pub continues: bool,
    /// Addresses of the backends that were tried for this request and failed.
    pub tried: &'a [Arc<str>],
    /// By what it finds the backend it had before, where the pool goes by that.
    pub key: Option<Key>,
    /// Whether a session or a handshake waits for a backend: reason enough to try one that is
    /// ejected.
    pub waits: bool,
    /// The backend it has lost (its address), which it is given only when no other can be had.
    pub avoided: Option<&'a Arc<str>>,
}

impl<'a> Ask<'a> {
    /// A new request or session that finds its backend by `key`.
    pub fn new(now: Moment, kind: Kind, key: Option<Key>) -> Ask<'a> {
        let client = ClientNetwork::Unshared;
        let (continues, waits) = (false, false);
        Ask { now, kind, client, continues, tried: &[], key, waits, avoided: None }
    }
}

/// Every backend that is in was tried, or is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoBackend {
    /// Whether one could have been had, had it not as many sessions as `sessions_max`, or as many
    /// requests as `requests_in_flight_max`, or the client's share of these allows.
    pub is_full: bool,
    /// When it is worth to come again; whole seconds (`Retry-After`, RFC 9110 §10.2.3).
    pub retry_after: Duration,
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no backend is left to try; worth a retry after: {:?}", self.retry_after)
    }
}

impl std::error::Error for NoBackend {}
