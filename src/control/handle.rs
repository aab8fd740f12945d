//! The supervisor's handle: commands in, facts out, from any thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::drains::Drains;
use super::report::{Ask, Refused, Reloaded};
use super::upgrade;
use crate::base::clock;
use crate::base::worker::{Queues, Workers};
use crate::config::plan::Address;
use crate::listen::Permits;
use crate::observe::metrics::{Exposition, Metrics, ProcessFacts, ScrapeFacts};
use crate::registry;
use crate::session::App;

/// Reloads that may wait for the supervisor; who asks for more waits for room.
pub const COMMANDS_WAITING_MAX: usize = 64;

/// Where the process stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It serves.
    Running,
    /// It serves and says that it soon will not; then it lets go of what is open.
    Draining,
    /// It is over.
    Stopped(Stopped),
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stopped {
    /// Whether everything had ended by itself before the hard stop.
    pub drained: bool,
    /// What was left when the workers were stopped.
    pub left: Counts,
}

/// What lives in the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Tasks on the workers; each accept loop is one.
    pub tasks: usize,
    /// WebSocket sessions.
    pub sessions: usize,
    /// Clients' connections, those of sessions included.
    pub connections: usize,
    /// Leases on backends of the configuration in force.
    pub leases: usize,
}

pub(super) struct Reload {
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Reloaded>,
}

/// What the supervisor's thread shares with everybody.
pub(super) struct Common {
    pub(super) reloads: mpsc::Sender<Reload>,
    /// How often a stop was asked for: once is with patience, twice at once.
    pub(super) stops: watch::Sender<u32>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) bound: Mutex<BTreeMap<Arc<str>, Address>>,
    pub(super) admin: Mutex<Option<SocketAddr>>,
    pub(super) permits: Arc<Permits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) queues: Queues,
    /// Gone once the process is over.
    pub(super) workers: Mutex<Option<Workers>>,
    pub(super) app: Arc<App>,
    pub(super) drains: Mutex<Drains>,
    pub(super) upgrade: upgrade::State,
}

/// A cheap handle to a supervisor; it does not keep the process up.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Common>);

impl Handle {
    /// Reloads the configuration. Reloads are taken one after the other, each on its own.
    pub async fn reload(&self, ask: Ask) -> Reloaded {
        let (answer, answered) = oneshot::channel();
        let stopping = Reloaded::Refused(Refused::Stopping);
        match self.0.reloads.send(Reload { ask, answer }).await {
            Ok(()) => answered.await.unwrap_or(stopping),
            Err(_) => stopping,
        }
    }

    /// Stops the process: with patience the first time, at once the second.
    pub fn stop(&self) {
        self.0.stops.send_modify(|asked| *asked = asked.saturating_add(1));
    }

    /// Waits until the process is over.
    pub async fn stopped(&self) -> Stopped {
        let mut phases = self.0.phase.subscribe();
        let over = phases.wait_for(|phase| matches!(phase, Phase::Stopped(_))).await;
        match over.as_deref() {
            Ok(Phase::Stopped(stopped)) => stopped.clone(),
            // The sender lives in `self`; a supervisor that died stopped without draining.
            _ => Stopped::default(),
        }
    }

    /// Where the process stands.
    pub fn phase(&self) -> Phase {
        self.0.phase.borrow().clone()
    }

    /// The address a listener is bound to, by the listener's name.
    pub fn address(&self, listener: &str) -> Option<Address> {
        lock(&self.0.bound).get(listener).cloned()
    }

    /// The address the admin listener is bound to.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        *lock(&self.0.admin)
    }

    /// The number of the configuration in force, counted from 1.
    pub fn generation(&self) -> u64 {
        self.0.app.live.now().generation
    }

    /// What lives in the process at this moment.
    pub async fn counts(&self) -> Counts {
        let sessions = self.0.queues.ask_all(|_| registry::live()).await;
        let snapshot = self.0.app.live.now();
        let backends = snapshot.pools.values().flat_map(|pool| pool.backends());
        Counts {
            tasks: lock(&self.0.workers).as_ref().map_or(0, Workers::tasks),
            sessions: sessions.into_iter().sum(),
            connections: self.0.permits.open(),
            leases: backends.map(|backend| backend.sessions() + backend.requests()).sum(),
        }
    }

    /// Everything counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Everything counted, as a scrape reads it.
    pub fn scrape(&self) -> String {
        let snapshot = self.0.app.live.now();
        let now = clock::now();
        let loads = self.0.permits.loads().into_iter().enumerate();
        let (number, older, older_sessions) = self.older();
        let process = ProcessFacts {
            loads: loads.map(|(worker, open)| (worker.to_string(), open as u64)).collect(),
            generation: snapshot.generation,
            number,
            older,
            older_sessions,
            snapshots: snapshot.alive() as u64,
            hold_bytes: self.0.app.budget.used(),
            drains: self.drains_left(),
        };
        let backends = snapshot.pools.values().flat_map(|pool| pool.facts(now)).collect();
        self.0.metrics.render(&ScrapeFacts { process, backends }, Exposition::OpenMetrics)
    }

    /// Takes the workers out, to stop them.
    pub(super) fn take_workers(&self) -> Option<Workers> {
        lock(&self.0.workers).take()
    }
}

/// What is behind these locks is whole whoever panicked: it is replaced, not changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
