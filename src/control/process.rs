//! The supervisor as a process: signals, and what a service manager is told.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::handle::Handle;
use super::manager;
use super::options::Options;
use super::start_error::StartError;
use super::supervisor::Supervisor;
use crate::admin::{ReloadRequest, Stopped};
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
        let supervisor = Supervisor::start(options)?;
        // The service of a process that takes over was ready all the time.
        if is_first {
            manager::tell("READY=1");
        }
        ready(&supervisor);
        signals.execute(&supervisor).await;
        Ok(supervisor.wait())
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

    /// Returns when the process has stopped.
    async fn execute(&mut self, handle: &Handle) {
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = handle.stopped() => return,
                _ = self.hang_up.recv(), if !stopping => {
                    tokio::select! {
                        _ = handle.reload(ReloadRequest::default()) => {}
                        // A reload that takes long does not hold up a stop.
                        _ = self.terminate.recv() => stopping = stop(handle),
                        _ = self.interrupt.recv() => stopping = interrupt(handle).await,
                    }
                }
                _ = self.user_2.recv() => {
                    // What comes of it is in the log.
                    let handle = handle.clone();
                    task::spawn("upgrade", async move { drop(handle.upgrade().await) });
                }
                _ = self.terminate.recv() => stopping = stop(handle),
                _ = self.interrupt.recv() => stopping = interrupt(handle).await,
            }
        }
    }
}

/// Ctrl-C at a terminal: a person waits. No balancer has to hear of it first, so that with no
/// session the process stops at once; with some it says how to hurry.
async fn interrupt(handle: &Handle) -> bool {
    stop(handle);
    if io::stderr().is_terminal() {
        match handle.counts().await.sessions {
            0 => handle.stop(),
            sessions => tracing::info!(sessions, "draining; Ctrl-C again ends them at once"),
        }
    }
    true
}

fn stop(handle: &Handle) -> bool {
    // After an upgrade the service does not stop with this process.
    if handle.passed_to().is_none() {
        manager::tell("STOPPING=1");
    }
    handle.stop();
    true
}
