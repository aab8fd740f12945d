//! A stop: say it, stop accepting, drain what is open, and end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::core::ProcessCore;
use super::stop_requests::StopRequests;
use crate::action;
use crate::admin::{Phase, Stopped};
use crate::base::clock::{sleep_awake, within_awake};
use crate::config::plan;
use crate::drain::{DrainOrder, Pace};
use crate::end::Reason;
use crate::registry::Selector;

/// How often it is looked whether all has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How often those are drained, once the window has passed, that were not told: a request that was
/// on its way when accepting stopped may still have become a session.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long idle connections to backends and other leftovers may take to end.
const TIDY_TIMEOUT: Duration = Duration::from_secs(1);

/// Stops with patience; at once when asked a second time.
pub(super) async fn stop(mut core: ProcessCore, mut stops: watch::Receiver<StopRequests>) {
    let plan::Drain { delay, timeout: patience, .. } = core.common.app.live.now().plan.drain;
    tracing::info!(?patience, "stopping");
    core.common.phase.send_replace(Phase::Draining);
    core.watch = None;
    end_orders(&core);
    let tell_older = |core: &ProcessCore| core.older.stop(delay, patience.saturating_sub(delay));
    tell_older(&core);
    let hurried = async {
        // The sender lives in `core.common`, which is not dropped here.
        let _ = stops.wait_for(StopRequests::is_urgent).await;
    };
    let drained = tokio::select! {
        drained = within_awake(patience, drain(&mut core)) => drained.unwrap_or(false),
        () = hurried => {
            tell_older(&core);
            false
        }
    };
    core.older.are_told().await;
    end(core, drained).await;
}

/// No certificate is ordered any more: locks are given back for other instances.
pub(super) fn end_orders(core: &ProcessCore) {
    #[cfg(feature = "acme")]
    core.acme.leave();
    #[cfg(not(feature = "acme"))]
    let _ = core;
}

/// The end of the process; `drained` when everything had ended by itself.
pub(super) async fn end(mut core: ProcessCore, drained: bool) {
    core.sockets.close_all();
    let handle = core.handle();
    // A worker that is blocked answers nothing.
    let left = timeout(TIDY_TIMEOUT, handle.counts()).await.unwrap_or_default();
    tracing::info!(drained, sessions = left.sessions, connections = left.connections, "stopped");
    // Joins the workers, and with them whatever did not end.
    drop(handle.take_workers());
    // Those of the sessions that were the last to end.
    core.traces.flush().await;
    core.common.phase.send_replace(Phase::Stopped(Stopped { drained, left }));
}

/// Ends when nothing is open any more, or the deadline has passed: then it is false.
async fn drain(core: &mut ProcessCore) -> bool {
    let plan = core.common.app.live.now().plan.clone();
    // The load balancer must hear of it first; until then it sends clients here.
    sleep_awake(plan.drain.delay).await;
    core.sockets.close_all();
    let rules = &plan.drain;
    let deadline = Some(rules.timeout.saturating_sub(rules.delay));
    let pace = Pace { deadline, ..Pace::of(rules) };
    drain_all(core, Reason::Stop, pace).await
}

/// Drains everything that is open; true when nothing is any more, false when the deadline has
/// passed.
pub(super) async fn drain_all(core: &mut ProcessCore, reason: Reason, pace: Pace) -> bool {
    let order = DrainOrder::close(Selector::All, reason, pace);
    let begun = core.common.drains.begin(&order).await;
    let empty = async {
        let mut pause = begun.window().max(SWEEP_INTERVAL);
        while timeout(pause, nothing_is_open(core, LOOK_INTERVAL)).await.is_err() {
            // Idle connections that came by what another process has now were let be until now.
            core.sockets.close_all();
            core.common.drains.again(&order, &begun).await;
            pause = SWEEP_INTERVAL;
        }
        tidy_up(core).await;
    };
    within_awake(begun.deadline, empty).await.is_some()
}

/// Waits until it is so; looks as often as this.
pub(super) async fn nothing_is_open(core: &ProcessCore, interval: Duration) {
    let handle = core.handle();
    loop {
        let counts = handle.counts().await;
        if counts.sessions == 0 {
            // Nothing becomes of sessions any more: streams of events need not be waited for.
            core.common.app.events.close();
        }
        if counts.sessions == 0 && counts.connections == 0 {
            return;
        }
        sleep(interval).await;
    }
}

/// Ends what nobody uses any more, so that what is left is a fault to be seen.
pub(super) async fn tidy_up(core: &ProcessCore) {
    let handle = core.handle();
    let ended = async {
        while handle.counts().await.tasks > 0 {
            core.common.queues.ask_all(|_| action::close_idle()).await;
            sleep(LOOK_INTERVAL).await;
        }
    };
    // Whatever it is, it is not worth waiting for.
    let _ = timeout(TIDY_TIMEOUT, ended).await;
}
