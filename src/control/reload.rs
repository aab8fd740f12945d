//! A reload: a whole configuration is built aside, then taken whole or refused whole.

use std::sync::Arc;

use super::core::Core;
use super::drains::{Order, Pace};
use super::report::{Ask, Refused, Reloaded, Taken};
use super::supervisor::with_hint;
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::Plan;
use crate::end::Reason;
use crate::live::{self, Changes, LiveListener, Snapshot};
use crate::registry::{self, Disposition};

impl Core {
    /// Reloads, and says in log and metrics what came of it.
    pub(super) async fn reload(&mut self, ask: Ask) -> Reloaded {
        let reloaded = match self.attempt(ask).await {
            Ok(reloaded) => reloaded,
            Err(refused) => Reloaded::Refused(refused),
        };
        self.retire();
        self.tell(ask, &reloaded);
        reloaded
    }

    fn tell(&mut self, ask: Ask, reloaded: &Reloaded) {
        let metrics = &self.common.metrics;
        match reloaded {
            // A watch wakes for much that is no change, and a report need not be told twice.
            Reloaded::Unchanged => return,
            Reloaded::Taken(taken) => {
                self.last_refusal = None;
                let Taken { generation, sessions, sessions_let_go, sessions_moved, .. } = taken;
                let outcome = reloaded.label();
                tracing::info!(
                    outcome,
                    generation,
                    sessions,
                    sessions_let_go,
                    sessions_moved,
                    "reload"
                );
                if !taken.warnings.is_empty() {
                    tracing::warn!("{}", taken.warnings.trim_end());
                }
            }
            Reloaded::Refused(refused) => {
                let refusal = Some(refused.to_string());
                if ask.if_changed && refusal == self.last_refusal {
                    return;
                }
                self.last_refusal = refusal;
                tracing::error!(outcome = reloaded.label(), "reload refused: {refused}");
            }
        }
        metrics.process.reloads.count(reloaded);
    }

    /// The steps of a reload. Up to the swap, whatever fails leaves all as it was.
    async fn attempt(&mut self, ask: Ask) -> Result<Reloaded, Refused> {
        let (plan, warnings) = self.source.load().map_err(Refused::Config)?;
        let old = self.common.app.live.now();
        if ask.if_changed && *plan == *old.plan {
            // Nothing changed in what the files mean, but they may be elsewhere now.
            self.publish(&plan);
            return Ok(Reloaded::Unchanged);
        }
        let new = live::build(Arc::clone(&plan), Some(&old), &self.common.metrics)
            .map_err(|error| Refused::Build(error.to_string()))?;
        let changes = live::diff(&old, &new);
        let leaving = order(&changes, &plan);
        let mut taken = Taken { warnings, ..facts(&old, &new, &changes) };
        taken.sessions = self.handle().count(None).await.0;
        if let Some(order) = &leaving {
            let would = self.handle().would_let_go(order).await;
            taken.sessions = would.live;
            taken.sessions_moved = would.moved;
            taken.sessions_let_go = would.sessions - would.moved;
        }
        let percent = plan.reload.drain_max_percent;
        if !ask.force && is_over(taken.sessions_let_go, taken.sessions, percent) {
            return Err(Refused::Drain {
                sessions_let_go: taken.sessions_let_go,
                sessions: taken.sessions,
                drain_max_percent: percent,
            });
        }
        if ask.dry_run {
            return Ok(Reloaded::Taken(Taken {
                dry_run: true,
                generation: old.generation,
                ..taken
            }));
        }
        let opened = self
            .sockets
            .open(&plan.listeners, &mut self.inherited)
            .map_err(|errors| Refused::Listeners(errors.iter().map(with_hint).collect()))?;
        let servers = self.servers.open(&plan, &mut self.inherited);
        let servers = match servers {
            Ok(servers) => servers,
            Err(error) => {
                opened.give_back(&mut self.inherited);
                return Err(Refused::Listeners(vec![with_hint(&error)]));
            }
        };

        // In force.
        drop(old);
        self.retired.push(self.common.app.live.swap(Arc::new(new)));
        self.common.permits.set_limits(&plan.limits);
        self.common.app.budget.set_most(plan.limits.hold_bytes_max);
        self.sockets.take(opened, self.common.app.live.now().listeners.values().cloned());
        self.servers.take(servers, &plan, &self.handle());
        self.servers.settle().await;
        self.publish(&plan);
        self.apply_log(&plan);
        self.tell_sessions(changes, leaving).await;
        Ok(Reloaded::Taken(taken))
    }

    /// Tells live sessions what concerns them. A session that is still shaking hands hears it as
    /// it enters.
    async fn tell_sessions(&self, changes: Changes, leaving: Option<Order>) {
        let now = clock::now();
        if !changes.rules.is_empty() {
            let rules = Arc::new(changes.rules);
            let tell = move |_| registry::update_rules(&rules, now);
            self.common.queues.ask_all(tell).await;
        }
        if let Some(order) = leaving {
            self.handle().let_go(&order).await;
        }
        // Afterwards: who was let go by a listener's name was so by its old one.
        if !changes.listeners_renamed.is_empty() {
            let names = Arc::new(changes.listeners_renamed);
            let rename = move |_| registry::rename_listeners(&names, now);
            self.common.queues.ask_all(rename).await;
        }
    }

    fn apply_log(&self, plan: &Plan) {
        let Some(log) = &self.log else { return };
        if let Err(error) = log.apply(&super::log_options(&plan.log)) {
            tracing::error!(%error, "the log filter does not parse");
        }
    }
}

/// Whom a reload lets go, and what becomes of them.
fn order(changes: &Changes, plan: &Plan) -> Option<Order> {
    let disposition = Disposition::MoveOrClose(changes.movable());
    let (why, pace) = (Reason::Removed, Pace::of(&plan.drain));
    changes.drained().map(|who| Order { who, disposition, why, code: None, pace })
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
    fixed("log.queue_max", old.plan.log.queue_max == new.plan.log.queue_max);
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
