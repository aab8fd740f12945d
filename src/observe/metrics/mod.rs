//! Metrics: what is counted, by route, listener, pool and process.
//!
//! Every metric is declared in [`catalogue`]. What counts holds its cells and never looks them up;
//! a scrape adds them up.

pub mod catalogue;
mod cells;
mod render;

pub use cells::{CLASSES, Cell, Cells, LONG, RouteCells, SHORT, Times, Words};
pub use render::CONTENT_TYPE;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use super::log::Dropped;
use crate::base::clock;

/// A count that several threads write, for what happens once per connection or less often.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts one.
    pub fn one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Counts so many.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// Moves it by `by`.
    pub fn shift(&self, by: i64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Raises it by one, unless it is `most` already; whether it did.
    pub fn raise(&self, most: usize) -> bool {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let raised = |level| (level < most).then_some(level + 1);
        self.0.try_update(Relaxed, Relaxed, raised).is_ok()
    }

    /// Sets it.
    pub fn set(&self, to: u64) {
        self.0.store(i64::try_from(to).unwrap_or(i64::MAX), Relaxed);
    }

    /// Its present value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// A listener's counts.
#[derive(Debug, Default)]
pub struct ListenerCells {
    /// Connections open.
    pub open: Level,
    /// Of these, those whose driver is HTTP/1.1's.
    pub http1: Level,
    /// Of these, those whose driver is HTTP/2's.
    pub http2: Level,
    /// HTTP/2 streams open.
    pub streams: Level,
    /// HTTP/2 streams that clients reset, by error code.
    pub resets_received: Words,
    /// HTTP/2 streams that were reset towards clients, by error code.
    pub resets_sent: Words,
    /// HTTP/2 connections ended because their client broke a rule or passed a limit, by reason.
    pub http2_failed: Words,
    /// Connections accepted.
    pub accepted: Count,
    /// Connections closed at once, by reason.
    pub refused: Words,
    /// Pauses in accepting.
    pub backoffs: Count,
    /// TLS handshakes completed.
    pub tls_handshakes: Count,
    /// TLS handshakes failed, by reason.
    pub tls_failures: Words,
}

impl ListenerCells {
    /// Raises a level by one for as long as what is returned is kept.
    pub fn raised(self: &Arc<Self>, level: fn(&ListenerCells) -> &Level) -> Raised {
        level(self).shift(1);
        Raised { cells: Arc::clone(self), level }
    }
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub struct Raised {
    cells: Arc<ListenerCells>,
    level: fn(&ListenerCells) -> &Level,
}

impl Drop for Raised {
    fn drop(&mut self) {
        (self.level)(&self.cells).shift(-1);
    }
}

/// A pool's counts.
#[derive(Debug, Default)]
pub struct PoolCells {
    dial_failures: Mutex<BTreeMap<(String, &'static str), u64>>,
    /// Dials for which a source address had no free port.
    pub sources_exhausted: Count,
    /// Requests tried on another backend.
    pub retries: Count,
    /// Handshakes refused because every backend had as many sessions as it may.
    pub full: Count,
    /// Sessions that would have to move for the backends to be level.
    pub would_move: Level,
    /// Sessions asked to move for that.
    pub asked_to_move: Count,
    /// Clients that did not come to the backend of their cookie, by reason.
    pub sticky_lost: Words,
}

impl PoolCells {
    /// Counts a dial to `backend` (its address as text) that failed for `reason`.
    pub fn dial_failed(&self, backend: impl ToString, reason: &'static str) {
        *lock(&self.dial_failures).entry((backend.to_string(), reason)).or_default() += 1;
    }
}

/// What a scrape says of one backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackendFacts {
    /// Its pool's name.
    pub pool: Arc<str>,
    /// Its address as text.
    pub backend: Arc<str>,
    /// Live sessions.
    pub sessions: u64,
    /// Handshakes that wait until they may begin.
    pub handshakes_waiting: u64,
    /// Whether it is given work.
    pub up: bool,
    /// Whether a command keeps work from it.
    pub disabled: bool,
}

/// Counts of the whole process.
#[derive(Debug, Default)]
pub struct ProcessCells {
    /// The configuration in force.
    pub generation: Level,
    /// Reloads by outcome.
    pub reloads: Words,
    /// The process's number in its row of upgrades.
    pub number: Level,
    /// Upgrades that did not come about, by outcome.
    pub upgrades: Words,
    /// Processes before this one that have not ended.
    pub older: Level,
    /// Sessions live in them.
    pub older_sessions: Level,
    /// Configurations in memory.
    pub snapshots: Level,
    /// Bytes kept of held sessions.
    pub hold_bytes: Level,
}

type Table<T> = Mutex<BTreeMap<Arc<str>, Arc<T>>>;

/// Everything that is counted in one process (one supervisor: tests run several).
#[derive(Debug)]
pub struct Metrics {
    workers: usize,
    started: f64,
    routes: Table<RouteCells>,
    listeners: Table<ListenerCells>,
    pools: Table<PoolCells>,
    backends: Mutex<Vec<BackendFacts>>,
    drains: Mutex<Vec<(&'static str, u64)>>,
    loads: Mutex<Vec<usize>>,
    dropped: OnceLock<Dropped>,
    /// Counts of the whole process.
    pub process: ProcessCells,
}

impl Metrics {
    /// Metrics for a process with so many workers.
    pub fn new(workers: usize) -> Arc<Metrics> {
        let since_1970 = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Arc::new(Metrics {
            workers,
            started: since_1970.as_secs_f64(),
            routes: Mutex::default(),
            listeners: Mutex::default(),
            pools: Mutex::default(),
            backends: Mutex::default(),
            drains: Mutex::default(),
            loads: Mutex::default(),
            dropped: OnceLock::new(),
            process: ProcessCells::default(),
        })
    }

    /// The cells of a route, by its identity; the same ones for as long as somebody holds them.
    pub fn route(&self, identity: &Arc<str>) -> Arc<RouteCells> {
        let new = || Arc::new(RouteCells::new(Arc::clone(identity), self.workers));
        Arc::clone(lock(&self.routes).entry(Arc::clone(identity)).or_insert_with(new))
    }

    /// The cells of a listener, by its name.
    pub fn listener(&self, name: &Arc<str>) -> Arc<ListenerCells> {
        Arc::clone(lock(&self.listeners).entry(Arc::clone(name)).or_default())
    }

    /// The cells of a pool, by its name.
    pub fn pool(&self, name: &Arc<str>) -> Arc<PoolCells> {
        Arc::clone(lock(&self.pools).entry(Arc::clone(name)).or_default())
    }

    /// What the next scrape says of backends; replaces what was said before.
    pub fn set_backends(&self, facts: Vec<BackendFacts>) {
        *lock(&self.backends) = facts;
    }

    /// What the next scrape says of sessions left to drain, by reason; replaces what was said.
    pub fn set_drains(&self, left: Vec<(&'static str, u64)>) {
        *lock(&self.drains) = left;
    }

    /// What the next scrape says of connections, by worker; replaces what was said before.
    pub fn set_loads(&self, connections: Vec<usize>) {
        *lock(&self.loads) = connections;
    }

    /// Counts the lines this log drops.
    pub fn watch_log(&self, dropped: Dropped) {
        // A second log of the same process is the same log.
        let _ = self.dropped.set(dropped);
    }

    /// Forgets routes, listeners and pools that nobody holds any more: call it after a reload, or
    /// a thousand reloads that rename a route keep a thousand routes in memory.
    pub fn forget_unused(&self) {
        lock(&self.routes).retain(|_, cells| Arc::strong_count(cells) > 1);
        lock(&self.listeners).retain(|_, cells| Arc::strong_count(cells) > 1);
        lock(&self.pools).retain(|_, cells| Arc::strong_count(cells) > 1);
    }

    /// Sessions live, by the routes' counts.
    pub fn sessions(&self) -> u64 {
        lock(&self.routes).values().map(|route| route.live()).sum()
    }
}

/// A count is never half-written: what a panicking thread left behind is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
