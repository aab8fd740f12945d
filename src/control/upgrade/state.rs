//! What all threads know of upgrades.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::peer::Peer;
use crate::admin::{NoUpgrade, OLDER_ANSWER_TIMEOUT, OlderQuestion, OlderReport, Upgraded};

/// Who asks for an upgrade, and waits.
pub(in crate::control) type UpgradeAsked = oneshot::Sender<Upgraded>;

/// The older processes, each by its id.
pub(in crate::control) type Known = BTreeMap<u32, KnownProcess>;

/// What is known of an older process.
#[derive(Clone)]
pub(in crate::control) struct KnownProcess {
    /// Sessions it had when it last said so.
    pub(in crate::control) sessions: usize,
    /// By what it is asked.
    pub(in crate::control) peer: Arc<Peer>,
}

/// What all threads know of upgrades.
pub(in crate::control) struct State {
    asks: mpsc::Sender<UpgradeAsked>,
    under_way: AtomicBool,
    /// The process that serves in place of this one.
    passed_to: OnceLock<u32>,
    /// This process's number in its row of upgrades, counted from 1.
    number: u64,
    /// The processes before this one that have not ended.
    older: Mutex<Known>,
}

impl State {
    /// Nothing asked yet.
    pub(in crate::control) fn new(number: u64) -> (State, mpsc::Receiver<UpgradeAsked>) {
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

    /// Asks for an upgrade, where none is under way; then it is under way.
    pub(in crate::control) fn ask(&self) -> Result<oneshot::Receiver<Upgraded>, NoUpgrade> {
        if let Some(pid) = self.passed_to() {
            return Err(NoUpgrade::Passed(pid));
        }
        if self.under_way.swap(true, Relaxed) {
            return Err(NoUpgrade::UnderWay);
        }
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(answer).map_err(|_| NoUpgrade::Stopping)?;
        Ok(answered)
    }

    /// The upgrade under way has come to its end.
    pub(super) fn done(&self) {
        self.under_way.store(false, Relaxed);
    }

    /// Another process serves in place of this one.
    pub(super) fn pass_to(&self, pid: u32) {
        // Once only: after it this process leaves.
        let _ = self.passed_to.set(pid);
    }

    /// The process that serves in place of this one, once another has taken over.
    pub(in crate::control) fn passed_to(&self) -> Option<u32> {
        self.passed_to.get().copied()
    }

    /// This process's number in its row of upgrades, counted from 1.
    pub(in crate::control) fn number(&self) -> u64 {
        self.number
    }

    /// Asks the processes before this one, all at once.
    pub(in crate::control) async fn ask_older(&self, question: &OlderQuestion) -> Vec<OlderReport> {
        let mut late = pin!(sleep(OLDER_ANSWER_TIMEOUT));
        let known = self.older().clone();
        let asked = known
            .into_iter()
            .map(|(pid, KnownProcess { sessions, peer })| (pid, sessions, peer.ask(question)));
        // All are asked before the first is waited for.
        let asked: Vec<_> = asked.collect();
        let mut reports = Vec::with_capacity(asked.len());
        for (pid, sessions, answering) in asked {
            let answer = match answering {
                Ok(answering) => answering.answer(late.as_mut()).await,
                Err(why) => Err(why),
            };
            reports.push(OlderReport { pid, sessions, answer });
        }
        reports
    }

    /// The processes before this one that have not ended.
    pub(in crate::control) fn older(&self) -> MutexGuard<'_, Known> {
        // What is in it is whole whoever panicked: it is replaced, not changed.
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
