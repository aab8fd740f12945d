//! What live sessions hear when another snapshot comes into force.

use std::sync::Arc;

use super::core::ProcessCore;
use crate::base::clock;
use crate::base::id::SessionId;
use crate::config::plan::Plan;
use crate::drain::{DrainOrder, Pace};
use crate::end::Reason;
use crate::live::{Changes, Snapshot};
use crate::registry::{self, Disposition};

/// Which sessions these changes drain, and what becomes of them.
pub(super) fn order(changes: &Changes, plan: &Plan) -> Option<DrainOrder> {
    let disposition = Disposition::MoveOrClose(changes.movable());
    let close = |gone| DrainOrder::close(gone, Reason::Removed, Pace::of(&plan.drain));
    changes.drained().map(|gone| DrainOrder { disposition, ..close(gone) })
}

/// Tells live sessions what concerns them. A session that is still shaking hands hears it as
/// it enters.
pub(super) async fn tell_sessions(
    core: &ProcessCore,
    changes: Changes,
    leaving: Option<DrainOrder>,
) {
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
    if !changes.listeners_renamed.is_empty() {
        let names = Arc::new(changes.listeners_renamed);
        let rename = move |_| registry::rename_listeners(&names, now);
        core.common.queues.ask_all(rename).await;
    }
}

/// The sessions whose clients may not pass by this configuration.
pub(super) async fn refused(core: &ProcessCore, new: &Arc<Snapshot>) -> Vec<SessionId> {
    let new = Arc::clone(new);
    let is_refused = move |facts: &registry::Facts| {
        new.refuses(&facts.route, facts.client.get().map(|client| client.ip()))
    };
    core.common.sessions.filter(is_refused).await
}

/// Ends the sessions whose clients may not pass by the configuration in force; how many were told.
pub(super) async fn end_refused(core: &ProcessCore) -> usize {
    let ids = refused(core, &core.common.app.live.now()).await;
    core.common.sessions.revoke(ids).await
}
