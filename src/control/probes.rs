//! Backends are asked whether they can do their work, where their pool wants that: each again and
//! again, once in the process and not once on each worker.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::handle::Common;
use crate::admin::Phase;
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::base::task;
use crate::config::plan::Probe;
use crate::live::Snapshot;
use crate::pool::{Backend, Pool, ProbeOutcome};
use crate::probe::{self, PassedProbe, ProbeError};
use crate::registry::Selector;

/// Probes under way at a time. More wait for their turn, those first that are due longest.
pub(super) const PROBES_IN_FLIGHT_MAX: usize = 256;

/// The least time between two looks at what is due: thousands of backends are looked through.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// How often a process that leaves looks whether a session of it may need another backend yet.
const LEAVING_LOOK: Duration = Duration::from_secs(1);

/// Asks until the process ends, or leaves and has no session any more that could move.
pub(super) async fn keep_probing(common: Arc<Common>) {
    let mut generations = common.generations.subscribe();
    let mut phases = common.phase.subscribe();
    let mut schedule = ProbeSchedule::default();
    loop {
        if generations.has_changed().unwrap_or(false) || schedule.generation == 0 {
            generations.mark_unchanged();
            schedule.renew(&common.app.live.now());
        }
        let is_leaving = !matches!(*phases.borrow_and_update(), Phase::Running);
        if is_leaving && common.sessions.list(&Selector::Holding, 1).await.is_empty() {
            return;
        }
        let now = clock::now();
        let next = schedule.start_due(now);
        let wait = next.since(now).max(LOOK_PAUSE);
        let wait = if is_leaving { wait.min(LEAVING_LOOK) } else { wait };
        tokio::select! {
            () = sleep(wait) => {}
            changed = generations.changed() => {
                if changed.is_err() {
                    return;
                }
                generations.mark_changed();
            }
            changed = phases.changed(), if !is_leaving => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// When which backend is asked.
#[derive(Default)]
struct ProbeSchedule {
    /// Of the snapshot it is made from.
    generation: u64,
    rows: Vec<Row>,
    in_flight: Rc<Cell<usize>>,
}

/// One backend.
struct Row {
    pool: Arc<Pool>,
    backend: Arc<Backend>,
    due: Moment,
    /// Whether it is being asked.
    is_asked: Rc<Cell<bool>>,
}

impl ProbeSchedule {
    /// Takes what this snapshot has. A backend that was there before keeps its time; one that is
    /// new is due at once.
    fn renew(&mut self, snapshot: &Snapshot) {
        let key = |row: Row| {
            let name = (Arc::clone(row.backend.pool()), Arc::clone(row.backend.address()));
            (name, (row.due, row.is_asked))
        };
        let mut known: HashMap<_, _> =
            std::mem::take(&mut self.rows).into_iter().map(key).collect();
        let now = clock::now();
        let probed = |pool: &&Arc<Pool>| pool.plan().health.probe.is_some();
        for pool in snapshot.pools.values().filter(probed) {
            for backend in pool.backends() {
                let name = (Arc::clone(backend.pool()), Arc::clone(backend.address()));
                let (due, is_asked) = known.remove(&name).unwrap_or((now, Rc::default()));
                // A time that was made by rules of before is not waited for.
                let most = rules(pool).map_or(due, |rules| now.after(longest(rules)));
                let (pool, backend) = (Arc::clone(pool), Arc::clone(backend));
                self.rows.push(Row { pool, backend, due: due.min(most), is_asked });
            }
        }
        self.generation = snapshot.generation;
    }

    /// Begins what is due; when the next is.
    fn start_due(&mut self, now: Moment) -> Moment {
        let is_due = |row: &&mut Row| row.due <= now && !row.is_asked.get();
        let mut due: Vec<&mut Row> = self.rows.iter_mut().filter(is_due).collect();
        due.sort_by_key(|row| row.due);
        for row in due {
            if self.in_flight.get() >= PROBES_IN_FLIGHT_MAX {
                break;
            }
            row.start(now, &self.in_flight);
        }
        self.rows.iter().map(|row| row.due).min().unwrap_or(Moment::NEVER)
    }
}

impl Row {
    fn start(&mut self, now: Moment, in_flight: &Rc<Cell<usize>>) {
        let Some(rules) = rules(&self.pool) else { return };
        // Between four and six fifths: what many proxies ask must not meet.
        self.due = now.after(rules.every.mul_f64(0.8 + 0.4 * fastrand::f64()));
        self.is_asked.set(true);
        let place = ProbePlace::new(in_flight);
        let (pool, backend) = (Arc::clone(&self.pool), Arc::clone(&self.backend));
        let is_asked = Rc::clone(&self.is_asked);
        task::spawn_boxed("probe", async move {
            let _place = place;
            let Some(rules) = &pool.plan().health.probe else { return };
            let asked = probe::probe(&pool, &backend, rules).await;
            is_asked.set(false);
            note(&backend, &asked);
            if let Ok(passed) = asked {
                passed.close().await;
            }
        });
    }
}

fn rules(pool: &Pool) -> Option<&Probe> {
    pool.plan().health.probe.as_ref()
}

/// The longest time between two probes.
fn longest(rules: &Probe) -> Duration {
    rules.every.mul_f64(1.2)
}

/// Counts what came of a probe.
fn note(backend: &Backend, asked: &Result<PassedProbe, ProbeError>) {
    let label = match asked {
        Ok(_) => OutcomeLabel("passed"),
        Err(error) => OutcomeLabel(error.label()),
    };
    backend.metrics().probes.count(label);
    let outcome = match asked {
        Ok(_) => ProbeOutcome::Passed,
        Err(error) if error.is_ours() => {
            // It says nothing of the backend.
            let (pool, backend) = (backend.pool(), backend.address());
            tracing::warn!(%pool, %backend, %error, "no probe");
            return;
        }
        Err(error) if error.is_unreachable() => ProbeOutcome::Unreachable(text(error)),
        Err(error) => ProbeOutcome::Failed(text(error)),
    };
    backend.probed(outcome, clock::now());
}

/// The error as it is shown: what a backend makes of it is not longer than a line.
fn text(error: &ProbeError) -> Arc<str> {
    error.to_string().into()
}

struct OutcomeLabel(&'static str);

impl Label for OutcomeLabel {
    fn label(&self) -> &'static str {
        self.0
    }
}

/// A probe under way.
struct ProbePlace(Rc<Cell<usize>>);

impl ProbePlace {
    fn new(count: &Rc<Cell<usize>>) -> ProbePlace {
        count.set(count.get() + 1);
        ProbePlace(Rc::clone(count))
    }
}

impl Drop for ProbePlace {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
