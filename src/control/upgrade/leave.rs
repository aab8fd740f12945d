//! Leaving: another process accepts; what is open here ends, and then this one does.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::answers::{self, ANSWERS_WAITING_MAX, InstanceAnswers};
use super::state::UpgradeAsked;
use super::successor::Successor;
use super::words::{New, Old};
use crate::admin::Process as _;
use crate::admin::{Phase, ReloadRefused, Reloaded, Upgraded};
use crate::base::clock::{self, sleep_awake};
use crate::base::task;
use crate::config::plan::{Plan, UpgradeSessions};
use crate::control::core::ProcessCore;
use crate::control::discovery;
use crate::control::handle::{Handle, ReloadAsked};
use crate::control::stop;
use crate::control::stop_requests::{NewestStop, StopRequests};
use crate::drain::Pace;
use crate::end::Reason;

/// How often the process that took over hears what is left.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long an older process that is asked to stop waits to hear that the newest one stops too.
const NEWEST_TIMEOUT: Duration = Duration::from_secs(1);

/// What is told to who asked for the upgrade.
async fn passed(core: &ProcessCore, successor: &Successor) -> Upgraded {
    let sessions = core.common.sessions.live().await;
    let plan = core.common.app.live.now().plan.clone();
    let keep = plan.upgrade.sessions == UpgradeSessions::Keep;
    let pid = successor.pid();
    tracing::info!(
        new_pid = pid,
        sessions,
        keep,
        "upgrade: the new process serves, this one leaves"
    );
    Upgraded::Done { pid, sessions, keep }
}

/// Stays with what is open, or lets it go, until nothing is; at once when a stop was asked for
/// twice.
pub(in crate::control) async fn leave(
    mut core: ProcessCore,
    successor: Successor,
    asked: UpgradeAsked,
    reloads: mpsc::Receiver<ReloadAsked>,
    mut stops: watch::Receiver<StopRequests>,
) {
    // Who asked may be gone; the log has it all the same.
    let _ = asked.send(passed(&core, &successor).await);
    core.common.phase.send_replace(Phase::Draining);
    stop::end_orders(&core);
    let handle = core.handle();
    task::spawn("leave", report(handle.clone(), successor, reloads));
    let mut hurried = stops.clone();
    let drained = tokio::select! {
        drained = part(&mut core, &mut stops) => drained,
        // The sender lives in `core.common`, which is not dropped here.
        _ = hurried.wait_for(StopRequests::is_urgent) => false,
    };
    core.servers.finish().await;
    stop::end(core, drained).await;
}

/// Whether everything has ended by itself.
async fn part(core: &mut ProcessCore, stops: &mut watch::Receiver<StopRequests>) -> bool {
    let plan = core.common.app.live.now().plan.clone();
    if plan.upgrade.sessions == UpgradeSessions::Keep && keep(core, &plan, stops.clone()).await {
        return true;
    }
    let timeout = plan.drain.timeout;
    let pace = Pace::of(&plan.drain);
    if stops.borrow().is_stop() {
        let deadline = Some(begin_of_stop(stops, timeout).await);
        return stop::drain_all(core, Reason::Restart, Pace { deadline, ..pace }).await;
    }
    // Nothing waits for the end of this process, until it is asked to stop.
    let stopped = async {
        let _ = stops.wait_for(StopRequests::is_stop).await;
        let patience = begin_of_stop(stops, timeout).await;
        sleep_awake(patience).await;
    };
    tokio::select! {
        drained = stop::drain_all(core, Reason::Restart, pace) => drained,
        () = stopped => false,
    }
}

/// Stays with what is open, until nothing is, which is true; or until a stop was asked for or
/// `upgrade.keep_timeout` has passed.
async fn keep(
    core: &mut ProcessCore,
    plan: &Plan,
    mut stops: watch::Receiver<StopRequests>,
) -> bool {
    let mut kept = pin!(sleep(plan.upgrade.keep_timeout));
    loop {
        tokio::select! {
            () = stop::nothing_is_open(core, REPORT_INTERVAL) => {
                stop::tidy_up(core).await;
                return true;
            }
            () = &mut kept => {
                tracing::info!("`upgrade.keep_timeout` has passed: what was kept is drained");
                return false;
            }
            // The sender lives in `core.common`.
            _ = stops.wait_for(StopRequests::is_stop) => return false,
            // What is held goes on where the backends are by then.
            () = core.members.changed() => discovery::take(core).await,
        }
    }
}

/// Waits until the drain of a stop is to begin; answers how long it may take. Where the newest
/// process stops too, it is with that one's: what is closed before would come back to it, only to
/// be closed again.
async fn begin_of_stop(
    stops: &mut watch::Receiver<StopRequests>,
    configured: Duration,
) -> Duration {
    // A service manager may have signalled this process first.
    let heard = stops.wait_for(|asked| asked.newest().is_some());
    let newest = match timeout(NEWEST_TIMEOUT, heard).await {
        Ok(Ok(asked)) => asked.newest(),
        Ok(Err(_)) | Err(_) => None,
    };
    let Some(NewestStop { begins, patience }) = newest else { return configured };
    sleep_awake(begins.since(clock::now())).await;
    patience.unwrap_or(configured)
}

/// Tells the process that took over what is left here and which reloads were asked for, answers
/// what it asks, and stops when it does.
async fn report(
    handle: Handle,
    mut successor: Successor,
    mut reloads: mpsc::Receiver<ReloadAsked>,
) {
    let mut told = false;
    let (words, waiting) = mpsc::channel(ANSWERS_WAITING_MAX);
    match successor.writing() {
        // Apart from reading: neither process waits for the other to read.
        Ok(link) => task::spawn("answers", answers::write(waiting, link)),
        // It hears nothing, and takes it that this one does not answer.
        Err(error) => tracing::warn!(%error, "the process that took over cannot be answered"),
    }
    let mut answers = InstanceAnswers::new(handle.clone(), words.clone());
    loop {
        let sessions = handle.sessions().live().await;
        // Who does not listen misses a count.
        let _ = words.try_send(Old::Left { sessions });
        tokio::select! {
            () = sleep(REPORT_INTERVAL) => {}
            Some(ReloadAsked { request, answer }) = reloads.recv() => {
                let pid = successor.pid();
                // A dry run changes nothing there either.
                if !request.dry_run {
                    tracing::info!(new_pid = pid, "reload: passed on to the process that serves");
                    // One that is gone says so below.
                    let _ = words.try_send(Old::Reload);
                }
                // Who asked may be gone.
                let _ = answer.send(Reloaded::Refused(ReloadRefused::Passed(pid).into()));
            }
            word = successor.next() => match word {
                Some(New::Stop { after_ms, within_ms }) => {
                    told = true;
                    let begins = clock::now().after(Duration::from_millis(after_ms));
                    let patience = within_ms.map(Duration::from_millis);
                    handle.stop_with(NewestStop { begins, patience });
                }
                Some(New::Ask { number, question, more }) => answers.on_ask(number, question, more),
                Some(New::More { number, piece, more }) => answers.on_more(number, &piece, more),
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
