//! Who orders certificates: a thread of its own, which files and an authority may hold up. It
//! begins with the first configuration that wants any.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::acme::orders::{self, AcmeWork};
use crate::acme::{Challenges, NameStates};
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

/// How long a start waits for certificates that were ordered before. Files that take longer hold up
/// nothing else: the first clients are shown one that nobody trusts.
const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Shows what was ordered before, so that the first handshake of a process has it.
pub(super) fn show_stored(snapshot: &Snapshot) {
    if snapshot.plan.acme.is_none() {
        return;
    }
    let (plan, issued) = (Arc::clone(&snapshot.plan), Arc::clone(&snapshot.issued));
    let (done, shown) = std_mpsc::channel();
    let work = move || {
        orders::show_stored(&plan, &issued);
        // Who waits for it may have given up.
        let _ = done.send(());
    };
    let started = thread::Builder::new().name("acme-load".to_owned()).spawn(work);
    if started.is_err() || shown.recv_timeout(LOAD_TIMEOUT).is_err() {
        let state = snapshot.plan.acme.as_ref().map(|acme| acme.state.display().to_string());
        tracing::warn!(state, "stored certificates are not read in time; the start goes on");
    }
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
            is_leaving: false,
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

impl AcmeThread {
    /// Orders are given up, and their locks given back to who orders from now on; the authority is
    /// answered until the process ends.
    pub(super) fn leave(&self) {
        let Some(running) = &self.0 else { return };
        running.work.send_modify(|work| work.iter_mut().for_each(|work| work.is_leaving = true));
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
            Ok(runtime) => runtime.block_on(orders::keep(present, challenges, states)),
            Err(error) => tracing::error!(%error, "certificates are not ordered"),
        }
        // Who waits for it may have given up.
        let _ = end.send(());
    };
    thread::Builder::new().name("acme".to_owned()).spawn(run)?;
    Ok(RunningAcme { work, ended })
}
