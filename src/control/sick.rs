//! Sessions that leave a backend which stays out: looked at by the clock.

use std::sync::Arc;

use super::core::Core;
use super::drains::{Order, Pace};
use crate::base::clock::{self, Moment};
use crate::config::plan::OutSessions;
use crate::end::Reason;
use crate::pool::Backend;
use crate::registry::{Disposition, Selector};

/// Backends whose sessions were told to leave, and since when each was out then: a time out is
/// answered once.
pub(super) type Sick = Vec<(Arc<Backend>, Moment)>;

impl Core {
    /// Looks at every pool, and has the sessions leave that are on a backend which stays out.
    pub(super) async fn leave_the_sick(&mut self) {
        let now = clock::now();
        // A backend that a reload changed has the same record under another `Arc`.
        self.sick.retain(|(backend, since)| backend.out_since() == Some(*since));
        let snapshot = self.common.app.live.now();
        self.sick.retain(|(backend, _)| snapshot.pools.contains_key(backend.pool()));
        let mut orders = Vec::new();
        for pool in snapshot.pools.values() {
            let rule = pool.plan().health.sessions;
            for (backend, since) in pool.stay_out(now) {
                if !self.sick.iter().any(|(told, of)| told.is(&backend) && *of == since) {
                    orders.extend(order(&backend, rule));
                    self.sick.push((backend, since));
                }
            }
        }
        let pace = Pace::of(&snapshot.plan.drain);
        // It is not kept while sessions are told.
        drop(snapshot);
        for (who, disposition) in orders {
            let order = Order { who, disposition, why: Reason::Unhealthy, code: None, pace };
            self.handle().let_go(&order).await;
        }
    }
}

/// Who leaves a sick backend, and how.
fn order(backend: &Backend, rule: OutSessions) -> Option<(Selector, Disposition)> {
    let (pool, backend) = (Arc::clone(backend.pool()), Arc::clone(backend.address()));
    let who = Selector::Backend { pool, backend };
    match rule {
        OutSessions::Keep => None,
        OutSessions::Move => {
            Some((Selector::AllOf([who, Selector::Holding].into()), Disposition::MoveOrStay))
        }
        OutSessions::Drain => Some((who, Disposition::MoveOrClose(Selector::All))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::tests::plan::pool;
    use crate::observe::metrics::Metrics;
    use crate::pool::Pool;

    #[test]
    fn who_leaves_is_what_the_rule_says() {
        let plan = Arc::new(pool("chat", &[1]));
        let pool = Pool::build(&plan, None, &Metrics::new(1)).unwrap();
        let order = |rule| order(&pool.backends()[0], rule).map(|(_, disposition)| disposition);
        assert_eq!(order(OutSessions::Keep), None);
        assert_eq!(order(OutSessions::Move), Some(Disposition::MoveOrStay));
        assert_eq!(order(OutSessions::Drain), Some(Disposition::MoveOrClose(Selector::All)));
    }
}
