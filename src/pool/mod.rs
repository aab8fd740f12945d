//! Backends, leases and health.
//!
//! **In:** the plan's pools; outcomes of dials and handshakes. **Out:** a lease on a backend, and a
//! transport to it. **Never here:** HTTP, frames, knowledge of who asks.
//!
//! A [`Backend`] is one `Arc` with counts and health and no pointer back to its pool; a [`Lease`]
//! holds only that. So a session keeps its backend alive and nothing of the configuration, and a
//! reload that builds the pool anew takes the counts and the health on by the backend's address.
//!
//! A choice is made under one short lock per pool: the counts it is made by are those of all
//! workers, and no two of them choose the same idle backend.
//!
//! Failures in a row take a backend out for a while that doubles; then one request is its trial.
//! Never more than half of the pool is out, and never the last: of too many that have failed, those
//! that would return first are used, for a bad backend is better than none.

mod backend;
mod budget;
mod dial;
mod error;
mod health;
mod key;
mod rendezvous;
mod turn;

pub use backend::{Backend, Busy, HANDSHAKES_WAITING_MAX, HandshakePermit, Kind, Lease};
pub use dial::{ADDRESSES_TRIED_MAX, LOOKUPS_IN_FLIGHT_MAX};
pub use error::{DialError, Fault, Stage};
pub use health::Standing;
pub use key::Key;
pub use rendezvous::HASH_BOUND_FROM;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan::{self, Balance};
use crate::observe::metrics::{BackendFacts, Metrics, PoolCells};
use crate::tls::{TlsError, Transport};
use budget::Budget;
use dial::Dialler;
use turn::{Candidate, Turn, random_two};

/// The least and the most that a client is asked to wait when no backend is left.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// A group of backends, chosen from and dialled.
#[derive(Debug)]
pub struct Pool {
    plan: Arc<plan::Pool>,
    backends: Box<[Arc<Backend>]>,
    /// The hashes of the backends' addresses.
    seeds: Box<[u64]>,
    turn: Mutex<Turn>,
    /// Shared with the pool before a reload.
    budget: Arc<Mutex<Budget>>,
    dialler: Dialler,
    cells: Arc<PoolCells>,
}

/// What a backend is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The present moment.
    pub now: Moment,
    /// For how long it will be held.
    pub kind: Kind,
    /// Addresses of the backends that were tried for this request and failed.
    pub tried: &'a [Arc<str>],
    /// By what it finds the backend it had before, where the pool goes by that.
    pub key: Option<Key>,
}

/// Every backend that is in was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoBackend {
    /// When it is worth to come again; whole seconds (`Retry-After`, RFC 9110 §10.2.3).
    pub retry_after: Duration,
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no backend is left to try; worth a retry after: {:?}", self.retry_after)
    }
}

impl std::error::Error for NoBackend {}

/// What there is to see of a backend.
#[derive(Clone, Debug)]
pub struct BackendHealth {
    /// The backend.
    pub backend: Arc<Backend>,
    /// How its own record stands.
    pub standing: Standing,
    /// Whether it is given work: it is in, due for a trial, or needed lest more than half be out.
    pub up: bool,
}

impl Pool {
    /// A pool of this plan. `old` is the pool of the same name before a reload: it is given back
    /// itself when its plan is equal, else its backends' counts and health live on.
    ///
    /// # Errors
    /// No TLS can be made from the plan.
    pub fn build(
        plan: &Arc<plan::Pool>,
        old: Option<&Arc<Pool>>,
        metrics: &Metrics,
    ) -> Result<Arc<Pool>, TlsError> {
        if let Some(old) = old.filter(|old| *old.plan == **plan) {
            return Ok(Arc::clone(old));
        }
        let backend = |member: &plan::Backend| {
            let same = |backend: &&Arc<Backend>| *backend.target() == member.address;
            let old = old.and_then(|old| old.backends.iter().find(same));
            Backend::build(plan, member, old)
        };
        let backends: Box<[Arc<Backend>]> = plan.backends.iter().map(backend).collect();
        let cells = metrics.pool(&plan.name);
        let dialler = Dialler::build(plan, old.map(|old| &old.dialler), &cells)?;
        let budget = old.map(|old| Arc::clone(&old.budget)).unwrap_or_default();
        let start = fastrand::usize(..backends.len().max(1));
        let turn = Mutex::new(Turn::new(backends.len(), start));
        let seeds =
            backends.iter().map(|backend| key::hash(backend.address().as_bytes())).collect();
        let plan = Arc::clone(plan);
        Ok(Arc::new(Pool { plan, backends, seeds, turn, budget, dialler, cells }))
    }

    /// The plan it was built from.
    pub fn plan(&self) -> &Arc<plan::Pool> {
        &self.plan
    }

    /// Its members, in file order.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// The key of a request with these bytes where the plan's [`Balance::Hash`] looks for them.
    /// `None` when it has none: then it is put where there are the fewest sessions.
    pub fn key(&self, hashed: Option<&[u8]>) -> Option<Key> {
        let hash = hashed.filter(|bytes| !bytes.is_empty()).map(key::hash);
        hash.map(|hash| Key { hash: Some(hash) })
    }

    /// Chooses a backend and counts on it.
    ///
    /// # Errors
    /// [`NoBackend`] when all that are in were tried: 503 with `Retry-After`.
    pub fn lease(&self, ask: &Ask<'_>) -> Result<Lease, NoBackend> {
        if ask.tried.is_empty() {
            lock(&self.budget).request(ask.now);
        }
        let mut turn = lock(&self.turn);
        let standings = self.standings(ask.now);
        let admitted = self.admitted(&standings);
        let candidate = |index: usize| {
            let backend = &self.backends[index];
            let may = admitted[index] && !ask.tried.contains(backend.address());
            let weight = backend.weight().into();
            may.then(|| Candidate { load: backend.sessions(), weight })
        };
        let hash = ask.key.and_then(|key| key.hash);
        let chosen = match (&self.plan.balance, hash, ask.kind) {
            (Balance::Hash { excess_percent, .. }, Some(hash), _) => {
                // Requests are put by sessions too, so that both of a client meet.
                rendezvous::choose(hash, &self.seeds, *excess_percent, candidate)
            }
            (Balance::RandomTwo, _, kind) => {
                let laden = |index: usize| {
                    let load = self.backends[index].count(kind);
                    candidate(index).map(|one| Candidate { load, ..one })
                };
                random_two(self.backends.len(), laden, |below| fastrand::u64(..below))
            }
            (Balance::RoundRobin, ..) | (_, _, Kind::Request) => turn.next(candidate),
            (_, _, Kind::Session) => turn.fewest(candidate),
        };
        let chosen = chosen.ok_or_else(|| no_backend(&standings, ask.now))?;
        let backend = &self.backends[chosen];
        backend.begin_trial(ask.now);
        // Still under the lock: the next to choose sees this one counted.
        Ok(Lease::new(Arc::clone(backend), ask.kind))
    }

    /// Whether a request that failed on `tried` backends may be tried on another; then the retry is
    /// counted. Asked only while nothing was promised to the client.
    pub fn may_retry(&self, now: Moment, tried: usize) -> bool {
        let rules = &self.plan.retry;
        let attempts_left = tried < rules.attempts_max as usize;
        let granted = attempts_left && lock(&self.budget).retry(now, rules);
        if granted {
            self.cells.retries.one();
        }
        granted
    }

    /// Connects to a backend of this pool, with TLS where the plan says so, all within
    /// `connect_timeout`. A failure is counted as a metric; whether it counts against the backend's
    /// health is its caller's to say ([`DialError::fault`]).
    ///
    /// # Errors
    /// [`DialError`]; nothing was sent that a client had asked for.
    pub async fn dial(&self, backend: &Backend) -> Result<Transport, DialError> {
        let dialled = self.dialler.dial(backend.target()).await;
        if let Err(error) = &dialled {
            self.cells.dial_failed(backend.address(), error.word());
        }
        dialled
    }

    /// How every backend stands, in file order.
    pub fn health(&self, now: Moment) -> Vec<BackendHealth> {
        let standings = self.standings(now);
        let admitted = self.admitted(&standings);
        let seen = self.backends.iter().zip(standings).zip(admitted);
        seen.map(|((backend, standing), up)| BackendHealth {
            backend: Arc::clone(backend),
            standing,
            up,
        })
        .collect()
    }

    /// What a scrape says of the backends.
    pub fn facts(&self, now: Moment) -> impl Iterator<Item = BackendFacts> {
        self.health(now).into_iter().map(|BackendHealth { backend, up, .. }| BackendFacts {
            pool: Arc::clone(backend.pool()),
            backend: Arc::clone(backend.address()),
            sessions: backend.sessions() as u64,
            up,
            taken_out: backend.is_taken_out(),
        })
    }

    /// Who is given work. Those that a command took out never are, and do not count: health never
    /// keeps out more than half of the others, nor the last of them.
    fn admitted(&self, standings: &[Standing]) -> Vec<bool> {
        let others = || {
            let all = self.backends.iter().zip(standings).enumerate();
            all.filter(|(_, (backend, _))| !backend.is_taken_out())
        };
        let healths: Vec<Standing> = others().map(|(_, (_, standing))| *standing).collect();
        let mut admitted = vec![false; standings.len()];
        for ((index, _), is_admitted) in others().zip(health::admitted(&healths)) {
            admitted[index] = is_admitted;
        }
        admitted
    }

    fn standings(&self, now: Moment) -> Vec<Standing> {
        self.backends.iter().map(|backend| backend.standing(now)).collect()
    }
}

fn no_backend(standings: &[Standing], now: Moment) -> NoBackend {
    let wait = |standing: &Standing| match standing {
        Standing::Out { until } => Some(until.since(now)),
        Standing::In | Standing::Due => None,
    };
    let [least, most] = RETRY_AFTER;
    let soonest = standings.iter().filter_map(wait).min().unwrap_or(least);
    let seconds = soonest.as_millis().div_ceil(1000);
    let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    NoBackend { retry_after: whole.clamp(least, most) }
}

/// A lock whose holder panicked guards values that are whole all the same: each is changed at once.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
