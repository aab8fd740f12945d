//! One member of a pool: its counts, its health, and the handshakes under way to it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::base::clock::{self, Moment};
use crate::base::lock::lock;
use crate::base::network::ClientNetwork;
use crate::base::quota::{ClientQuota, Quota};
use crate::base::share::{SharePermit, Shares};
use crate::config::plan;
use crate::observe::metrics::BackendMetrics;

use super::busy::{Busy, HANDSHAKES_WAITING_MAX};
use super::health::{Evidence, Standing};
use super::pace::HandshakePace;
use super::probed::{ProbeOutcome, ProbeState};
use super::vitals::Vitals;

/// A member of a pool. It knows its pool's name, not its pool: a lease that outlives a reload keeps
/// this alive and nothing else.
#[derive(Debug)]
pub struct Backend {
    settings: Settings,
    state: Arc<BackendState>,
    /// Whether an operator keeps work from it. It stays so over reloads for as long as the
    /// configuration says the same of this member.
    disabled: Arc<AtomicBool>,
}

/// What the configuration says of a backend.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Settings {
    pool: Arc<str>,
    address: plan::BackendAddress,
    weight: u32,
    health: plan::Health,
    /// Whether it is for when no other is up.
    backup: bool,
    sessions_max: Option<usize>,
    handshakes_in_flight_max: usize,
    requests_in_flight_max: usize,
    /// Handshakes that may begin in a second.
    handshake_rate_max: Option<u32>,
    connect_timeout: Duration,
}

/// What is counted and learned about a backend; it lives on when a reload changes the settings.
#[derive(Debug)]
struct BackendState {
    /// The address as text: what it is called in facts and labels.
    address: Arc<str>,
    sessions: Arc<Quota>,
    /// The part of all that have no share, where `sessions_max` is not set.
    unlimited: Arc<ClientQuota>,
    requests: AtomicUsize,
    /// One permit for each handshake that may be under way.
    handshakes: Arc<Shares>,
    /// One for each plain request that may be.
    request_shares: Arc<Shares>,
    handshakes_waiting: AtomicUsize,
    health: Mutex<Vitals>,
    pace: Mutex<HandshakePace>,
    metrics: Arc<BackendMetrics>,
}

impl Backend {
    /// The backend of this plan; `old` is the one with the same address before a reload, or one
    /// that comes back, whose counts and health it takes on. When nothing else changed it is `old`
    /// itself.
    pub(super) fn build(
        pool: &plan::Pool,
        of: &plan::Backend,
        old: Option<&Arc<Backend>>,
    ) -> Arc<Backend> {
        let settings = Settings {
            pool: Arc::clone(&pool.name),
            address: of.address.clone(),
            weight: of.weight.max(1),
            health: pool.health.clone(),
            backup: of.backup,
            sessions_max: of.sessions_max,
            handshakes_in_flight_max: pool.handshakes_in_flight_max,
            requests_in_flight_max: pool.requests_in_flight_max,
            handshake_rate_max: pool.handshake_rate_max,
            connect_timeout: pool.connect_timeout,
        };
        if let Some(old) = old.filter(|old| old.settings == settings) {
            return Arc::clone(old);
        }
        let state = match old {
            Some(old) => Arc::clone(&old.state),
            None => Arc::new(BackendState::new(&settings)),
        };
        let disabled = match old {
            Some(old) if old.settings.weight == settings.weight => Arc::clone(&old.disabled),
            _ => Arc::default(),
        };
        Arc::new(Backend { settings, state, disabled })
    }

    /// Gives its counts the limits of its settings, when these come into force. What is under way
    /// keeps counting.
    pub fn apply_limits(&self) {
        self.state.apply_limits(&self.settings);
        lock(&self.state.health).apply(&self.settings.health);
    }

    /// It has worked before, for the process before this one: no probe of it is waited for.
    pub fn trust(&self) {
        lock(&self.state.health).trust();
    }

    /// Whether it is the same member of the same pool, perhaps before or after a reload.
    pub fn is(&self, other: &Backend) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Its address as text: its name in facts, labels and logs.
    pub fn address(&self) -> &Arc<str> {
        &self.state.address
    }

    /// What it answered.
    pub fn metrics(&self) -> &Arc<BackendMetrics> {
        &self.state.metrics
    }

    /// Its pool's name.
    pub fn pool(&self) -> &Arc<str> {
        &self.settings.pool
    }

    /// Where it listens.
    pub fn target(&self) -> &plan::BackendAddress {
        &self.settings.address
    }

    /// Its share, at least 1.
    pub fn weight(&self) -> u32 {
        self.settings.weight
    }

    /// Whether it is for when no other is up.
    pub fn is_backup(&self) -> bool {
        self.settings.backup
    }

    /// Sessions it may have.
    pub(super) fn sessions_max(&self) -> Option<usize> {
        self.settings.sessions_max
    }

    /// Whether it has as many sessions as it may.
    pub fn is_full(&self) -> bool {
        self.settings.sessions_max.is_some_and(|most| self.sessions() >= most)
    }

    /// Whether it may have a new session of this client: `sessions_max`, and the client's share.
    pub(super) fn has_session_room(&self, client: ClientNetwork) -> bool {
        self.settings.sessions_max.is_none() || self.state.sessions.has_room(client)
    }

    /// Where a session of this client is counted. Nobody has a share of what is not limited.
    pub(super) fn session_quota(&self, client: ClientNetwork) -> Arc<ClientQuota> {
        match self.settings.sessions_max {
            Some(_) => self.state.sessions.of(client),
            None => Arc::clone(&self.state.unlimited),
        }
    }

    /// Handshakes that wait until they may begin.
    pub fn handshakes_waiting(&self) -> usize {
        self.state.handshakes_waiting.load(Relaxed)
    }

    /// Leases for sessions that are out.
    pub fn sessions(&self) -> usize {
        self.state.sessions.used() as usize
    }

    /// Leases for plain requests that are out.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Relaxed)
    }

    /// The number of those.
    pub(super) fn request_count(&self) -> &AtomicUsize {
        &self.state.requests
    }

    /// Whether a lease of any kind is out.
    pub fn is_leased(&self) -> bool {
        self.sessions() + self.requests() > 0
    }

    /// Whether it is given work; the pool may do so all the same, lest more than half be out.
    pub fn standing(&self, now: Moment) -> Standing {
        lock(&self.state.health).standing(now, &self.settings.health)
    }

    /// Since when work has been kept from it, trials that failed included; `None` when it is not.
    pub fn out_since(&self) -> Option<Moment> {
        lock(&self.state.health).out_since(&self.settings.health)
    }

    /// Since when work has been kept from it, if that is so long, and for such a reason, that its
    /// sessions are to leave.
    pub(super) fn stays_out(&self, now: Moment) -> Option<Moment> {
        lock(&self.state.health).stays_out(now, &self.settings.health)
    }

    /// What its probes have found; `None` where it is not probed.
    pub fn probe_state(&self) -> Option<ProbeState> {
        lock(&self.state.health).probe_state(&self.settings.health)
    }

    /// Keeps work from it until [`Backend::enable`], whatever the others do; what it has stays.
    pub fn disable(&self) {
        if !self.disabled.swap(true, Relaxed) {
            tracing::info!(pool = %self.pool(), backend = %self.address(), "backend disabled");
        }
    }

    /// Lets it have work again; whether it was disabled.
    pub fn enable(&self) -> bool {
        let was = self.disabled.swap(false, Relaxed);
        if was {
            tracing::info!(pool = %self.pool(), backend = %self.address(), "backend enabled");
        }
        was
    }

    /// Whether work is kept from it by [`Backend::disable`].
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Relaxed)
    }

    /// How it stands, whether it was not found to be out of reach, and what part of its weight it
    /// is given, in thousandths.
    pub(super) fn seen(&self, now: Moment, slow_start: Duration) -> (Standing, bool, u64) {
        let mut health = lock(&self.state.health);
        let standing = health.standing(now, &self.settings.health);
        (standing, health.is_reachable(), health.share(now, slow_start))
    }

    /// Records what an attempt told of its health; `client` is the number of who made it. Faults of
    /// our own (see [`DialError::fault`](super::DialError::fault)) tell nothing.
    pub fn record(&self, evidence: Evidence, client: Option<u64>, now: Moment) {
        let rules = &self.settings.health;
        let change = lock(&self.state.health).record(evidence, client, now, rules);
        change.tell(self.pool(), self.address(), evidence == Evidence::Suspect, None);
    }

    /// Records what a probe came to.
    pub fn probed(&self, outcome: ProbeOutcome, now: Moment) {
        let error = outcome.error().cloned();
        let change = lock(&self.state.health).probed(outcome, now, &self.settings.health);
        change.tell(self.pool(), self.address(), false, error);
    }

    pub(super) fn begin_trial(&self, now: Moment) {
        lock(&self.state.health).begin_trial(now, &self.settings.health);
    }

    /// When somebody who waits may try it although it is ejected; `None` when it is not.
    pub(super) fn waiting_trial(&self) -> Option<Moment> {
        lock(&self.state.health).waiting_trial()
    }

    pub(super) fn begin_waiting_trial(&self, now: Moment) {
        lock(&self.state.health).begin_waiting_trial(now);
    }

    /// Waits until one handshake more may be under way to this backend, and then for its turn by
    /// `handshake_rate_max`: in turn with other clients, first come, first served within one. A
    /// session that is opened and one that comes back to its upstream wait alike.
    ///
    /// # Errors
    /// [`Busy`] when [`HANDSHAKES_WAITING_MAX`] wait already, after `connect_timeout`, or at once
    /// when its turn would come later than that.
    pub async fn handshake_permit(&self, client: ClientNetwork) -> Result<HandshakePermit, Busy> {
        let started = self.settings.handshake_rate_max.map(|_| clock::now());
        let share = match self.state.handshakes.try_take(client) {
            Some(share) => share,
            None => self.awaited_share(client).await?,
        };
        if let (Some(rate), Some(started)) = (self.settings.handshake_rate_max, started) {
            let now = clock::now();
            let left = started.after(self.settings.connect_timeout).since(now);
            let turn = lock(&self.state.pace).turn(now, rate, left);
            let wait = turn.ok_or(Busy::Paced { rate })?;
            if !wait.is_zero() {
                let _place = WaitingSlot::take(&self.state)?;
                sleep(wait).await;
            }
        }
        Ok(HandshakePermit { _share: share })
    }

    async fn awaited_share(&self, client: ClientNetwork) -> Result<SharePermit, Busy> {
        let _place = WaitingSlot::take(&self.state)?;
        let after = self.settings.connect_timeout;
        timeout(after, self.state.handshakes.take(client)).await.map_err(|_| Busy::Waited { after })
    }

    /// Whether a plain request of this client may be sent to it: `requests_in_flight_max`, and the
    /// client's share of that.
    pub(super) fn has_room(&self, client: ClientNetwork) -> bool {
        self.state.request_shares.has_room(client)
    }

    /// A place for a plain request.
    pub(super) fn request_share(&self, client: ClientNetwork) -> Option<SharePermit> {
        self.state.request_shares.try_take(client)
    }
}

impl BackendState {
    fn new(settings: &Settings) -> BackendState {
        let sessions = Quota::new(u64::MAX);
        let state = BackendState {
            address: settings.address.to_string().into(),
            unlimited: sessions.of(ClientNetwork::Unshared),
            sessions,
            requests: AtomicUsize::new(0),
            handshakes: Arc::default(),
            request_shares: Arc::default(),
            handshakes_waiting: AtomicUsize::new(0),
            health: Mutex::new(Vitals::of_new()),
            pace: Mutex::default(),
            metrics: Arc::default(),
        };
        state.apply_limits(settings);
        state
    }

    fn apply_limits(&self, settings: &Settings) {
        self.handshakes.set_max(settings.handshakes_in_flight_max);
        self.request_shares.set_max(settings.requests_in_flight_max);
        self.sessions.set_max(settings.sessions_max.map_or(u64::MAX, |most| most as u64));
    }
}

/// One handshake under way; dropped when it has ended.
#[derive(Debug)]
pub struct HandshakePermit {
    _share: SharePermit,
}

/// A place in the queue for a permit.
struct WaitingSlot<'a>(&'a AtomicUsize);

impl WaitingSlot<'_> {
    fn take(state: &BackendState) -> Result<WaitingSlot<'_>, Busy> {
        let waiting = &state.handshakes_waiting;
        if waiting.fetch_add(1, Relaxed) >= HANDSHAKES_WAITING_MAX {
            waiting.fetch_sub(1, Relaxed);
            return Err(Busy::Queue);
        }
        Ok(WaitingSlot(waiting))
    }
}

impl Drop for WaitingSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
