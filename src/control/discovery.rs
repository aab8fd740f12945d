//! Members of pools that are found come into force as by a reload of the same configuration with
//! other backends: what is equal is kept, and what is gone is drained.

use std::sync::Arc;

use super::core::ProcessCore;
use super::session_changes::{order, tell_sessions};
use super::stop_requests::StopRequests;
use crate::base::clock;
use crate::config::plan::Plan;
use crate::live;

/// The plan with the members of its pools, those of sources that are new included. A stop waits for
/// none.
pub(super) async fn complete(core: &mut ProcessCore, plan: &Plan) -> Arc<Plan> {
    let mut stops = core.common.stops.subscribe();
    tokio::select! {
        () = core.members.first_answers(plan) => {}
        // The sender lives in `core.common`.
        _ = stops.wait_for(StopRequests::is_stop) => {}
    }
    Arc::new(plan.with_members(&core.members.found().table()))
}

/// Puts what was found in force.
pub(super) async fn take(core: &mut ProcessCore) {
    let found = core.members.take();
    let old = core.common.app.live.now();
    let plan = Arc::new(old.plan.with_members(&found));
    if *plan == *old.plan {
        return;
    }
    let new = match live::build(Arc::clone(&plan), Some(&old), &core.common.metrics) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, "discovery: members not taken");
            return;
        }
    };
    let now = clock::now();
    let changes = live::diff(&old, &new, now);
    let leaving = order(&changes, &plan);
    drop(old);
    core.members.note_change(now);
    core.retired.push(core.common.app.live.swap(Arc::new(new)));
    core.note_generation();
    tell_sessions(core, changes, leaving).await;
    core.retire();
}
