//! A start, in three steps: inherit, open, publish.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

#[cfg(feature = "acme")]
use super::acme::{AcmeThread, show_stored};
use super::core::ProcessCore;
use super::handle::{COMMANDS_WAITING_MAX, Common, Handle, ReloadAsked};
use super::handler::SessionHandler;
use super::options::Options;
use super::pool_members::PoolMembers;
use super::probes::keep_probing;
use super::reading::ConfigReader;
use super::start_error::StartError;
use super::traces;
use super::upgrade::{DisabledBackend, Older, Predecessor, State};
use crate::access::FetchedKeys;
use crate::acme::Challenges;
use crate::admin::{OpenedServers, Phase, Servers};
use crate::base::clock;
use crate::base::files;
use crate::base::quota::Quota;
use crate::base::share::Shares;
use crate::base::task;
use crate::base::worker::Workers;
use crate::config::plan::{Limits, Plan};
use crate::drain::{Drains, Rebalances, Unhealthy};
use crate::limit::{Buckets, SessionPlaces};
use crate::listen::{InheritedSockets, OpenedSockets, Permits, Sockets};
use crate::live::{self, Live};
use crate::observe::metrics::Metrics;
use crate::observe::spans::SpanQueue;
use crate::pool::Backend;
use crate::registry::{LiveSessions, PushBudget, SessionEvents};
use crate::rewrite::ENCODER_BYTES_MAX;
use crate::session::App;
use crate::tls::{self, TicketSecrets};
use crate::wire::request_id;
use crate::wire::via::Via;

/// Builds the first snapshot, opens its listeners and begins to accept.
pub(super) async fn start(
    mut options: Options,
    plan: &Arc<Plan>,
) -> Result<(ProcessCore, mpsc::Receiver<ReloadAsked>), StartError> {
    request_id::seed();
    let (inherited, mut predecessor) = inherit(&mut options);
    let members = PoolMembers::start(plan, predecessor.as_ref().map(|before| &*before.found)).await;
    let plan = &Arc::new(plan.with_members(&members.found().table()));
    let (mut core, reloads) = build(options, plan, inherited, predecessor.as_ref(), members)?;
    #[cfg(feature = "acme")]
    show_stored(&core.common.app.live.now());
    let (sockets, servers) = open(&mut core, plan, predecessor.as_mut())?;
    if predecessor.is_some() {
        let snapshot = core.common.app.live.now();
        snapshot.pools.values().flat_map(|pool| pool.backends()).for_each(|one| one.trust());
    }
    predecessor.iter().flat_map(|before| &before.disabled).for_each(|one| disable(&core, one));
    predecessor.iter().for_each(|before| core.common.drains.count_past(before.drains));
    for row in predecessor.iter().flat_map(|before| &before.rebalances) {
        core.rebalances.resume((&*row.pool).into(), row.into(), clock::now());
    }
    if let Some(secrets) = predecessor.as_ref().and_then(|before| before.tickets.as_ref()) {
        take_tickets(secrets);
    }
    predecessor
        .iter()
        .flat_map(|before| &before.keys)
        .for_each(|row| take_keys(&core, &row.into()));
    // From here on nothing fails: the process before this one has stopped accepting.
    if let Some(before) = predecessor {
        before.serving();
        // Before anyone can ask this one of sessions: those of older processes are asked about too.
        core.older = Older::listen(&core.handle(), before);
    }
    publish(&mut core, plan, sockets, servers);
    Ok((core, reloads))
}

/// Takes what a service manager and the process before this one hand over.
fn inherit(options: &mut Options) -> (InheritedSockets, Option<Predecessor>) {
    let mut predecessor = options.predecessor.take();
    let before = predecessor.iter_mut().flat_map(|before| before.sockets.drain(..));
    let inherited = options.inherited.drain(..).chain(before).collect();
    (InheritedSockets::new(inherited), predecessor)
}

/// Encoders of answers at a time.
pub(super) fn encoders_max(limits: &Limits) -> usize {
    usize::try_from(limits.compress_bytes_max / ENCODER_BYTES_MAX).unwrap_or(usize::MAX)
}

/// Makes the process: its workers, what it counts, its first snapshot. Nothing listens yet.
fn build(
    options: Options,
    plan: &Arc<Plan>,
    inherited: InheritedSockets,
    predecessor: Option<&Predecessor>,
    members: PoolMembers,
) -> Result<(ProcessCore, mpsc::Receiver<ReloadAsked>), StartError> {
    let workers = Workers::start(plan.workers).map_err(StartError::System)?;
    let queues = workers.queues().clone();
    let metrics = Metrics::new(queues.len());
    if let Some(dropped) = options.log_dropped {
        metrics.watch_log(dropped);
    }
    let sessions = LiveSessions::new(queues.clone());
    let (spans, waiting) = SpanQueue::new(&metrics);
    let (upgrade, upgrades) = State::new(predecessor.map_or(1, |before| before.number));
    let upgrade = Arc::new(upgrade);
    let older = Arc::<State>::clone(&upgrade);
    let app = Arc::new(app(plan, &metrics, sessions.clone(), spans, older)?);
    let traces = traces::start(&app, &metrics, waiting);
    let permits = Permits::new(&plan.limits, queues.len(), files::limit());
    let handler = Arc::new(SessionHandler(Arc::clone(&app)));
    let sockets = Sockets::new(handler, Arc::clone(&permits), queues.clone());
    let (reloads, received) = mpsc::channel(COMMANDS_WAITING_MAX);
    let common = Arc::new(Common {
        reloads,
        stops: watch::Sender::default(),
        phase: watch::Sender::new(Phase::Running),
        source: options.source.to_string(),
        taken: Mutex::default(),
        generations: watch::Sender::new(0),
        found: Arc::clone(members.found()),
        bound: Mutex::default(),
        admin: Mutex::default(),
        permits,
        metrics,
        queues,
        workers: Mutex::new(Some(workers)),
        app,
        drains: Drains::new(sessions.clone()),
        sessions,
        upgrade,
        at_start: live::AtStart::of(plan),
        names: Arc::default(),
    });
    let core = ProcessCore {
        common,
        reader: ConfigReader::new(options.source, options.development),
        sockets,
        servers: Servers::default(),
        watch: None,
        log: options.log,
        retired: Vec::new(),
        rebalances: Rebalances::default(),
        unhealthy: Unhealthy::default(),
        members,
        #[cfg(feature = "acme")]
        acme: AcmeThread::default(),
        last_refusal: None,
        program: options.program,
        inherited,
        older: Older::default(),
        upgrades,
        traces,
    };
    Ok((core, received))
}

/// Makes what sessions are served with: the first snapshot, and what all of them share.
fn app(
    plan: &Arc<Plan>,
    metrics: &Arc<Metrics>,
    sessions: LiveSessions,
    spans: SpanQueue,
    older: Arc<State>,
) -> Result<App, StartError> {
    let first = live::build(Arc::clone(plan), None, metrics)
        .map_err(|error| StartError::Build(error.to_string()))?;
    Ok(App {
        live: Live::new(Arc::new(first)),
        budget: Quota::new(plan.limits.hold_bytes_max),
        buckets: Arc::new(Buckets::new(plan.limits.keys_max)),
        encoders: Shares::new(encoders_max(&plan.limits)),
        places: SessionPlaces::new(),
        sessions,
        events: SessionEvents::new(),
        older,
        pushes: PushBudget::new(plan.limits.push_bytes_max),
        challenges: Arc::new(Challenges::new()),
        spans,
        via: Via::new(),
    })
}

/// Opens every socket; where a process serves already, waits until it accepts no more.
fn open(
    core: &mut ProcessCore,
    plan: &Plan,
    predecessor: Option<&mut Predecessor>,
) -> Result<(OpenedSockets, OpenedServers), StartError> {
    let opened = core.sockets.open(&plan.listeners, &mut core.inherited);
    let opened = opened.map_err(StartError::Listeners)?;
    let servers = core.servers.open(plan, &mut core.inherited);
    let servers = servers.map_err(|error| StartError::Listeners(vec![error]))?;
    core.inherited.close_unused();
    if let Some(before) = predecessor {
        let also: Vec<_> = servers.addresses(plan).collect();
        let kept = core.inherited.unused().iter().map(|unused| &unused.address);
        let taken = opened.addresses().chain(&also).chain(kept);
        before.ready(taken).map_err(StartError::Predecessor)?;
    }
    Ok((opened, servers))
}

/// Accepts, and tells the rest of the process what is in force.
fn publish(core: &mut ProcessCore, plan: &Plan, sockets: OpenedSockets, servers: OpenedServers) {
    let snapshot = core.common.app.live.now();
    core.sockets.take(sockets, snapshot.listeners.values().cloned());
    core.servers.take(servers, plan, &Handle(Arc::clone(&core.common)));
    core.publish();
    let (sessions, every) = (core.common.sessions.clone(), super::session_line_every(&plan.log));
    task::spawn_boxed("probes", keep_probing(Arc::clone(&core.common)));
    task::spawn("log", async move { sessions.log_every(every).await });
    core.watch_files(&[]);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = %core.reader.source(),
        listeners = plan.listeners.len(),
        pools = plan.pools.len(),
        routes = plan.routes.len(),
        workers = core.common.queues.len(),
        "started"
    );
}

/// Clients resume their TLS sessions with the process before this one; without its keys they shake
/// hands anew.
fn take_tickets(secrets: &TicketSecrets) {
    if let Err(error) = tls::take_ticket_secrets(secrets) {
        tracing::warn!(%error, "clients do not resume TLS sessions of the process before");
    }
}

/// Tokens are verified with the keys that the process before this one has fetched, until this one
/// has its own.
fn take_keys(core: &ProcessCore, handed: &FetchedKeys) {
    let snapshot = core.common.app.live.now();
    let Some(rule) = snapshot.access.get(&handed.rule) else { return };
    if let Err(error) = rule.take_keys(handed) {
        tracing::warn!(rule = &*handed.rule, %error, "token keys of the process before not taken");
    }
}

/// Keeps work from a backend as the process before this one did; one that is there no more needs it
/// no more.
fn disable(core: &ProcessCore, of: &DisabledBackend) {
    let snapshot = core.common.app.live.now();
    let Some(pool) = snapshot.pools.get(&*of.pool) else { return };
    let same = |backend: &&Arc<Backend>| **backend.address() == *of.backend;
    pool.backends().iter().filter(same).for_each(|backend| backend.disable());
}
