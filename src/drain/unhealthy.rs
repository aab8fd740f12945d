//! Sessions that leave a backend which stays out. Pure: the moment is an argument.

use std::collections::HashSet;
use std::sync::Arc;

use super::order::DrainOrder;
use super::spread::Pace;
use crate::base::clock::Moment;
use crate::config::plan::OutSessions;
use crate::end::Reason;
use crate::pool::{Backend, Pool};
use crate::registry::{Disposition, Selector};

/// Backends whose sessions were told to leave, since when each was out then, and by which rule: a
/// time out is answered once, and once more under another rule.
#[derive(Default)]
pub struct Unhealthy(Vec<(Arc<Backend>, Moment, OutSessions)>);

/// What a look has found.
#[derive(Default)]
pub struct Departures {
    /// Orders for sessions that leave.
    pub orders: Vec<DrainOrder>,
    /// What sessions were told to leave and need not any more: it has recovered, or the rule is
    /// another.
    pub withdrawn: HashSet<Selector>,
}

impl Unhealthy {
    /// The orders for the sessions on backends that stay out, of these pools, which are all there
    /// are; to be asked every [`LOOK_INTERVAL`](super::LOOK_INTERVAL).
    pub fn look<'a>(
        &mut self,
        pools: impl Iterator<Item = &'a Arc<Pool>> + Clone,
        pace: Pace,
        now: Moment,
    ) -> Departures {
        let has = |backend: &Backend| pools.clone().any(|pool| pool.plan().name == *backend.pool());
        let mut found = Departures::default();
        // A backend that a reload changed has the same record under another `Arc`.
        self.0.retain(|(backend, since, rule)| {
            let stays_out = backend.out_since() == Some(*since);
            if !stays_out && has(backend) {
                let before = order(backend, *rule, pace);
                found.withdrawn.extend(before.map(|order| order.selector));
            }
            stays_out && has(backend)
        });
        for pool in pools {
            let rule = pool.plan().health.sessions;
            for (backend, since) in pool.stay_out(now) {
                let known =
                    self.0.iter_mut().find(|(told, of, _)| told.is(&backend) && *of == since);
                match known {
                    Some((.., by)) if *by == rule => continue,
                    Some((.., by)) => {
                        let before = order(&backend, std::mem::replace(by, rule), pace);
                        found.withdrawn.extend(before.map(|order| order.selector));
                    }
                    None => self.0.push((Arc::clone(&backend), since, rule)),
                }
                found.orders.extend(order(&backend, rule, pace));
            }
        }
        found
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
        let pool = Pool::build(&plan, None, &[], &Metrics::new(1)).unwrap();
        let pace = Pace { window: Duration::ZERO, rate_max: 1, deadline: None };
        let order = |rule| order(&pool.backends()[0], rule, pace).map(|order| order.disposition);
        assert_eq!(order(OutSessions::Keep), None);
        assert_eq!(order(OutSessions::Move), Some(Disposition::MoveOrStay));
        assert_eq!(order(OutSessions::Drain), Some(Disposition::MoveOrClose(Selector::All)));
    }

    #[test]
    fn a_time_out_is_answered_once_and_once_more_under_another_rule() {
        let at = Moment::from_millis;
        let pool = |rule, old: Option<&Arc<Pool>>| {
            let mut plan = crate::pool::tests::plan(&[("a:1", 1), ("b:1", 1)]);
            (plan.health.sessions, plan.health.sessions_after) = (rule, Duration::ZERO);
            Pool::build(&Arc::new(plan), old, &[], &Metrics::new(1)).unwrap()
        };
        let pace = Pace { window: Duration::ZERO, rate_max: 1, deadline: None };
        let kept = pool(OutSessions::Keep, None);
        crate::pool::tests::eject(&kept.backends()[0], 0);
        let mut unhealthy = Unhealthy::default();
        let mut look = |pool: &Arc<Pool>| {
            let Departures { orders, withdrawn } = unhealthy.look([pool].into_iter(), pace, at(1));
            let orders: Vec<_> = orders.into_iter().map(|order| order.selector).collect();
            (orders, withdrawn.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(look(&kept), (vec![], vec![]));
        assert_eq!(look(&kept), (vec![], vec![]));
        // Under another rule, which takes back what the one before ordered.
        let drained = pool(OutSessions::Drain, Some(&kept));
        let (ordered, withdrawn) = look(&drained);
        assert_eq!((ordered.len(), withdrawn.len()), (1, 0));
        assert_eq!(look(&drained), (vec![], vec![]));
        let moved = pool(OutSessions::Move, Some(&drained));
        let (moving, withdrawn) = look(&moved);
        assert_eq!((moving.len(), withdrawn), (1, ordered));
        let kept = pool(OutSessions::Keep, Some(&moved));
        assert_eq!(look(&kept), (vec![], moving.clone()));
        assert_eq!(look(&kept), (vec![], vec![]));
        // It recovers: whoever has not left need not leave. Out again, it is left again.
        let moved = pool(OutSessions::Move, Some(&kept));
        assert_eq!(look(&moved).0, moving);
        moved.backends()[0].record(crate::pool::Evidence::Healthy, None, at(2));
        assert_eq!(look(&moved), (vec![], moving.clone()));
        assert_eq!(look(&moved), (vec![], vec![]));
        crate::pool::tests::eject(&moved.backends()[0], 0);
        assert_eq!(look(&moved), (moving, vec![]));
    }
}
