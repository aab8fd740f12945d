//! An upgrade: another process, started from the program's file as it is now, takes over.
//!
//! The new process gets the listening sockets themselves, so that no connection is refused or reset
//! in between: what nobody has accepted yet waits in the sockets' queues. It reads and checks the
//! configuration, builds everything and says that it is ready; all that time the old one serves.
//! Then the old one ceases to accept, the new one begins, and the old one leaves ([`leave`]). Until
//! the new one has said that it accepts, whatever goes wrong with it changes nothing.

mod leave;
mod older;
mod predecessor;
mod program;
mod report;
mod successor;
mod words;

pub use predecessor::{Herald, Predecessor};
pub use program::Program;
pub use report::{Failure, NoUpgrade, Upgraded};

pub(super) use older::Older;

use older::Known;
use successor::Successor;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::core::Core;
use super::handle::{Handle, Phase, lock};
use super::manager;
use crate::base::label::Label;
use crate::config::plan::{self, Address};
use crate::listen::Handover;
use words::{New, Old};

/// How long the switch itself may take: the old process ceases to accept, the new one begins.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Who asks for an upgrade, and waits.
pub(super) type Asked = oneshot::Sender<Upgraded>;

/// What all threads know of upgrades.
pub(super) struct State {
    asks: mpsc::Sender<Asked>,
    under_way: AtomicBool,
    /// The process that serves in place of this one.
    passed_to: OnceLock<u32>,
    /// This process's number in its row of upgrades, counted from 1.
    pub(super) number: u64,
    /// The processes before this one that have not ended.
    pub(super) older: Mutex<Known>,
}

impl State {
    /// Nothing asked yet.
    pub(super) fn new(number: u64) -> (State, mpsc::Receiver<Asked>) {
        // One at a time: `under_way` keeps a second one out.
        let (asks, asked) = mpsc::channel(1);
        let state = State {
            asks,
            under_way: AtomicBool::new(false),
            passed_to: OnceLock::new(),
            number,
            older: Mutex::default(),
        };
        (state, asked)
    }
}

impl Handle {
    /// Has another process take over. One upgrade at a time: a second one is refused.
    pub async fn upgrade(&self) -> Upgraded {
        let stopping = || Upgraded::Refused(NoUpgrade::Stopping);
        match self.ask_upgrade() {
            Ok(answered) => answered.await.unwrap_or_else(|_| stopping()),
            Err(refused) => {
                let refused = Upgraded::Refused(refused);
                self.0.metrics.process.upgrades.count(&refused);
                tracing::warn!(outcome = refused.label(), "no upgrade: {refused}");
                refused
            }
        }
    }

    fn ask_upgrade(&self) -> Result<oneshot::Receiver<Upgraded>, NoUpgrade> {
        if let Some(pid) = self.passed_to() {
            return Err(NoUpgrade::Passed(pid));
        }
        if self.phase() != Phase::Running {
            return Err(NoUpgrade::Stopping);
        }
        let state = &self.0.upgrade;
        if state.under_way.swap(true, Relaxed) {
            return Err(NoUpgrade::UnderWay);
        }
        let (answer, answered) = oneshot::channel();
        state.asks.try_send(answer).map_err(|_| NoUpgrade::Stopping)?;
        Ok(answered)
    }

    /// This process's number in its row of upgrades, how many older ones there are, and how many
    /// sessions these have.
    pub(super) fn older(&self) -> (u64, u64, u64) {
        let state = &self.0.upgrade;
        let older = lock(&state.older);
        (state.number, older.len() as u64, older.values().sum::<usize>() as u64)
    }

    /// The process that serves in place of this one, once another has taken over.
    pub fn passed_to(&self) -> Option<u32> {
        self.0.upgrade.passed_to.get().copied()
    }
}

impl Core {
    /// Tries to have another process take over, and says in log and metrics what came of it. After
    /// that, either it serves and this one shall leave, or nothing has changed.
    pub(super) async fn upgrade(
        &mut self,
        mut stops: watch::Receiver<u32>,
    ) -> Result<Successor, Upgraded> {
        let outcome = self.try_upgrade(&mut stops).await;
        if let Err(not) = &outcome {
            tracing::error!(outcome = not.label(), "no upgrade: {not}");
            self.common.metrics.process.upgrades.count(not);
        }
        self.common.upgrade.under_way.store(false, Relaxed);
        outcome
    }

    async fn try_upgrade(
        &mut self,
        stops: &mut watch::Receiver<u32>,
    ) -> Result<Successor, Upgraded> {
        let rules = self.common.app.live.now().plan.upgrade.clone();
        let program = self.may_upgrade(&rules).map_err(Upgraded::Refused)?.clone();
        let path = program.path.display();
        let mut successor = Successor::start(&program)
            .map_err(|error| Upgraded::Failed(Failure::Start(format!("{error}: `{path}`"))))?;
        let pid = successor.pid();
        tracing::info!(pid, program = %path, "upgrade: a new process starts");
        let ready = tokio::select! {
            ready = self.get_ready(&mut successor, &rules) => ready,
            // The sender lives in `self.common`.
            _ = stops.wait_for(|asked| *asked > 0) => Err(Failure::Stopped),
        };
        let switched = match ready {
            Ok(taken) => self.switch(&mut successor, taken).await,
            Err(failure) => Err(failure),
        };
        match switched {
            Ok(()) => Ok(successor),
            Err(failure) => {
                // Before this one accepts again: what it had accepted would be lost with it.
                successor.end();
                self.sockets.resume();
                Err(Upgraded::Failed(failure))
            }
        }
    }

    /// What is to be started, when there may be an upgrade.
    fn may_upgrade(&self, rules: &plan::Upgrade) -> Result<&Program, NoUpgrade> {
        let program = self.program.as_ref().ok_or(NoUpgrade::NotRun)?;
        if std::process::id() == 1 {
            return Err(NoUpgrade::First);
        }
        let older: Vec<u32> = lock(&self.common.upgrade.older).keys().copied().collect();
        if older.len() > rules.old_processes_max {
            Err(NoUpgrade::Older(older))
        } else {
            Ok(program)
        }
    }

    /// Every listening socket.
    fn handovers(&self) -> impl Iterator<Item = Handover<'_>> {
        let unused = self.inherited.unused().iter().map(Handover::unused);
        self.sockets.handovers().chain(self.servers.handovers()).chain(unused)
    }

    /// Hands everything over and waits until the new process could serve; gives what it takes.
    async fn get_ready(
        &self,
        successor: &mut Successor,
        rules: &plan::Upgrade,
    ) -> Result<Vec<Address>, Failure> {
        let number = self.common.upgrade.number + 1;
        let known = lock(&self.common.upgrade.older).clone();
        let older = self.older.links(&known);
        let sockets: Vec<_> = self.handovers().collect();
        let ready = async {
            // One that is gone is heard to be: it says why, or how it ended.
            let _ = successor.greet(number, &sockets, &older).await;
            match successor.hear().await? {
                New::Ready { taken } => Ok(taken.into_iter().map(Into::into).collect()),
                word => Err(Failure::New(format!("it says {word:?} before it is ready"))),
            }
        };
        timeout(rules.timeout, ready).await.unwrap_or(Err(Failure::Slow(rules.timeout)))
    }

    /// The switch: from its end on the new process serves.
    async fn switch(
        &mut self,
        successor: &mut Successor,
        taken: Vec<Address>,
    ) -> Result<(), Failure> {
        let switch = async {
            self.sockets.pause().await;
            // As above.
            let _ = successor.say(&Old::Go).await;
            match successor.hear().await? {
                New::Serving => Ok(()),
                word => Err(Failure::New(format!("it says {word:?} instead of serving"))),
            }
        };
        let late = || Failure::New(format!("it does not accept within {SWITCH_TIMEOUT:?}"));
        timeout(SWITCH_TIMEOUT, switch).await.unwrap_or_else(|_| Err(late()))?;
        let pid = successor.pid();
        // While it still listens to this process (`NotifyAccess=main`).
        manager::tell(&format!("MAINPID={pid}"));
        let _ = self.common.upgrade.passed_to.set(pid);
        self.sockets.hand_over(&taken);
        self.servers.hand_over(&taken);
        self.inherited = Default::default();
        self.older = Older::default();
        self.watch = None;
        Ok(())
    }
}
