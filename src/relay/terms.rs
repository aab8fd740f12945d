//! What a session is held to.

use std::sync::Arc;

use super::core::HoldTerms;
use crate::base::clock::Moment;
use crate::config::plan::Rules;
use crate::limit::SharedAllowance;
use crate::observe::metrics::RouteMetrics;
use crate::registry::Seat;
use crate::wire::frame::Allowed;

/// What a session is held to.
pub struct Terms {
    /// The route's rules.
    pub rules: Arc<Rules>,
    /// What the negotiated extensions allow.
    pub allowed: Allowed,
    /// Its place among the worker's sessions.
    pub seat: Seat,
    /// Where its messages are counted.
    pub cells: Arc<RouteMetrics>,
    /// How it is held while its upstream is away; not at all when `None`.
    pub hold: Option<HoldTerms>,
    /// When the right to the session ends; `NEVER` where it has no such end.
    pub expires: Moment,
    /// What its client may send with others of its key.
    pub shared: Option<SharedAllowance>,
}
