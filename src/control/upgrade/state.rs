//! What all threads know of upgrades.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::peer::Peer;
use crate::action::api::{InstanceReport, OlderInstances, OpenRequest, OpenRequests};
use crate::admin::{NoAnswer, NoUpgrade, OlderAnswer, OlderQuestion, OlderReport, Upgraded};
use crate::base::join::join_all;
use crate::base::task::LocalBox;

/// By which an older process knows a caller's question from an operator's command.
pub(super) const INSTANCE_PATH: &str = "/v1";

/// How long answers of older processes are waited for while no one is accepted, and how often it
/// is looked whether they have come.
const ANSWERED_TIMEOUT: Duration = Duration::from_millis(500);
const ANSWERED_INTERVAL: Duration = Duration::from_millis(2);

/// Who asks for an upgrade, and waits.
pub(in crate::control) type UpgradeAsked = oneshot::Sender<Upgraded>;

/// The older processes, each by its id.
pub(in crate::control) type Known = BTreeMap<u32, KnownProcess>;

/// What is known of an older process.
#[derive(Clone)]
pub(in crate::control) struct KnownProcess {
    /// Sessions it had when it last said so, first as it stopped accepting; none while one of an
    /// earlier version has not.
    pub(in crate::control) sessions: Option<usize>,
    /// By what it is asked.
    pub(in crate::control) peer: Arc<Peer>,
}

/// What all threads know of upgrades.
pub(in crate::control) struct State {
    asks: mpsc::Sender<UpgradeAsked>,
    under_way: AtomicBool,
    /// The process that serves in place of this one.
    passed_to: OnceLock<u32>,
    /// Another process is about to.
    is_switching: AtomicBool,
    /// What callers have asked of the processes before this one as well.
    requests: OpenRequests,
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
            is_switching: AtomicBool::new(false),
            requests: OpenRequests::default(),
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

    /// Begins no more requests about the processes before this one, and waits until those under way
    /// are answered; not for long, since no one is accepted meanwhile.
    pub(super) async fn begin_switch(&self) {
        self.is_switching.store(true, SeqCst);
        let answered = async {
            while !self.requests.are_done() {
                sleep(ANSWERED_INTERVAL).await;
            }
        };
        let _ = timeout(ANSWERED_TIMEOUT, answered).await;
    }

    /// Another process does not take over after all.
    pub(super) fn cancel_switch(&self) {
        self.is_switching.store(false, SeqCst);
    }

    /// Another process serves in place of this one.
    pub(super) fn pass_to(&self, pid: u32) {
        // Once only: after it this process leaves.
        let _ = self.passed_to.set(pid);
        self.older().values().for_each(|known| known.peer.on_replaced());
    }

    /// Whether another process serves in place of this one, or is about to.
    fn leaves(&self) -> bool {
        self.is_switching.load(SeqCst) || self.passed_to().is_some()
    }

    /// The process that serves in place of this one, once another has taken over.
    pub(in crate::control) fn passed_to(&self) -> Option<u32> {
        self.passed_to.get().copied()
    }

    /// This process's number in its row of upgrades, counted from 1.
    pub(in crate::control) fn number(&self) -> u64 {
        self.number
    }

    /// Asks the processes before this one, all at once, and waits so long.
    pub(in crate::control) async fn ask_older(
        &self,
        question: &OlderQuestion,
        patience: Duration,
    ) -> Vec<OlderReport> {
        let known = self.older().clone();
        let each = known.into_iter().map(async |(pid, KnownProcess { sessions, peer })| {
            let answer = peer.ask(question.clone(), patience).await;
            OlderReport { pid, sessions, answer }
        });
        join_all(each).await
    }

    /// The processes before this one that have not ended.
    pub(in crate::control) fn older(&self) -> MutexGuard<'_, Known> {
        // What is in it is whole whoever panicked: it is replaced, not changed.
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OlderInstances for State {
    fn are_there(&self) -> bool {
        !self.older().is_empty()
    }

    fn is_replaced(&self) -> bool {
        self.leaves()
    }

    fn enter(&self) -> Option<OpenRequest> {
        let request = self.requests.enter();
        (!self.leaves()).then_some(request)
    }

    fn ask(&self, body: String, patience: Duration) -> LocalBox<Vec<InstanceReport>> {
        let known = self.older().clone();
        let question = OlderQuestion { path: INSTANCE_PATH.to_owned(), body, drain: None };
        let each = known.into_iter().map(move |(pid, KnownProcess { sessions, peer })| {
            let question = question.clone();
            async move {
                // One that hangs costs one caller its time, and not each.
                let answer = match peer.is_silent() {
                    true => Err(NoAnswer::Late),
                    false => peer.ask(question, patience).await,
                };
                let answer = match answer {
                    Ok(OlderAnswer { status, json }) => Ok((status, json)),
                    // It had none any more, and gets no new ones: nothing is missing of it.
                    Err(NoAnswer::Ended) if sessions == Some(0) => {
                        Ok((StatusCode::GONE.as_u16(), Value::Null))
                    }
                    Err(why) => Err(why.to_string()),
                };
                InstanceReport { pid, sessions, answer }
            }
        });
        Box::pin(join_all(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_an_older_process_that_ends_is_missing_what_it_has_not_said_to_be_none() {
        let (state, _asked) = State::new(2);
        for (pid, sessions) in [(1, Some(0)), (2, Some(7)), (3, None)] {
            let (peer, words) = Peer::new(true, 0);
            // It has ended.
            drop(words);
            state.older().insert(pid, KnownProcess { sessions, peer });
        }
        let reports = OlderInstances::ask(&state, String::new(), Duration::from_secs(5)).await;
        let said = reports.into_iter().map(|one| (one.pid, one.sessions, one.answer.is_ok()));
        let said: Vec<_> = said.collect();
        assert_eq!(said, [(1, Some(0), true), (2, Some(7), false), (3, None, false)]);
    }
}
