//! Sessions that move until a pool's backends are level: looked at by the clock, moved by the
//! workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::{Core, LOOK_INTERVAL};
use super::handle::Handle;
use crate::base::clock;
use crate::config::plan;
use crate::pool::{Leave, Pool, Rebalance};
use crate::registry::{self, First, Moving, Selector};

/// What is remembered of pools, by their names.
pub(super) type Rebalances = BTreeMap<Arc<str>, Rebalance>;

impl Core {
    /// Looks at every pool, and asks those sessions to move that have to.
    pub(super) async fn rebalance(&mut self) {
        let pools: Vec<Arc<Pool>> = {
            let snapshot = self.common.app.live.now();
            self.rebalances.retain(|name, _| snapshot.pools.contains_key(name));
            let several = |pool: &&Arc<Pool>| pool.backends().len() > 1;
            snapshot.pools.values().filter(several).cloned().collect()
        };
        for pool in pools {
            let name = &pool.plan().name;
            let state = self.rebalances.entry(Arc::clone(name)).or_default();
            let before = state.is_levelling();
            let leave = pool.rebalance(state, clock::now());
            let Some(rules) = &pool.plan().rebalance else { continue };
            if state.is_levelling() != before {
                let does = if before { "is over" } else { "begins" };
                tracing::info!(pool = %name, "rebalance {does}");
            }
            for Leave { backend, sessions } in leave {
                let who = Selector::Backend { pool: Arc::clone(name), backend };
                self.handle().move_away(who, sessions, rules).await;
            }
        }
    }
}

impl Handle {
    /// Asks so many sessions to move, of each worker as many as are its part.
    async fn move_away(&self, who: Selector, sessions: usize, rules: &plan::Rebalance) {
        let counted = who.clone();
        let counts = self.0.queues.ask_all(move |_| registry::count(&counted)).await;
        let shares: Arc<[usize]> = shared_out(sessions, &counts).into();
        let first = match rules.first {
            plan::First::Oldest => First::Oldest,
            plan::First::Random => First::Random,
        };
        let age_min = rules.age_min;
        let ask = move |worker: usize| {
            let most = shares.get(worker).copied().unwrap_or_default();
            let who = who.clone();
            // Spread until the next look.
            let moving = Moving { who, most, age_min, first, window: LOOK_INTERVAL };
            if most > 0 { registry::move_away(&moving, clock::now()) } else { 0 }
        };
        self.0.queues.ask_all(ask).await;
    }
}

/// Shares out `total` by chance, each worker by how many it has, so that one session at a time does
/// not always come from the same worker.
fn shared_out(total: usize, counts: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; counts.len()];
    let mut left: usize = counts.iter().sum();
    for _ in 0..total.min(left) {
        let mut drawn = fastrand::usize(..left);
        for (share, count) in shares.iter_mut().zip(counts) {
            let rest = count - *share;
            if drawn < rest {
                *share += 1;
                break;
            }
            drawn -= rest;
        }
        left -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_is_asked_for_more_than_it_has_and_all_are_asked_in_time() {
        assert_eq!(shared_out(5, &[2, 0, 3]), [2, 0, 3]);
        assert_eq!(shared_out(9, &[2, 0, 3]), [2, 0, 3]);
        assert_eq!(shared_out(3, &[]), [0; 0]);
        let mut sum = [0; 2];
        for _ in 0..200 {
            let one = shared_out(1, &[10, 10]);
            sum.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
        }
        assert!(sum[0] + sum[1] == 200 && sum.iter().all(|sum| *sum > 0), "{sum:?}");
    }
}
