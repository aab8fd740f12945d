//! The supervisor's handle: commands in, facts out, from any thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::scrape::{self, FactSources};
use super::stop_requests::{NewestStop, StopRequests};
use super::upgrade::State;
use crate::acme::{NameState, NameStates};
use crate::action::api::PushRequest;
use crate::admin::{
    Counts, NoUpgrade, OLDER_ANSWER_TIMEOUT, OlderQuestion, OlderReport, Phase, Process,
    ProcessSetup, ReloadRefused, ReloadRequest, Reloaded, Stopped, Upgraded,
};
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::base::lock::lock;
use crate::base::worker::{Queues, Workers};
use crate::config::plan::{Address, SourceKey};
use crate::discovery::{FoundMembers, SourceState};
use crate::drain::Drains;
use crate::listen::Permits;
use crate::live::{AtStart, Snapshot};
use crate::observe::metrics::{Exposition, Metrics};
use crate::registry::LiveSessions;
use crate::session::{self, App};

/// Reloads that may wait for the supervisor; who asks for more waits for room.
pub const COMMANDS_WAITING_MAX: usize = 64;

/// A reload that was asked for.
pub(super) struct ReloadAsked {
    pub(super) request: ReloadRequest,
    pub(super) answer: oneshot::Sender<Reloaded>,
}

/// What the supervisor's thread shares with everybody.
pub(super) struct Common {
    pub(super) reloads: mpsc::Sender<ReloadAsked>,
    /// How often a stop was asked for: once is with patience, twice at once.
    pub(super) stops: watch::Sender<StopRequests>,
    pub(super) phase: watch::Sender<Phase>,
    /// Where the configuration comes from.
    pub(super) source: String,
    /// The generation in force, and when it was taken.
    pub(super) taken: Mutex<(u64, Moment)>,
    /// Members of pools that were found.
    pub(super) found: Arc<FoundMembers>,
    /// The generation in force, for those who wait for another.
    pub(super) generations: watch::Sender<u64>,
    pub(super) bound: Mutex<BTreeMap<Arc<str>, Address>>,
    pub(super) admin: Mutex<Option<SocketAddr>>,
    pub(super) permits: Arc<Permits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) queues: Queues,
    /// Gone once the process has stopped.
    pub(super) workers: Mutex<Option<Workers>>,
    pub(super) app: Arc<App>,
    pub(super) sessions: LiveSessions,
    pub(super) drains: Drains,
    pub(super) upgrade: Arc<State>,
    pub(super) at_start: AtStart,
    /// How the names stand that certificates are ordered for.
    pub(super) names: Arc<NameStates>,
}

/// A cheap handle to a supervisor; it does not keep the process up.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Common>);

impl Handle {
    /// Reloads the configuration. Reloads are taken one after the other, each on its own.
    pub async fn reload(&self, request: ReloadRequest) -> Reloaded {
        let (answer, answered) = oneshot::channel();
        let stopping = Reloaded::Refused(ReloadRefused::Stopping.into());
        match self.0.reloads.send(ReloadAsked { request, answer }).await {
            Ok(()) => answered.await.unwrap_or(stopping),
            Err(_) => stopping,
        }
    }

    /// Has another process take over. One upgrade at a time: a second one is refused.
    pub async fn upgrade(&self) -> Upgraded {
        let stopping = || Upgraded::Refused(NoUpgrade::Stopping);
        let asked = match self.phase() {
            Phase::Running => self.0.upgrade.ask(),
            // It stops, or it was upgraded already.
            _ => Err(self.passed_to().map_or(NoUpgrade::Stopping, NoUpgrade::Passed)),
        };
        match asked {
            Ok(answered) => answered.await.unwrap_or_else(|_| stopping()),
            Err(refused) => {
                let refused = Upgraded::Refused(refused);
                self.0.metrics.process.upgrades.count(&refused);
                tracing::warn!(outcome = refused.label(), why = %refused, "no upgrade");
                refused
            }
        }
    }

    /// The process that serves in place of this one, once another has taken over.
    pub fn passed_to(&self) -> Option<u32> {
        self.0.upgrade.passed_to()
    }

    /// What is known of upgrades.
    pub(super) fn upgrades(&self) -> &State {
        &self.0.upgrade
    }

    /// Stops the process: with patience the first time, at once the second.
    pub fn stop(&self) {
        self.0.stops.send_modify(StopRequests::add);
    }

    /// The same, since the newest process stops: with it, the first time.
    pub(super) fn stop_with(&self, newest: NewestStop) {
        self.0.stops.send_modify(|asked| asked.add_newest(newest));
    }

    /// How long a stop may take that was asked for at this moment.
    pub(super) fn stop_timeout(&self, asked: Moment) -> Duration {
        let timeout = self.0.app.live.now().plan.drain.timeout;
        let newest = self.0.stops.borrow().newest();
        newest.map_or(timeout, |newest| {
            newest.begins.since(asked) + newest.patience.unwrap_or(timeout)
        })
    }

    /// Waits until the process has stopped.
    pub async fn stopped(&self) -> Stopped {
        let mut phases = self.0.phase.subscribe();
        let stopped = phases.wait_for(|phase| matches!(phase, Phase::Stopped(_))).await;
        match stopped.as_deref() {
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
        let sessions = self.0.sessions.live().await;
        let snapshot = self.0.app.live.now();
        let backends = snapshot.pools.values().flat_map(|pool| pool.backends());
        let backends = backends.chain(&snapshot.departed);
        Counts {
            tasks: lock(&self.0.workers).as_ref().map_or(0, Workers::tasks),
            sessions,
            connections: self.0.permits.open(),
            leases: backends.map(|backend| backend.sessions() + backend.requests()).sum(),
        }
    }

    /// Everything counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Everything counted, as a scrape reads it.
    pub fn scrape(&self, format: Exposition) -> String {
        let Common { app, permits, drains, upgrade, metrics, at_start, found, .. } = &*self.0;
        let sources = FactSources { app, permits, drains, upgrade, metrics, at_start, found };
        metrics.render(&scrape::facts(&sources), format)
    }

    /// Takes the workers out, to stop them.
    pub(super) fn take_workers(&self) -> Option<Workers> {
        lock(&self.0.workers).take()
    }
}

impl Process for Handle {
    fn phase(&self) -> Phase {
        self.phase()
    }

    async fn counts(&self) -> Counts {
        self.counts().await
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.0.app.live.now()
    }

    fn sessions(&self) -> &LiveSessions {
        &self.0.sessions
    }

    fn drains(&self) -> &Drains {
        &self.0.drains
    }

    async fn push(&self, request: PushRequest) -> (StatusCode, Value) {
        session::push(&self.0.app, request).await
    }

    fn has_older(&self) -> bool {
        !self.0.upgrade.older().is_empty()
    }

    async fn ask_older(&self, question: OlderQuestion) -> Vec<OlderReport> {
        self.0.upgrade.ask_older(&question, OLDER_ANSWER_TIMEOUT).await
    }

    fn setup(&self) -> ProcessSetup {
        let bound = lock(&self.0.bound);
        let listener = |(name, at): (&Arc<str>, &Address)| (name.to_string(), at.to_string());
        ProcessSetup {
            configuration: self.0.source.clone(),
            taken: lock(&self.0.taken).1,
            workers: self.0.queues.len(),
            listeners: bound.iter().map(listener).collect(),
        }
    }

    fn ordered_names(&self) -> Arc<Vec<NameState>> {
        self.0.names.get()
    }

    fn scrape(&self, format: Exposition) -> String {
        self.scrape(format)
    }

    fn admin_refused(&self, why: impl Label) {
        self.0.metrics.process.admin_refused.count(why);
    }

    fn sources(&self) -> Vec<(SourceKey, SourceState)> {
        self.0.found.states()
    }

    async fn reload(&self, request: ReloadRequest) -> Reloaded {
        self.reload(request).await
    }

    async fn upgrade(&self) -> Upgraded {
        self.upgrade().await
    }
}
