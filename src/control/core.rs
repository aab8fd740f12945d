//! What the supervisor's thread holds, and its loop: one command at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch as channel};
use tokio::time::{MissedTickBehavior, interval};

use super::handle::{COMMANDS_WAITING_MAX, Common, Handle, Phase, Reload, lock};
use super::handler::SessionHandler;
use super::options::{Options, Source};
use super::rebalance::Rebalances;
use super::servers::Servers;
use super::sick::Sick;
use super::supervisor::StartError;
use super::upgrade::{self, Asked, Older, Program};
use super::watch::Watch;
use crate::base::worker::Workers;
use crate::config::plan::Plan;
use crate::listen::{InheritedSockets, Permits, Sockets};
use crate::live::{self, Live, Snapshot};
use crate::observe::log;
use crate::observe::metrics::Metrics;
use crate::relay::HoldBudget;
use crate::session::App;

/// How often it is looked whether a retired snapshot can be freed, whether a backend stays out, and
/// whether pools are uneven.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Core {
    pub(super) common: Arc<Common>,
    pub(super) source: Source,
    pub(super) sockets: Sockets,
    pub(super) servers: Servers,
    pub(super) watch: Option<Watch>,
    pub(super) log: Option<log::LogHandle>,
    /// Snapshots no longer in force that requests still use. They are freed here, where nobody
    /// waits: a big one takes long.
    pub(super) retired: Vec<Arc<Snapshot>>,
    pub(super) rebalances: Rebalances,
    pub(super) sick: Sick,
    /// The last refusal, which a file watch need not repeat in the log.
    pub(super) last_refusal: Option<String>,
    /// What an upgrade starts; `None` where there can be none.
    pub(super) program: Option<Program>,
    /// Listening sockets another process opened that nobody has taken yet.
    pub(super) inherited: InheritedSockets,
    /// The processes before this one.
    pub(super) older: Older,
    upgrades: mpsc::Receiver<Asked>,
}

impl Core {
    /// Builds the first snapshot, opens its listeners and begins to accept.
    pub(super) fn start(
        options: Options,
        plan: &Arc<Plan>,
    ) -> Result<(Core, mpsc::Receiver<Reload>), StartError> {
        let workers = Workers::start(plan.workers).map_err(StartError::System)?;
        let queues = workers.queues().clone();
        let metrics = Metrics::new(queues.len());
        if let Some(dropped) = options.log_dropped {
            metrics.watch_log(dropped);
        }
        let first = live::build(Arc::clone(plan), None, &metrics)
            .map_err(|error| StartError::Build(error.to_string()))?;
        let budget = Arc::new(HoldBudget::new(plan.limits.hold_bytes_max));
        let live = Live::new(Arc::new(first));
        let app = Arc::new(App { live, metrics: Arc::clone(&metrics), budget });
        let permits = Permits::new(&plan.limits, queues.len());
        let handler = Arc::new(SessionHandler(Arc::clone(&app)));
        let mut sockets = Sockets::new(handler, Arc::clone(&permits), queues.clone());
        let (mut predecessor, inherited) = (options.predecessor, options.inherited);
        let before = predecessor.iter_mut().flat_map(|before| before.sockets.drain(..));
        let mut inherited = InheritedSockets::new(inherited.into_iter().chain(before).collect());
        let (upgrade, upgrades) =
            upgrade::State::new(predecessor.as_ref().map_or(1, |before| before.number));
        let (reloads, received) = mpsc::channel(COMMANDS_WAITING_MAX);
        let common = Arc::new(Common {
            reloads,
            stops: channel::Sender::new(0),
            phase: channel::Sender::new(Phase::Running),
            bound: Mutex::default(),
            admin: Mutex::default(),
            permits,
            metrics,
            queues,
            workers: Mutex::new(Some(workers)),
            app,
            drains: Mutex::default(),
            upgrade,
        });
        let opened = sockets.open(&plan.listeners, &mut inherited);
        let opened = opened.map_err(StartError::Listeners)?;
        let mut servers = Servers::default();
        let more = servers.open(plan, &mut inherited);
        let more = more.map_err(|error| StartError::Listeners(vec![error]))?;
        inherited.close_unused();
        if let Some(before) = &mut predecessor {
            let also: Vec<_> = more.addresses(plan).collect();
            let kept = inherited.unused().iter().map(|unused| &unused.address);
            let taken = opened.addresses().chain(&also).chain(kept);
            before.ready(taken).map_err(StartError::Predecessor)?;
        }
        sockets.take(opened, common.app.live.now().listeners.values().cloned());
        servers.take(more, plan, &Handle(Arc::clone(&common)));
        let mut core = Core {
            common,
            source: options.source,
            sockets,
            servers,
            watch: None,
            log: options.log,
            retired: Vec::new(),
            rebalances: Rebalances::new(),
            sick: Sick::new(),
            last_refusal: None,
            program: options.program,
            inherited,
            older: Older::default(),
            upgrades,
        };
        core.publish(plan);
        if let Some(before) = predecessor {
            before.serving();
            core.older = Older::listen(&core.handle(), before);
        }
        Ok((core, received))
    }

    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.common))
    }

    /// Takes commands until a stop was asked for and is done.
    pub(super) async fn run(mut self, mut reloads: mpsc::Receiver<Reload>) {
        let stops = self.common.stops.subscribe();
        let mut asked = stops.clone();
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                // The sender lives in `self`.
                _ = asked.wait_for(|asked| *asked > 0) => break,
                Some(Reload { ask, answer }) = reloads.recv() => {
                    let reloaded = self.reload(ask).await;
                    // Who asked may be gone; the log has it all the same.
                    let _ = answer.send(reloaded);
                }
                Some(answer) = self.upgrades.recv() => match self.upgrade(stops.clone()).await {
                    Ok(successor) => {
                        drop(reloads);
                        // Who asked may be gone; the log has it all the same.
                        let _ = answer.send(self.passed(&successor).await);
                        return self.leave(successor, stops).await;
                    }
                    Err(not) => drop(answer.send(not)),
                },
                _ = looks.tick() => {
                    self.retire();
                    self.leave_the_sick().await;
                    self.rebalance().await;
                }
            }
        }
        // Those who wait hear that the process stops.
        drop(reloads);
        self.stop(stops).await;
    }

    /// Tells the rest of the process what is in force.
    pub(super) fn publish(&mut self, plan: &Plan) {
        let bound = self.sockets.bound().collect();
        *lock(&self.common.bound) = bound;
        let admin = self.servers.admin_address();
        *lock(&self.common.admin) = admin;
        self.look(plan);
    }

    /// Watches the plan's files, when it asks for that.
    fn look(&mut self, plan: &Plan) {
        let files = || plan.files.iter().chain(self.source.path()).cloned();
        let rules = &plan.reload;
        match self.watch.take().filter(|watch| rules.watch && watch.quiet() == rules.debounce) {
            Some(mut watch) => {
                watch.look_at(files());
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

    /// Frees the retired snapshots that nobody uses any more.
    pub(super) fn retire(&mut self) {
        if self.retired.is_empty() {
            return;
        }
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.common.metrics.forget_unused();
    }
}
