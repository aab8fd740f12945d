//! A route's limits at work.

use std::sync::Arc;

use crate::config::plan::{RateRule, RequestKey, Route, SessionRule};
use crate::limit::{Allowance, RateLimit};
use crate::registry::TICK;

/// A route's limits. They count by the route's identity, so that what was taken before a reload
/// counts after it.
#[derive(Debug, Default)]
pub struct LiveLimits {
    /// Of WebSocket handshakes.
    pub handshakes: Vec<(RequestKey, RateLimit)>,
    /// Of plain requests.
    pub requests: Vec<(RequestKey, RateLimit)>,
    /// Of the messages of all sessions of one key, and how many there are at once.
    pub messages: Option<(RequestKey, Arc<RateLimit>, u64)>,
    /// Of sessions at once, each with the name it counts by.
    pub sessions: Vec<(SessionRule, Box<str>)>,
}

impl LiveLimits {
    pub(super) fn new(route: &Route) -> Arc<LiveLimits> {
        let identity = &route.identity;
        let rate = |of: &'static str| {
            move |rule: &RateRule| {
                let RateRule { key, rate, burst } = rule;
                let name = format!("{identity} {of} {key} {}", rate.per.as_secs());
                let allowance = Allowance::new(rate.count.into(), rate.per, (*burst).into());
                (key.clone(), RateLimit::new(name, allowance))
            }
        };
        let sessions =
            |rule: &SessionRule| (rule.clone(), format!("{identity} sessions {}", rule.key).into());
        let limits = &route.limits;
        let messages = limits.messages.as_ref().map(|rule| {
            // Sessions that wait are woken by the registry's wheel, and have what has come by then.
            let burst = rule.burst.max(in_a_tick(rule));
            let (key, limit) = rate("messages")(&RateRule { burst, ..rule.clone() });
            (key, Arc::new(limit), u64::from(burst))
        });
        Arc::new(LiveLimits {
            handshakes: limits.handshakes.iter().map(rate("handshakes")).collect(),
            requests: limits.requests.iter().map(rate("requests")).collect(),
            messages,
            sessions: limits.sessions.iter().map(sessions).collect(),
        })
    }
}

/// How many come back in a turn of the wheel.
fn in_a_tick(rule: &RateRule) -> u32 {
    let rate = f64::from(rule.rate.count) / rule.rate.per.as_secs_f64().max(f64::MIN_POSITIVE);
    (rate * TICK.as_secs_f64()) as u32
}
