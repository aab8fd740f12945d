//! What the supervisor's thread holds.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

#[cfg(feature = "acme")]
use super::acme::AcmeThread;
use super::handle::{Common, Handle};
use super::pool_members::PoolMembers;
use super::reading::ConfigReader;
use super::traces::TraceFlush;
use super::upgrade::{Older, Program, UpgradeAsked};
use super::watch::Watch;
use crate::admin::Servers;
use crate::base::clock;
use crate::base::lock::lock;
use crate::base::task;
use crate::drain::{Rebalances, Unhealthy};
use crate::listen::{InheritedSockets, Sockets};
use crate::live::Snapshot;
use crate::observe::log;

/// What the supervisor's thread holds. What is done with it is in files of their own: `start`,
/// `run`, `reload`, `stop` and `upgrade`.
pub(super) struct ProcessCore {
    pub(super) common: Arc<Common>,
    pub(super) reader: ConfigReader,
    pub(super) sockets: Sockets,
    pub(super) servers: Servers,
    pub(super) watch: Option<Watch>,
    pub(super) log: Option<log::LogHandle>,
    /// Snapshots no longer in force that requests still use. They are freed here, where nobody
    /// waits: a big one takes long.
    pub(super) retired: Vec<Arc<Snapshot>>,
    pub(super) rebalances: Rebalances,
    pub(super) unhealthy: Unhealthy,
    /// Members of pools that are found.
    pub(super) members: PoolMembers,
    #[cfg(feature = "acme")]
    pub(super) acme: AcmeThread,
    /// The last refusal, which a file watch need not repeat in the log.
    pub(super) last_refusal: Option<String>,
    /// What an upgrade starts; `None` where there can be none.
    pub(super) program: Option<Program>,
    /// Listening sockets another process opened that nobody has taken yet.
    pub(super) inherited: InheritedSockets,
    /// The processes before this one.
    pub(super) older: Older,
    pub(super) upgrades: mpsc::Receiver<UpgradeAsked>,
    pub(super) traces: TraceFlush,
}

impl ProcessCore {
    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.common))
    }

    /// Tells the rest of the process what is in force. Its keys are fetched on this thread, where
    /// no request is served.
    pub(super) fn publish(&mut self) {
        let snapshot = self.common.app.live.now();
        #[cfg(feature = "acme")]
        self.acme.apply(&snapshot, &self.common.app.challenges, &self.common.names);
        let kept = snapshot.access.values().filter_map(|rule| rule.keep_keys());
        kept.for_each(|keeping| task::spawn("keys", keeping));
        self.members.follow(&snapshot.plan);
        drop(snapshot);
        let bound = self.sockets.bound().collect();
        *lock(&self.common.bound) = bound;
        let admin = self.servers.admin_address();
        *lock(&self.common.admin) = admin;
        self.note_generation();
    }

    /// Says which generation is in force.
    pub(super) fn note_generation(&self) {
        let generation = self.common.app.live.now().generation;
        let mut taken = lock(&self.common.taken);
        if taken.0 != generation {
            *taken = (generation, clock::now());
        }
        drop(taken);
        self.common.generations.send_replace(generation);
    }

    /// Watches the files of the plan in force, when it asks for that, and these: what a refused
    /// configuration names may be right in a moment.
    pub(super) fn watch_files(&mut self, also: &[PathBuf]) {
        let plan = Arc::clone(&self.common.app.live.now().plan);
        let files = || plan.files.iter().chain(also).map(PathBuf::as_path);
        let rules = &plan.reload;
        match self.watch.take().filter(|watch| rules.watch && watch.quiet() == rules.debounce) {
            Some(watch) => {
                watch.renew(files());
                self.watch = Some(watch);
            }
            None if rules.watch => {
                self.watch = Watch::start(self.handle(), rules.debounce, files())
                    .inspect_err(|error| tracing::error!(%error, "files cannot be watched"))
                    .ok();
            }
            None => {}
        }
    }

    /// Frees the retired snapshots that nobody uses any more, and the metrics of what is gone: a
    /// connection of a listener that was removed may have held them for longer.
    pub(super) fn retire(&mut self) {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.common.metrics.forget_unused();
    }
}
