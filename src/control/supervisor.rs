//! A supervisor: the process in one value, with a thread of its own.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;

use super::finding_log;
use super::handle::Handle;
use super::options::{Options, ReadConfig};
use super::run::run;
use super::start::start;
use super::start_error::StartError;
use crate::admin::{Phase, Stopped};
use crate::config::plan::Plan;
use crate::tls::Keeping;

/// The process. Its drop stops it at once; [`Supervisor::wait`] waits for its end.
pub struct Supervisor {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts it: when this returns, every listener accepts.
    ///
    /// # Errors
    /// When the configuration is refused or an address cannot be listened on; nothing is left.
    pub fn start(options: Options) -> Result<Supervisor, StartError> {
        let loaded = options.source.load(&options.development, Keeping::Kept);
        Supervisor::launch(options, loaded)
    }

    /// Starts it with a configuration that was read.
    pub(super) fn launch(options: Options, loaded: ReadConfig) -> Result<Supervisor, StartError> {
        let (plan, warnings) =
            loaded.map_err(|refused| StartError::Config(refused.why.to_string()))?;
        finding_log::write(&warnings);
        let (ready, is_ready) = std_mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || supervise(options, plan, &ready))
            .map_err(StartError::System)?;
        let died = || StartError::System(io::Error::other("the supervisor died at its start"));
        let handle = is_ready.recv().map_err(|_| died())??;
        Ok(Supervisor { handle, thread: Some(thread) })
    }

    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the end of the process, which a [`Handle::stop`] brings.
    pub fn wait(mut self) -> Stopped {
        self.join();
        match self.handle.phase() {
            Phase::Stopped(stopped) => stopped,
            // It panicked, and has said so.
            _ => Stopped::default(),
        }
    }

    /// Lets its thread be, which something blocks: the end of the process takes it along.
    pub(super) fn abandon(mut self) {
        // A handle that is dropped joins nothing.
        self.thread = None;
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A supervisor that panicked has already printed its panic.
            let _ = thread.join();
        }
    }
}

impl Deref for Supervisor {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.handle.stop();
        self.handle.stop();
        self.join();
    }
}

type Ready = std_mpsc::Sender<Result<Handle, StartError>>;

/// The supervisor's thread.
fn supervise(options: Options, plan: Arc<Plan>, ready: &Ready) {
    let built =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(StartError::System(error)))),
    };
    runtime.block_on(async {
        match start(options, &plan).await {
            Ok((core, reloads)) => {
                drop(ready.send(Ok(core.handle())));
                run(core, reloads).await;
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}
