//! Leaving: another process accepts; what is open here ends, and then this one is over.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::Successor;
use super::report::Upgraded;
use super::words::{New, Old};
use crate::base::task;
use crate::config::plan::UpgradeSessions;
use crate::control::core::Core;
use crate::control::drains::Pace;
use crate::control::handle::{Handle, Phase};
use crate::end::Reason;

/// How often the process that took over hears what is left.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

impl Core {
    /// What is told to who asked for the upgrade.
    pub(in crate::control) async fn passed(&self, successor: &Successor) -> Upgraded {
        let sessions = self.handle().counts().await.sessions;
        let plan = self.common.app.live.now().plan.clone();
        let keep = plan.upgrade.sessions == UpgradeSessions::Keep;
        let pid = successor.pid();
        tracing::info!(pid, sessions, keep, "upgrade: the new process serves, this one leaves");
        Upgraded::Done { pid, sessions, keep }
    }

    /// Stays with what is open, or lets it go, until nothing is; at once when a stop was asked for
    /// twice.
    pub(in crate::control) async fn leave(
        mut self,
        successor: Successor,
        mut stops: watch::Receiver<u32>,
    ) {
        self.common.phase.send_replace(Phase::Draining);
        let handle = self.handle();
        task::spawn("leave", report(handle.clone(), successor));
        let mut hurried = stops.clone();
        let drained = tokio::select! {
            drained = self.part(&mut stops) => drained,
            // The sender lives in `self.common`, which is not dropped here.
            _ = hurried.wait_for(|asked| *asked > 1) => false,
        };
        self.servers.finish().await;
        self.end(drained).await;
    }

    /// Whether everything has ended by itself.
    async fn part(&mut self, stops: &mut watch::Receiver<u32>) -> bool {
        let plan = self.common.app.live.now().plan.clone();
        if plan.upgrade.sessions == UpgradeSessions::Keep {
            let mut asked = stops.clone();
            tokio::select! {
                () = self.nothing_is_open(REPORT_INTERVAL) => {
                    self.tidy_up().await;
                    return true;
                }
                () = sleep(plan.upgrade.keep_timeout) => {
                    tracing::info!("`upgrade.keep_timeout` is over: what was kept is let go");
                }
                // The sender lives in `self.common`.
                _ = asked.wait_for(|asked| *asked > 0) => {}
            }
        }
        let patience = plan.drain.timeout;
        // Nobody waits for this process, unless it is told to stop.
        let is_stop = *stops.borrow() > 0;
        let pace = Pace { deadline: is_stop.then_some(patience), ..Pace::of(&plan.drain) };
        let stopped = async {
            let _ = stops.wait_for(|asked| *asked > 0).await;
            sleep(patience).await;
        };
        tokio::select! {
            drained = self.let_all_go(Reason::Restart, pace) => drained,
            () = stopped => false,
        }
    }
}

/// Tells the process that took over what is left here, and obeys when it stops.
async fn report(handle: Handle, mut successor: Successor) {
    let mut told = false;
    loop {
        let sessions = handle.counts().await.sessions;
        successor.try_say(&Old::Left { sessions });
        tokio::select! {
            () = sleep(REPORT_INTERVAL) => {}
            word = successor.next() => match word {
                Some(New::Stop) => {
                    told = true;
                    handle.stop();
                }
                Some(_) => {}
                None => break,
            }
        }
    }
    successor.reap();
    if !told {
        tracing::error!("the process that took over has ended; what is open here goes on");
    }
}
