//! A reload: a whole configuration is built aside, then taken whole or refused whole.

use std::sync::Arc;

use super::core::ProcessCore;
use super::discovery;
use super::finding_log;
use super::manager;
use super::opening::{self, Opening};
use super::options::ReadConfig;
use super::session_changes::{end_refused, order, refused, tell_sessions};
use super::start::encoders_max;
use super::start_error::with_hint;
use crate::admin::{RefusedReload, ReloadRefused, ReloadRequest, Reloaded, Taken};
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::Plan;
use crate::live::{self, Changes, Impact, LiveListener, Snapshot};
use crate::report::Findings;

/// Takes what was read, and says in log and metrics what came of it.
pub(super) async fn reload(
    core: &mut ProcessCore,
    request: &ReloadRequest,
    loaded: ReadConfig,
) -> Reloaded {
    let named = match &loaded {
        Ok((plan, _)) => plan.files.clone(),
        Err(refused) => refused.files.clone(),
    };
    let reloaded = match loaded {
        Ok((plan, warnings)) => attempt(core, request, plan, warnings).await,
        Err(refused) => Err(refused.why.into()),
    };
    let reloaded = reloaded.unwrap_or_else(Reloaded::Refused);
    // Sources of what was not taken need not be asked.
    core.members.follow(&core.common.app.live.now().plan);
    if !request.dry_run {
        // Whatever came of it: what was watched may be elsewhere now, or may be there at last.
        core.watch_files(&named);
    }
    note(core, request, &reloaded);
    core.retire();
    // What was built and not taken leaves no names either.
    core.common.metrics.forget_unused();
    tell(core, request, &reloaded);
    reloaded
}

/// Keeps in mind whether the configuration that was read last is in force.
fn note(core: &ProcessCore, request: &ReloadRequest, reloaded: &Reloaded) {
    let process = &core.common.metrics.process;
    let second = clock::since_1970().as_secs();
    match reloaded {
        _ if request.dry_run => {}
        Reloaded::Refused(_) => process.reload_refused(second),
        Reloaded::Taken(_) | Reloaded::Unchanged => process.reload_taken(second),
    }
}

/// Says in log, metrics and to the service manager what came of a reload. A dry run is no news but
/// for who asked.
fn tell(core: &mut ProcessCore, request: &ReloadRequest, reloaded: &Reloaded) {
    let outcome = reloaded.label();
    match reloaded {
        // A watch wakes for much that is no change.
        Reloaded::Unchanged => {
            if core.last_refusal.take().is_some() {
                manager::status(&in_force(core));
            }
            return;
        }
        Reloaded::Refused(RefusedReload { why, .. }) if request.dry_run => {
            tracing::info!(outcome, why = why.summary(), "dry run");
            return;
        }
        Reloaded::Refused(RefusedReload { why, .. }) => {
            let refusal = Some(why.to_string());
            // A report need not be told twice.
            if request.if_changed && refusal == core.last_refusal {
                return;
            }
            core.last_refusal = refusal;
            manager::status(&format!("reload refused, {}: {}", in_force(core), why.summary()));
            match why {
                // Its findings have lines of their own.
                ReloadRefused::Config(findings) => {
                    let count = findings.report.findings.len();
                    tracing::error!(outcome, findings = count, "reload refused");
                    finding_log::write(findings);
                }
                _ => tracing::error!(outcome, %why, "reload refused"),
            }
        }
        Reloaded::Taken(taken) => {
            let Impact { sessions, drained, moved, .. } = taken.impact;
            tracing::info!(
                outcome,
                generation = taken.generation,
                sessions,
                sessions_drained = drained,
                sessions_moved = moved,
                sessions_revoked = taken.revoked,
                "reload"
            );
            finding_log::write(&taken.warnings);
            if !taken.dry_run {
                core.last_refusal = None;
                manager::status(&in_force(core));
            }
        }
    }
    core.common.metrics.process.reloads.count(reloaded);
}

fn in_force(core: &ProcessCore) -> String {
    format!("generation {} is in force", core.common.app.live.now().generation)
}

/// The steps of a reload. Up to the swap, whatever fails leaves all as it was.
async fn attempt(
    core: &mut ProcessCore,
    request: &ReloadRequest,
    plan: Arc<Plan>,
    warnings: Findings,
) -> Result<Reloaded, RefusedReload> {
    let old = core.common.app.live.now();
    let plan = discovery::complete(core, &plan).await;
    if request.if_changed && *plan == *old.plan {
        return Ok(Reloaded::Unchanged);
    }
    let new = live::build(Arc::clone(&plan), Some(&old), &core.common.metrics)
        .map_err(|error| ReloadRefused::Build(error.to_string()))?;
    let new = Arc::new(new);
    let now = clock::now();
    let changes = live::diff(&old, &new, now);
    let places = core.common.sessions.by_location().await;
    let impact = changes.impact(&new, &places, now);
    drop(places);
    let config = request.config.as_ref().map(|named| named.display().to_string());
    let config = config.unwrap_or_else(|| core.reader.source().to_string());
    let revoked = if request.recheck { Some(refused(core, &new).await.len()) } else { None };
    let mut taken = Taken { config, impact, warnings, revoked, ..facts(&old, &new, &changes) };
    let refuse = |why: ReloadRefused, taken: Taken| {
        let would = Taken { dry_run: true, generation: old.generation, ..taken };
        RefusedReload { why, would: Some(Box::new(would)) }
    };
    let Impact { sessions, drained, .. } = taken.impact;
    let sessions_drained = sessions.min(drained + revoked.unwrap_or(0));
    let drain_max_percent = plan.reload.drain_max_percent;
    if !request.force && is_over(sessions_drained, sessions, drain_max_percent) {
        let why = ReloadRefused::Drain { sessions_drained, sessions, drain_max_percent };
        return Err(refuse(why, taken));
    }
    if request.dry_run {
        let would = Taken { dry_run: true, generation: old.generation, ..taken };
        return Ok(Reloaded::Taken(Box::new(would)));
    }
    let Opening { sockets, servers, released } = match opening::open(core, &plan).await {
        Ok(opening) => opening,
        Err(errors) => {
            let why = ReloadRefused::Listeners(errors.iter().map(with_hint).collect());
            return Err(refuse(why, taken));
        }
    };

    // In force.
    let leaving = order(&changes, &plan);
    drop(old);
    core.retired.push(core.common.app.live.swap(new));
    core.common.permits.set_limits(&plan.limits);
    core.common.app.budget.set_max(plan.limits.hold_bytes_max);
    core.common.app.buckets.set_max(plan.limits.keys_max);
    core.common.app.encoders.set_max(encoders_max(&plan.limits));
    core.common.app.pushes.set_max(plan.limits.push_bytes_max);
    core.sockets.take(sockets, core.common.app.live.now().listeners.values().cloned());
    released.close();
    core.servers.take(servers, &plan, &core.handle());
    core.servers.settle().await;
    core.publish();
    apply_log(core, &plan);
    tell_sessions(core, changes, leaving).await;
    if request.recheck {
        taken.revoked = Some(end_refused(core).await);
    }
    core.common.sessions.log_every(super::session_line_every(&plan.log)).await;
    Ok(Reloaded::Taken(Box::new(taken)))
}

fn apply_log(core: &ProcessCore, plan: &Plan) {
    let Some(log) = &core.log else { return };
    if let Err(error) = log.apply(&super::log_options(&plan.log)) {
        tracing::error!(%error, "the log filter does not parse");
    }
}

/// What a reload changes, but for sessions.
fn facts(old: &Snapshot, new: &Snapshot, changes: &Changes) -> Taken {
    let names = |listeners: &[Arc<LiveListener>]| {
        listeners.iter().map(|listener| listener.plan.name.to_string()).collect()
    };
    Taken {
        generation: new.generation,
        routes_with_new_rules: changes.rules.len(),
        listeners_opened: names(&changes.listeners_added),
        listeners_closed: names(&changes.listeners_removed),
        changes: live::compare(&old.plan, &new.plan),
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
