//! A stop: say it, stop accepting, let go of what is open, and then it is over.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::drains::{Order, Pace};
use super::handle::{Phase, Stopped};
use crate::action;
use crate::end::Reason;
use crate::registry::{Disposition, Selector};

/// How often it is looked whether all has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How often those are let go, once the window is over, that were not told: a request that was on
/// its way when accepting stopped may still have become a session.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long idle connections to backends and other leftovers may take to end.
const TIDY_TIMEOUT: Duration = Duration::from_secs(1);

impl Core {
    /// Stops with patience; at once when asked a second time.
    pub(super) async fn stop(mut self, mut stops: watch::Receiver<u32>) {
        let patience = self.common.app.live.now().plan.drain.timeout;
        tracing::info!(?patience, "stopping");
        self.common.phase.send_replace(Phase::Draining);
        self.watch = None;
        self.older.stop();
        let hurried = async {
            // The sender lives in `self.common`, which is not dropped here.
            let _ = stops.wait_for(|asked| *asked > 1).await;
        };
        let drained = tokio::select! {
            drained = timeout(patience, self.drain()) => drained.unwrap_or(false),
            () = hurried => {
                self.older.stop();
                false
            }
        };
        self.end(drained).await;
    }

    /// The end of the process; `drained` when everything had ended by itself.
    pub(super) async fn end(mut self, drained: bool) {
        self.sockets.close_all();
        let handle = self.handle();
        let left = handle.counts().await;
        tracing::info!(
            drained,
            sessions = left.sessions,
            connections = left.connections,
            "stopped"
        );
        // Joins the workers, and with them whatever did not end.
        drop(handle.take_workers());
        self.common.phase.send_replace(Phase::Stopped(Stopped { drained, left }));
    }

    /// Ends when nothing is open any more, or the deadline has passed: then it is false.
    async fn drain(&mut self) -> bool {
        let plan = self.common.app.live.now().plan.clone();
        // The load balancer must hear of it first; until then it sends clients here.
        sleep(plan.drain.delay).await;
        self.sockets.close_all();
        let rules = &plan.drain;
        let deadline = Some(rules.timeout.saturating_sub(rules.delay));
        let pace = Pace { deadline, ..Pace::of(rules) };
        self.let_all_go(Reason::Stop, pace).await
    }

    /// Lets everything go that is open; true when nothing is any more, false when the deadline has
    /// passed.
    pub(super) async fn let_all_go(&mut self, why: Reason, pace: Pace) -> bool {
        let handle = self.handle();
        let order =
            Order { who: Selector::All, disposition: Disposition::Close, why, code: None, pace };
        let drained = handle.let_go(&order).await;
        let empty = async {
            let mut pause = drained.window.max(SWEEP_INTERVAL);
            while timeout(pause, self.nothing_is_open(LOOK_INTERVAL)).await.is_err() {
                // Idle connections that came by what another process has now were let be until now.
                self.sockets.close_all();
                handle.let_go_late(&order, drained.number).await;
                pause = SWEEP_INTERVAL;
            }
            self.tidy_up().await;
        };
        timeout(drained.deadline, empty).await.is_ok()
    }

    /// Waits until it is so; looks as often as this.
    pub(super) async fn nothing_is_open(&self, interval: Duration) {
        let handle = self.handle();
        loop {
            let counts = handle.counts().await;
            if counts.sessions == 0 && counts.connections == 0 {
                return;
            }
            sleep(interval).await;
        }
    }

    /// Ends what nobody uses any more, so that what is left is a fault to be seen.
    pub(super) async fn tidy_up(&self) {
        let handle = self.handle();
        let ended = async {
            while handle.counts().await.tasks > 0 {
                self.common.queues.ask_all(|_| action::close_idle()).await;
                sleep(LOOK_INTERVAL).await;
            }
        };
        // Whatever it is, it is not worth waiting for.
        let _ = timeout(TIDY_TIMEOUT, ended).await;
    }
}
