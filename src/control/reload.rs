//! A reload: a whole configuration is built aside, then taken whole or refused whole.

use std::sync::Arc;

use super::core::ProcessCore;
use super::opening::{self, Opening};
use super::reading::ReadConfig;
use super::start_error::with_hint;
use crate::admin::{ReloadRefused, ReloadRequest, Reloaded, Taken};
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::Plan;
use crate::drain::{DrainOrder, Pace};
use crate::end::Reason;
use crate::live::{self, Changes, LiveListener, Snapshot};
use crate::registry::{self, Disposition, Selector};

/// Takes what was read, and says in log and metrics what came of it.
pub(super) async fn reload(
    core: &mut ProcessCore,
    request: ReloadRequest,
    loaded: ReadConfig,
) -> Reloaded {
    let named = match &loaded {
        Ok((plan, _)) => plan.files.clone(),
        Err(refused) => refused.files.clone(),
    };
    let reloaded = match loaded {
        Ok((plan, warnings)) => attempt(core, request, plan, warnings).await,
        Err(refused) => Err(ReloadRefused::Config(refused.report)),
    };
    let reloaded = reloaded.unwrap_or_else(Reloaded::Refused);
    if !request.dry_run {
        // Whatever came of it: what was watched may be elsewhere now, or may be there at last.
        core.watch_files(&named);
    }
    core.retire();
    // What was built and not taken leaves no names either.
    core.common.metrics.forget_unused();
    tell(core, request, &reloaded);
    reloaded
}

fn tell(core: &mut ProcessCore, request: ReloadRequest, reloaded: &Reloaded) {
    let metrics = &core.common.metrics;
    match reloaded {
        // A watch wakes for much that is no change, and a report need not be told twice.
        Reloaded::Unchanged => return,
        Reloaded::Taken(taken) => {
            core.last_refusal = None;
            let Taken { generation, sessions, sessions_drained, sessions_moved, .. } = taken;
            let outcome = reloaded.label();
            tracing::info!(
                outcome,
                generation,
                sessions,
                sessions_drained,
                sessions_moved,
                "reload"
            );
            if !taken.warnings.is_empty() {
                tracing::warn!("{}", taken.warnings.trim_end());
            }
        }
        Reloaded::Refused(refused) => {
            let refusal = Some(refused.to_string());
            if request.if_changed && refusal == core.last_refusal {
                return;
            }
            core.last_refusal = refusal;
            tracing::error!(outcome = reloaded.label(), "reload refused: {refused}");
        }
    }
    metrics.process.reloads.count(reloaded);
}

/// The steps of a reload. Up to the swap, whatever fails leaves all as it was.
async fn attempt(
    core: &mut ProcessCore,
    request: ReloadRequest,
    plan: Arc<Plan>,
    warnings: String,
) -> Result<Reloaded, ReloadRefused> {
    let old = core.common.app.live.now();
    if request.if_changed && *plan == *old.plan {
        return Ok(Reloaded::Unchanged);
    }
    let new = live::build(Arc::clone(&plan), Some(&old), &core.common.metrics)
        .map_err(|error| ReloadRefused::Build(error.to_string()))?;
    let now = clock::now();
    let changes = live::diff(&old, &new, now);
    let leaving = order(&changes, &plan);
    let mut taken = Taken { warnings, ..facts(&old, &new, &changes) };
    taken.sessions = core.common.sessions.live().await;
    if let Some(order) = &leaving {
        let would = core.common.drains.preview(order).await;
        taken.sessions = would.live;
        taken.sessions_moved = movable(core, order, changes.by_pool(&new, now)).await;
        taken.sessions_drained = would.sessions - taken.sessions_moved;
    }
    let percent = plan.reload.drain_max_percent;
    if !request.force && is_over(taken.sessions_drained, taken.sessions, percent) {
        return Err(ReloadRefused::Drain {
            sessions_drained: taken.sessions_drained,
            sessions: taken.sessions,
            drain_max_percent: percent,
        });
    }
    if request.dry_run {
        return Ok(Reloaded::Taken(Taken { dry_run: true, generation: old.generation, ..taken }));
    }
    let Opening { sockets, servers, released } = opening::open(core, &plan)
        .await
        .map_err(|errors| ReloadRefused::Listeners(errors.iter().map(with_hint).collect()))?;

    // In force.
    drop(old);
    core.retired.push(core.common.app.live.swap(Arc::new(new)));
    core.common.permits.set_limits(&plan.limits);
    core.common.app.budget.set_most(plan.limits.hold_bytes_max);
    core.sockets.take(sockets, core.common.app.live.now().listeners.values().cloned());
    released.close();
    core.servers.take(servers, &plan, &core.handle());
    core.servers.settle().await;
    core.publish();
    apply_log(core, &plan);
    tell_sessions(core, changes, leaving).await;
    Ok(Reloaded::Taken(taken))
}

/// How many of an order's sessions go on with another backend: of each pool as many as there is
/// room for.
async fn movable(core: &ProcessCore, order: &DrainOrder, by_pool: Vec<(Selector, usize)>) -> usize {
    let mut moved = 0;
    for (routes, room) in by_pool {
        let selector = Selector::AllOf([order.selector.clone(), routes].into());
        let of_pool = DrainOrder { selector, ..order.clone() };
        moved += core.common.drains.preview(&of_pool).await.moved.min(room);
    }
    moved
}

/// Tells live sessions what concerns them. A session that is still shaking hands hears it as
/// it enters.
async fn tell_sessions(core: &ProcessCore, changes: Changes, leaving: Option<DrainOrder>) {
    let now = clock::now();
    if !changes.rules.is_empty() {
        let rules = Arc::new(changes.rules);
        let tell = move |_| registry::update_rules(&rules, now);
        core.common.queues.ask_all(tell).await;
    }
    if !changes.returned.is_empty() {
        core.common.drains.withdraw(Reason::Removed, changes.returned).await;
    }
    if let Some(order) = leaving {
        core.common.drains.begin(&order).await;
    }
    // Afterwards: the order names a listener by its old name.
    if !changes.listeners_renamed.is_empty() {
        let names = Arc::new(changes.listeners_renamed);
        let rename = move |_| registry::rename_listeners(&names, now);
        core.common.queues.ask_all(rename).await;
    }
}

fn apply_log(core: &ProcessCore, plan: &Plan) {
    let Some(log) = &core.log else { return };
    if let Err(error) = log.apply(&super::log_options(&plan.log)) {
        tracing::error!(%error, "the log filter does not parse");
    }
}

/// Which sessions a reload drains, and what becomes of them.
fn order(changes: &Changes, plan: &Plan) -> Option<DrainOrder> {
    let disposition = Disposition::MoveOrClose(changes.movable());
    let close = |gone| DrainOrder::close(gone, Reason::Removed, Pace::of(&plan.drain));
    changes.drained().map(|gone| DrainOrder { disposition, ..close(gone) })
}

/// What a reload changes, but for sessions.
fn facts(old: &Snapshot, new: &Snapshot, changes: &Changes) -> Taken {
    let names = |listeners: &[Arc<LiveListener>]| {
        listeners.iter().map(|listener| listener.plan.name.to_string()).collect()
    };
    let mut at_next_start = Vec::new();
    let mut fixed = |key, is_equal: bool| at_next_start.extend((!is_equal).then_some(key));
    fixed("workers", old.plan.workers == new.plan.workers);
    fixed("log.format", old.plan.log.format == new.plan.log.format);
    fixed("log.queue_bytes_max", old.plan.log.queue_bytes_max == new.plan.log.queue_bytes_max);
    Taken {
        generation: new.generation,
        routes_with_new_rules: changes.rules.len(),
        listeners_opened: names(&changes.listeners_added),
        listeners_closed: names(&changes.listeners_removed),
        at_next_start,
        ..Taken::default()
    }
}

/// Whether so many sessions are more than this share of all.
fn is_over(some: usize, all: usize, percent: u32) -> bool {
    some as u128 * 100 > all as u128 * u128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_itself_is_allowed_and_one_more_is_not() {
        assert!(!is_over(10, 100, 10));
        assert!(is_over(11, 100, 10));
        assert!(!is_over(0, 0, 0));
        assert!(is_over(1, 100, 0));
        assert!(!is_over(5, 5, 100));
    }
}
