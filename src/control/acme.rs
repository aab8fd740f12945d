//! Who orders certificates: a thread of its own, which files and an authority may hold up. It
//! begins with the first configuration that wants any.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::acme::{self, AcmeWork, Challenges, NameStates};
use crate::live::Snapshot;

/// How long it may take to give back its locks when the process ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The thread, once there is one. Its drop ends it: orders that are under way are given up, and
/// their locks given back.
#[derive(Default)]
pub(super) struct AcmeThread(Option<RunningAcme>);

struct RunningAcme {
    work: watch::Sender<Option<AcmeWork>>,
    ended: std_mpsc::Receiver<()>,
}

impl AcmeThread {
    /// Tells it what is in force.
    pub(super) fn apply(
        &mut self,
        snapshot: &Snapshot,
        challenges: &Arc<Challenges>,
        states: &Arc<NameStates>,
    ) {
        let is_wanted = snapshot.plan.acme.is_some();
        if self.0.is_none() && !is_wanted {
            return;
        }
        let work = is_wanted.then(|| AcmeWork {
            plan: Arc::clone(&snapshot.plan),
            issued: Arc::clone(&snapshot.issued),
        });
        match &self.0 {
            Some(running) => drop(running.work.send_replace(work)),
            None => match start(work, Arc::clone(challenges), Arc::clone(states)) {
                Ok(running) => self.0 = Some(running),
                Err(error) => tracing::error!(%error, "certificates are not ordered"),
            },
        }
    }
}

impl Drop for AcmeThread {
    fn drop(&mut self) {
        let Some(RunningAcme { work, ended }) = self.0.take() else { return };
        drop(work);
        // One that a file blocks is let be.
        let _ = ended.recv_timeout(END_TIMEOUT);
    }
}

fn start(
    work: Option<AcmeWork>,
    challenges: Arc<Challenges>,
    states: Arc<NameStates>,
) -> std::io::Result<RunningAcme> {
    let (work, present) = watch::channel(work);
    let (end, ended) = std_mpsc::channel();
    let run = move || {
        let built = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(Default::default());
        match built {
            Ok(runtime) => runtime.block_on(acme::keep(present, challenges, states)),
            Err(error) => tracing::error!(%error, "certificates are not ordered"),
        }
        // Who waits for it may have given up.
        let _ = end.send(());
    };
    thread::Builder::new().name("acme".to_owned()).spawn(run)?;
    Ok(RunningAcme { work, ended })
}
