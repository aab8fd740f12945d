//! The supervisor as a process: signals, and what a service manager is told.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::handle::Handle;
use super::manager;
use super::options::Options;
use super::reading::ConfigReader;
use super::start_error::StartError;
use super::supervisor::Supervisor;
use crate::admin::{ReloadRequest, Stopped};
use crate::base::clock::{self, sleep_awake};
use crate::base::files;
use crate::base::task;

/// Runs until a signal stops it: SIGTERM and SIGINT stop with patience, a second one at once (as
/// does a first SIGINT at a terminal when there is no session), SIGHUP reloads, and SIGUSR2 has
/// another process take over. `ready` is called when every listener accepts.
///
/// # Errors
/// When it cannot be started.
pub fn run(options: Options, ready: impl FnOnce(&Handle)) -> Result<Stopped, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())
        .map_err(StartError::System)?;
    runtime.block_on(async {
        // Before anything else: a signal at the start is not to be lost.
        let mut signals = Signals::new().map_err(StartError::System)?;
        raise_files_limit();
        let is_first = options.predecessor.is_none();
        let reader = ConfigReader::new(options.source.clone(), Arc::clone(&options.development));
        let loaded = tokio::select! {
            loaded = reader.read(&ReloadRequest::default()) => loaded,
            // Nothing runs yet that would have to end.
            () = signals.stop() => return Ok(Stopped::default()),
        };
        let supervisor = Supervisor::launch(options, loaded)?;
        // The service of a process that takes over was ready all the time.
        if is_first {
            manager::ready();
            manager::status(&format!("generation {} is in force", supervisor.generation()));
        }
        ready(&supervisor);
        match signals.execute(&supervisor).await {
            SupervisorEnd::Stopped => Ok(supervisor.wait()),
            SupervisorEnd::Blocked => {
                tracing::error!("the process ends while something blocks it");
                supervisor.abandon();
                Ok(Stopped::default())
            }
        }
    })
}

/// Connections, sessions and files count against one limit, which systems set low for programs that
/// use `select`; this one does not.
fn raise_files_limit() {
    match files::raise_limit() {
        Ok((before, now)) if before < now => {
            tracing::info!(before, now, "limit of open files raised");
        }
        Ok((_, now)) => tracing::info!(limit = now, "limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

/// How long a stop may go on past `drain.timeout`. Then the process ends whatever blocks it, a call
/// to the system that never returns included.
pub const STOP_GRACE: Duration = Duration::from_secs(3);

/// The same after a second signal.
pub const HURRIED_STOP_GRACE: Duration = Duration::from_secs(1);

/// How a supervisor ended.
enum SupervisorEnd {
    Stopped,
    /// Something blocks its thread.
    Blocked,
}

struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    user_2: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for a signal to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns when the process has stopped, or should have.
    async fn execute(&mut self, handle: &Handle) -> SupervisorEnd {
        tokio::select! {
            _ = handle.stopped() => return SupervisorEnd::Stopped,
            () = self.execute_until_stop(handle) => {}
        }
        let asked = clock::now();
        let too_long = async {
            sleep_awake(STOP_GRACE).await;
            // By now it has heard of the newest process's stop, where it is that one.
            sleep_awake(handle.stop_timeout(asked)).await;
        };
        let second = async {
            self.stop().await;
            handle.stop();
            sleep(HURRIED_STOP_GRACE).await;
        };
        let (stopped, second) = (pin!(handle.stopped()), pin!(second));
        tokio::select! {
            _ = stopped => SupervisorEnd::Stopped,
            () = second => SupervisorEnd::Blocked,
            () = too_long => SupervisorEnd::Blocked,
        }
    }

    /// Does what signals ask for, until one asks for a stop, which has begun when this returns.
    async fn execute_until_stop(&mut self, handle: &Handle) {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => {
                    // What comes of it is in the log; one that takes long holds up no stop.
                    let handle = handle.clone();
                    task::spawn("reload", async move {
                        manager::reloading();
                        let reloaded = handle.reload(ReloadRequest::default()).await;
                        // One that stops has said so, and is not ready again.
                        if !reloaded.is_stopping() {
                            manager::ready();
                        }
                    });
                }
                _ = self.user_2.recv() => {
                    let handle = handle.clone();
                    task::spawn("upgrade", async move { drop(handle.upgrade().await) });
                }
                _ = self.terminate.recv() => return stop(handle),
                _ = self.interrupt.recv() => return interrupt(handle),
            }
        }
    }
}

/// Ctrl-C at a terminal: a person waits. No balancer has to hear of it first, so that with no
/// session the process stops at once; with some it says how to hurry.
fn interrupt(handle: &Handle) {
    stop(handle);
    if !io::stderr().is_terminal() {
        return;
    }
    let handle = handle.clone();
    // Another Ctrl-C is heard while workers count.
    task::spawn("interrupt", async move {
        match handle.counts().await.sessions {
            0 => handle.stop(),
            sessions => tracing::info!(sessions, "draining; Ctrl-C again ends them at once"),
        }
    });
}

fn stop(handle: &Handle) {
    // After an upgrade the service does not stop with this process.
    if handle.passed_to().is_none() {
        manager::tell("STOPPING=1");
    }
    handle.stop();
}
