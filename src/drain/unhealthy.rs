//! Sessions that leave a backend which stays out. Pure: the moment is an argument.

use std::sync::Arc;

use super::order::DrainOrder;
use super::spread::Pace;
use crate::base::clock::Moment;
use crate::config::plan::OutSessions;
use crate::end::Reason;
use crate::pool::{Backend, Pool};
use crate::registry::{Disposition, Selector};

/// Backends whose sessions were told to leave, and since when each was out then: a time out is
/// answered once.
#[derive(Default)]
pub struct Unhealthy(Vec<(Arc<Backend>, Moment)>);

impl Unhealthy {
    /// The orders for the sessions on backends that stay out, of these pools, which are all there
    /// are; to be asked every [`LOOK_INTERVAL`](super::LOOK_INTERVAL).
    pub fn look<'a>(
        &mut self,
        pools: impl Iterator<Item = &'a Arc<Pool>> + Clone,
        pace: Pace,
        now: Moment,
    ) -> Vec<DrainOrder> {
        let has = |backend: &Backend| pools.clone().any(|pool| pool.plan().name == *backend.pool());
        // A backend that a reload changed has the same record under another `Arc`.
        self.0.retain(|(backend, since)| backend.out_since() == Some(*since) && has(backend));
        let mut orders = Vec::new();
        for pool in pools {
            let rule = pool.plan().health.sessions;
            for (backend, since) in pool.stay_out(now) {
                if !self.0.iter().any(|(told, of)| told.is(&backend) && *of == since) {
                    orders.extend(order(&backend, rule, pace));
                    self.0.push((backend, since));
                }
            }
        }
        orders
    }
}

/// The order for the sessions of a backend that stays out, where they do not stay.
fn order(backend: &Backend, rule: OutSessions, pace: Pace) -> Option<DrainOrder> {
    let selector = Selector::Backend {
        pool: Arc::clone(backend.pool()),
        backend: Arc::clone(backend.address()),
    };
    let order = DrainOrder::close(selector, Reason::Unhealthy, pace);
    match rule {
        OutSessions::Keep => None,
        OutSessions::Move => {
            let selector = Selector::AllOf([order.selector.clone(), Selector::Holding].into());
            Some(DrainOrder { selector, disposition: Disposition::MoveOrStay, ..order })
        }
        OutSessions::Drain => {
            Some(DrainOrder { disposition: Disposition::MoveOrClose(Selector::All), ..order })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::metrics::Metrics;

    #[test]
    fn what_becomes_of_sessions_is_what_the_rule_says() {
        let plan = Arc::new(crate::pool::tests::plan(&[("a:1", 1)]));
        let pool = Pool::build(&plan, None, &Metrics::new(1)).unwrap();
        let pace = Pace { window: Duration::ZERO, rate_max: 1, deadline: None };
        let order = |rule| order(&pool.backends()[0], rule, pace).map(|order| order.disposition);
        assert_eq!(order(OutSessions::Keep), None);
        assert_eq!(order(OutSessions::Move), Some(Disposition::MoveOrStay));
        assert_eq!(order(OutSessions::Drain), Some(Disposition::MoveOrClose(Selector::All)));
    }
}
