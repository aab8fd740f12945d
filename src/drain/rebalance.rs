//! Sessions that move until a pool's backends are level. Pure: the moment is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LOOK_INTERVAL;
use super::order::DrainOrder;
use super::spread::Pace;
use crate::base::clock::Moment;
use crate::config::plan;
use crate::end::Reason;
use crate::pool::{Leave, Pool, Rebalance, RebalanceState};
use crate::registry::{Disposition, Selector, Subset, SubsetOrder};

/// What is remembered of pools, by their names.
#[derive(Default)]
pub struct Rebalances(BTreeMap<Arc<str>, Rebalance>);

/// What a look at all pools has found.
#[derive(Default)]
pub struct Rebalanced {
    /// Orders for sessions that move now, those of one pool in one group.
    pub orders: Vec<DrainOrder>,
    /// The groups of pools that are level.
    pub levelled: Vec<Selector>,
}

impl Rebalances {
    /// What another process goes on with, by the names of pools.
    pub fn states(&self, now: Moment) -> Vec<(Arc<str>, RebalanceState)> {
        let states =
            self.0.iter().filter_map(|(pool, of)| Some((Arc::clone(pool), of.state(now)?)));
        states.collect()
    }

    /// Goes on with what another process has left of a pool.
    pub fn resume(&mut self, pool: Arc<str>, state: RebalanceState, now: Moment) {
        self.0.insert(pool, Rebalance::resume(state, now));
    }

    /// So many sessions were told by an order of the last look.
    pub fn told(&mut self, order: &DrainOrder, told: usize) {
        let Some((pool, backend)) = of(order) else { return };
        if let (Some(state), Some((wanted, _))) = (self.0.get_mut(pool), order.subset) {
            state.told(backend, wanted, told);
        }
    }

    /// What is to be done for these pools, which are all there are; to be asked every
    /// [`LOOK_INTERVAL`].
    pub fn look<'a>(
        &mut self,
        pools: impl Iterator<Item = &'a Arc<Pool>> + Clone,
        pace: Pace,
        now: Moment,
    ) -> Rebalanced {
        let mut found = Rebalanced::default();
        let several = pools.filter(|pool| pool.backends().len() > 1);
        self.0.retain(|name, state| {
            let stays = several.clone().any(|pool| pool.plan().name == *name);
            if !stays && state.is_levelling() {
                found.levelled.push(Selector::Pool(Arc::clone(name)));
            }
            stays
        });
        for pool in several {
            let name = &pool.plan().name;
            let state = self.0.entry(Arc::clone(name)).or_default();
            let before = state.is_levelling();
            let leave = pool.rebalance(state, now);
            if before && !state.is_levelling() {
                found.levelled.push(Selector::Pool(Arc::clone(name)));
            }
            let Some(rules) = &pool.plan().rebalance else { continue };
            found.orders.extend(leave.into_iter().map(|leave| order(name, leave, rules, pace)));
        }
        found
    }
}

/// The backend that an order of a rebalance is for, and its pool.
fn of(order: &DrainOrder) -> Option<(&Arc<str>, &Arc<str>)> {
    let Selector::AllOf(parts) = &order.selector else { return None };
    parts.iter().find_map(|part| match part {
        Selector::Backend { pool, backend } => Some((pool, backend)),
        _ => None,
    })
}

/// The order for so many sessions to leave a backend. They are spread until the next look.
fn order(pool: &Arc<str>, leave: Leave, rules: &plan::Rebalance, pace: Pace) -> DrainOrder {
    let first = match rules.first {
        plan::First::Oldest => SubsetOrder::Oldest,
        plan::First::Random => SubsetOrder::Random,
    };
    let on = Selector::Backend { pool: Arc::clone(pool), backend: leave.backend };
    let selector = Selector::AllOf([on, Selector::Holding].into());
    DrainOrder {
        subset: Some((leave.sessions, Subset { age_min: rules.age_min, first })),
        disposition: Disposition::MoveOrStay,
        group: Some(Selector::Pool(Arc::clone(pool))),
        ..DrainOrder::close(selector, Reason::Rebalance, Pace { window: LOOK_INTERVAL, ..pace })
    }
}
