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
//! Who may be chosen is decided first (`choice`: health, backups, what is full), then whose turn
//! it is (`balance`, `rendezvous`). A [`Key`] leads back to a backend: by a hash of what the
//! request carries, or by the client's cookie (`sticky`). `attempts` is the loop over backends.
//! Handshakes wait for a permit and for their turn (`pace`).
//!
//! Failures to reach a backend, in a row, eject it for a while that doubles; then one request is
//! its trial. A session or handshake that waits may try it before, at a pace of all who wait. What
//! else goes wrong ejects it only when several clients meet it and none is answered. Never more
//! than half of the pool is ejected, and never the last: of too many that have failed, those that
//! would return first are used, for a bad backend is better than none.
//!
//! Probes (`probed`) stand beside that: a backend is given work while both let it (`vitals`). Who
//! asks the backends is not here.

mod ask;
mod attempts;
mod backend;
mod balance;
mod budget;
mod busy;
mod choice;
mod dial;
mod error;
mod health;
mod key;
mod lease;
mod leaving;
mod member;
mod pace;
mod probed;
mod rebalance;
mod rendezvous;
mod single_exchange;
mod sticky;
mod upstream_error;
mod vitals;

pub use ask::{Ask, NoBackend};
pub use attempts::{Attempt, Attempted, Attempts, Repeat};
pub use backend::{Backend, HandshakePermit};
pub use busy::{Busy, HANDSHAKES_WAITING_MAX};
pub use dial::{ADDRESSES_TRIED_MAX, Dialler, LOOKUPS_IN_FLIGHT_MAX};
pub use error::{Blame, DialError, DialStage};
pub use health::{Evidence, Standing};
pub use key::{Key, network};
pub use lease::{Kind, Lease};
pub use probed::{ProbeOutcome, ProbeState, ProbeVerdict};
pub use rebalance::{Leave, Rebalance, RebalanceState};
pub use rendezvous::HASH_BOUND_FROM;
pub use single_exchange::{SingleExchangeError, single_exchange};
pub use upstream_error::UpstreamError;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::lock::lock;
use crate::config::plan;
use crate::observe::metrics::{BackendFacts, BackendMetrics, Metrics, PoolMetrics};
use crate::tls::{TlsError, Transport};
use crate::wire::proxy::ProxyEnds;
use balance::Balancer;
use budget::Budget;
use member::Member;
use rebalance::Level;
use sticky::StickyCookies;

/// A group of backends, chosen from and dialled.
#[derive(Debug)]
pub struct Pool {
    plan: Arc<plan::Pool>,
    backends: Box<[Arc<Backend>]>,
    /// The hashes of the backends' addresses.
    seeds: Box<[u64]>,
    sticky: Option<StickyCookies>,
    balancer: Mutex<Balancer>,
    /// Shared with the pool before a reload.
    budget: Arc<Mutex<Budget>>,
    dialler: Dialler,
    cells: Arc<PoolMetrics>,
}

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
    /// itself when its plan is equal, else its backends' counts and health live on. So do those of
    /// `departed` backends that come back while someone still has a lease of them.
    ///
    /// # Errors
    /// No TLS can be made from the plan.
    pub fn build(
        plan: &Arc<plan::Pool>,
        old: Option<&Arc<Pool>>,
        departed: &[Arc<Backend>],
        metrics: &Metrics,
    ) -> Result<Arc<Pool>, TlsError> {
        if let Some(old) = old.filter(|old| *old.plan == **plan) {
            return Ok(Arc::clone(old));
        }
        let backend = |member: &plan::Backend| {
            let same = |backend: &&Arc<Backend>| *backend.target() == member.address;
            let old = old.and_then(|old| old.backends.iter().find(same));
            let returns =
                |one: &&Arc<Backend>| same(one) && *one.pool() == plan.name && one.is_leased();
            Backend::build(plan, member, old.or_else(|| departed.iter().find(returns)))
        };
        let backends: Box<[Arc<Backend>]> = plan.backends.iter().map(backend).collect();
        let cells = metrics.pool(&plan.name);
        let dialler = Dialler::build(plan, old.map(|old| &old.dialler), &cells)?;
        let budget = old.map(|old| Arc::clone(&old.budget)).unwrap_or_default();
        let start = fastrand::usize(..backends.len().max(1));
        let balancer = Mutex::new(Balancer::new(backends.len(), start));
        let seeds =
            backends.iter().map(|backend| key::hash(backend.address().as_bytes())).collect();
        let sticky = plan.sticky.as_ref().map(|sticky| StickyCookies::new(sticky, &backends));
        let plan = Arc::clone(plan);
        Ok(Arc::new(Pool { plan, backends, seeds, sticky, balancer, budget, dialler, cells }))
    }

    /// The plan it was built from.
    pub fn plan(&self) -> &Arc<plan::Pool> {
        &self.plan
    }

    /// Its members, in file order.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// The key of a request: `hashed` are its bytes where the plan's `Balance::Hash` looks for
    /// them, `cookie` is the value of the cookie that `plan::Sticky` names. `None` when neither
    /// leads anywhere: then a backend is chosen as for anybody.
    pub fn key(&self, hashed: Option<&[u8]>, cookie: Option<&[u8]>) -> Option<Key> {
        let hash = hashed.filter(|bytes| !bytes.is_empty()).map(key::hash);
        let tag = self.sticky.as_ref().and(cookie).and_then(sticky::read);
        (hash.is_some() || tag.is_some()).then_some(Key { hash, tag })
    }

    /// The key of a session that has this backend (its address): where clients stick, it leads
    /// there again.
    pub fn pinned(&self, key: Option<Key>, backend: &str) -> Option<Key> {
        let Some(tag) = self.tag(backend) else { return key };
        Some(Key { hash: key.and_then(|key| key.hash), tag: Some(tag) })
    }

    /// The cookie's value to give a client that asked with `key` and was sent to this backend (its
    /// address). `None` where clients do not stick, or when it has that cookie already.
    pub fn cookie(&self, key: Option<Key>, backend: &str) -> Option<String> {
        let tag = self.tag(backend)?;
        let has_it = key.and_then(|key| key.tag) == Some(tag);
        (!has_it).then(|| sticky::written(&tag))
    }

    fn tag(&self, backend: &str) -> Option<sticky::Tag> {
        let sticky = self.sticky.as_ref()?;
        sticky.tag(self.backends.iter().position(|one| **one.address() == *backend)?)
    }

    /// How long it is until somebody who waits may try one of the backends; `None` where one is up,
    /// so that there is nothing to wait for.
    pub fn until_waiting_trial(&self, now: Moment) -> Option<Duration> {
        let can_be_tried = |backend: &&Arc<Backend>| {
            !backend.is_disabled() && backend.standing(now) != Standing::Unproven
        };
        let backends = self.backends.iter().filter(can_be_tried);
        let trials: Option<Vec<Moment>> = backends.map(|one| one.waiting_trial()).collect();
        Some(trials?.into_iter().min()?.since(now))
    }

    /// Whether a request that failed on `tried` backends may be tried on another; then the retry is
    /// counted. Asked only while nothing was promised to the client.
    pub fn may_retry(&self, now: Moment, tried: usize) -> bool {
        let rules = &self.plan.retry;
        let attempts_left = tried < rules.attempts_max as usize;
        let granted = attempts_left && lock(&self.budget).retry(now, rules);
        if granted {
            self.cells.retries.inc();
        }
        granted
    }

    /// Connects to a backend of this pool, with TLS where the plan says so, all within
    /// `connect_timeout`; where it asks for a PROXY header, that tells of these `ends`. A failure
    /// is counted as a metric; whether it counts against the backend's health is its caller's to
    /// say ([`DialError::fault`]).
    ///
    /// # Errors
    /// [`DialError`]; nothing was sent that a client had asked for.
    pub async fn dial(
        &self,
        backend: &Backend,
        ends: Option<ProxyEnds>,
    ) -> Result<Transport, DialError> {
        let dialled = self.dialler.dial(backend.target(), ends).await;
        if let Err(error) = &dialled {
            self.cells.dial_failures.count(backend.address(), error);
        }
        dialled
    }

    /// Connects to a backend of this pool as [`Pool::dial`] does, for nobody's sake: a failure is
    /// counted nowhere.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial_for_probe(&self, backend: &Backend) -> Result<Transport, DialError> {
        self.dialler.dial(backend.target(), None).await
    }

    /// How every backend stands, in file order.
    pub fn health(&self, now: Moment) -> Vec<BackendHealth> {
        let seen = self.backends.iter().zip(self.members(now));
        seen.map(|(backend, Member { standing, rank, .. })| BackendHealth {
            backend: Arc::clone(backend),
            standing,
            // A reserve that has failed is given work only when its turn comes.
            up: rank == Some(0) || rank.is_some() && !matches!(standing, Standing::Ejected { .. }),
        })
        .collect()
    }

    /// Looks whether sessions are to leave some of the backends for others; `state` is what was
    /// remembered of this pool. What is found is counted; what is to be done is given back, and is
    /// nothing where the plan has no `rebalance`.
    pub fn rebalance(&self, state: &mut Rebalance, now: Moment) -> Vec<Leave> {
        let rules = self.plan.rebalance.as_ref();
        if rules.is_none() {
            // Nothing that was begun under a rule outlives it.
            *state = Rebalance::default();
        }
        let look = match self.plan.goes_by_sessions() {
            true => state.look(now, &self.levels(now), rules.unwrap_or(&Default::default())),
            false => rebalance::Look::default(),
        };
        self.cells.would_move.set(look.would_move as u64);
        let leave = if rules.is_some() { look.leave } else { Vec::new() };
        let leave = self.with_room(leave, state, now);
        self.cells.asked_to_move.add(leave.iter().map(|leave| leave.sessions as u64).sum());
        leave
    }

    /// As many of these as there is room for elsewhere: what is not asked does not count.
    fn with_room(&self, mut leave: Vec<Leave>, state: &mut Rebalance, now: Moment) -> Vec<Leave> {
        let is_left = |one: &&Arc<Backend>| leave.iter().any(|of| of.backend == *one.address());
        let leaving: Vec<_> = self.backends.iter().filter(is_left).collect();
        let mut room = self.room_beside(&leaving, now);
        leave.retain_mut(|of| {
            let wanted = of.sessions;
            of.sessions = wanted.min(room);
            room -= of.sessions;
            state.told(&of.backend, wanted, of.sessions);
            of.sessions > 0
        });
        leave
    }

    /// The backends whose sessions count for a rebalance. Those of one that is out are lost, and of
    /// one that a command took out they are the operator's to move.
    fn levels(&self, now: Moment) -> Vec<Level> {
        let seen = self.backends.iter().zip(self.members(now));
        let is_in = |member: &Member| member.rank.is_some() && member.standing == Standing::Up;
        seen.filter(|(_, member)| is_in(member))
            .map(|(backend, member)| Level {
                backend: Arc::clone(backend.address()),
                sessions: backend.sessions(),
                weight: if member.rank == Some(0) { member.weight } else { 0 },
                sessions_max: backend.sessions_max(),
            })
            .collect()
    }

    /// What a scrape says of the backends, each by its pool and its address.
    pub fn facts(
        &self,
        now: Moment,
    ) -> impl Iterator<Item = ([Arc<str>; 2], BackendFacts, Arc<BackendMetrics>)> {
        self.health(now).into_iter().map(|BackendHealth { backend, up, .. }| {
            let facts = BackendFacts {
                sessions: backend.sessions() as u64,
                handshakes_waiting: backend.handshakes_waiting() as u64,
                up,
                disabled: backend.is_disabled(),
                probe_up: backend
                    .probe_state()
                    .map(|probes| probes.verdict == ProbeVerdict::Passing),
            };
            let names = [Arc::clone(backend.pool()), Arc::clone(backend.address())];
            (names, facts, Arc::clone(backend.metrics()))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
