//! Permits: which connections are admitted, and on which worker. Dropping a permit returns all it
//! took.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::waiting::WaitingRoom;
use crate::base::flow::FlowBudget;
use crate::base::label::Label;
use crate::base::network::{ByClient, ClientNetwork};
use crate::config::plan::Limits;
use crate::observe::metrics::ListenerMetrics;

/// A worker hands a new connection to another that has so many connections fewer, and a share of
/// its own besides: a hop costs a wake-up across threads, so it must be worth it.
pub const HOP_MARGIN: usize = 8;

/// That share, as one in so many.
const HOP_SHARE: usize = 32;

/// Open files that connections leave to the rest: to the admin listener, the operator's socket, to
/// files that are read, and to dials. Beside these it is one in [`FILES_RESERVED_SHARE`].
pub const FILES_RESERVED: usize = 64;

/// See [`FILES_RESERVED`].
pub const FILES_RESERVED_SHARE: usize = 16;

/// Why a connection is closed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// `limits.connections_max` is reached.
    Connections,
    /// `limits.connections_per_address_max` is reached.
    PerAddress,
    /// The listener's `handshakes_in_flight_max` is reached, or the client's share of it.
    Handshakes,
    /// A peer that is not trusted to send a PROXY header.
    ProxyUntrusted,
    /// No PROXY header, or one that does not parse.
    ProxyInvalid,
    /// The PROXY header did not arrive in time.
    ProxyTimeout,
    /// The worker it was handed to has too much to do.
    WorkerBusy,
}

impl Label for Rejection {
    fn label(&self) -> &'static str {
        match self {
            Rejection::Connections => "connections_max",
            Rejection::PerAddress => "connections_per_address_max",
            Rejection::Handshakes => "handshakes_in_flight_max",
            Rejection::ProxyUntrusted => "proxy_untrusted",
            Rejection::ProxyInvalid => "proxy_invalid",
            Rejection::ProxyTimeout => "proxy_timeout",
            Rejection::WorkerBusy => "worker_busy",
        }
    }
}

/// What is open, and how much may be.
#[derive(Debug)]
pub struct Permits {
    open: AtomicUsize,
    max: AtomicUsize,
    /// As many as the open files allow.
    files_max: usize,
    /// 0 is no limit.
    per_client_max: AtomicUsize,
    clients: Mutex<ByClient<usize>>,
    workers: Box<[AtomicUsize]>,
    flow: Arc<FlowBudget>,
    pub(super) waiting: Arc<WaitingRoom>,
}

impl Permits {
    /// Permits within `limits`, for so many workers and open files.
    pub fn new(limits: &Limits, workers: usize, files: usize) -> Arc<Permits> {
        let permits = Permits {
            open: AtomicUsize::new(0),
            max: AtomicUsize::new(0),
            files_max: connections_of(files),
            per_client_max: AtomicUsize::new(0),
            clients: Mutex::default(),
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            flow: FlowBudget::new(0),
            waiting: WaitingRoom::new(workers),
        };
        permits.set_limits(limits);
        Arc::new(permits)
    }

    /// Takes new limits; connections that are open stay.
    pub fn set_limits(&self, limits: &Limits) {
        self.max.store(limits.connections_max.min(self.files_max), Relaxed);
        self.per_client_max.store(limits.connections_per_address_max.unwrap_or(0), Relaxed);
        self.waiting.set_silent_max(limits.silent_max);
        self.flow.set_max(usize::try_from(limits.http2_buffer_bytes_max).unwrap_or(usize::MAX));
    }

    /// Connections open.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections that may be open: `connections_max`, or what the open files allow when that is
    /// less.
    pub fn max(&self) -> usize {
        self.max.load(Relaxed)
    }

    /// Bytes on their way to clients over HTTP/2.
    pub fn http2_bytes(&self) -> usize {
        self.flow.used()
    }

    /// Bytes of answers that HTTP/2's connections may have on their way.
    pub(super) fn flow(&self) -> Arc<FlowBudget> {
        Arc::clone(&self.flow)
    }

    /// Connections open, by worker.
    pub fn loads(&self) -> Vec<usize> {
        self.workers.iter().map(|load| load.load(Relaxed)).collect()
    }

    /// A permit for a connection accepted on worker `here`, and the worker it belongs to. Where all
    /// places are taken, a connection that waits for its client makes room.
    ///
    /// # Errors
    /// [`Rejection::PerAddress`] when the client has as many as it may; [`Rejection::Connections`]
    /// when as many are open as may be, and none waits that would have to go before this one.
    pub fn enter(
        self: &Arc<Permits>,
        here: usize,
        client: ClientNetwork,
        cells: &Arc<ListenerMetrics>,
    ) -> Result<Permit, Rejection> {
        self.count(client)?;
        let max = self.max.load(Relaxed);
        let more = |open: usize| (open < max).then_some(open + 1);
        // The closure is asked again when another worker was faster: the limit is never passed.
        if self.open.try_update(Relaxed, Relaxed, more).is_err() {
            if !self.make_room(client, cells) {
                self.discount(client);
                return Err(Rejection::Connections);
            }
            // The one that goes gives its place back in a moment.
            self.open.fetch_add(1, Relaxed);
        }
        let worker = self.place(here);
        self.workers[worker].fetch_add(1, Relaxed);
        cells.open.inc();
        let (permits, cells) = (Arc::clone(self), Arc::clone(cells));
        Ok(Permit { permits, cells, client, worker: worker as u8 })
    }

    /// The connection's client is another than who connected, as a PROXY header says.
    ///
    /// # Errors
    /// [`Rejection::PerAddress`] when that client has as many as it may.
    pub fn is_of(&self, permit: &mut Permit, client: ClientNetwork) -> Result<(), Rejection> {
        self.count(client)?;
        self.discount(std::mem::replace(&mut permit.client, client));
        Ok(())
    }

    /// Counts a request of a client behind a trusted proxy as if it had come by a connection of its
    /// own, until what is returned is dropped; `None` where connections of a client have no limit.
    ///
    /// # Errors
    /// [`Rejection::PerAddress`] when the client has as many as it may.
    pub fn enter_behind_proxy(
        self: &Arc<Permits>,
        client: ClientNetwork,
    ) -> Result<Option<ProxiedPermit>, Rejection> {
        if self.per_client_max.load(Relaxed) == 0 {
            return Ok(None);
        }
        self.count(client)?;
        Ok(Some(ProxiedPermit { permits: Arc::clone(self), client }))
    }

    /// Closes a connection that waits for its client; whether there was one to close. It is one of
    /// the client that has most of them; but where the newcomer's client has more connections than
    /// that one, it must give up one of its own.
    fn make_room(&self, newcomer: ClientNetwork, cells: &ListenerMetrics) -> bool {
        let Some((most, _)) = self.waiting.largest() else { return false };
        let clients = self.clients();
        let open = |client| clients.get(&client).copied().unwrap_or(0);
        let victim = if open(newcomer) > open(most) { newcomer } else { most };
        drop(clients);
        let is_done = self.waiting.evict(victim);
        if is_done {
            cells.evicted.inc();
        }
        is_done
    }

    fn count(&self, client: ClientNetwork) -> Result<(), Rejection> {
        if client == ClientNetwork::Unshared {
            return Ok(());
        }
        let max = self.per_client_max.load(Relaxed);
        let mut clients = self.clients();
        let count = clients.entry(client).or_default();
        if max > 0 && *count >= max {
            return Err(Rejection::PerAddress);
        }
        *count += 1;
        Ok(())
    }

    fn discount(&self, client: ClientNetwork) {
        let mut clients = self.clients();
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }

    /// Numbers only: whole even after a panic.
    fn clients(&self) -> MutexGuard<'_, ByClient<usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker for a connection accepted on `here`: itself, unless another has clearly fewer.
    fn place(&self, here: usize) -> usize {
        let mine = self.workers[here].load(Relaxed);
        let loads = self.workers.iter().map(|load| load.load(Relaxed));
        match loads.enumerate().min_by_key(|(_, load)| *load) {
            Some((emptiest, least)) if mine > least + HOP_MARGIN + mine / HOP_SHARE => emptiest,
            _ => here,
        }
    }
}

/// Client connections that so many open files allow: each may become a session, which has a second
/// one to its backend.
fn connections_of(files: usize) -> usize {
    let reserve = FILES_RESERVED + files / FILES_RESERVED_SHARE;
    (files.saturating_sub(reserve) / 2).max(1)
}

/// A connection's place; kept from accept until the connection, or the session it became, ends.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    cells: Arc<ListenerMetrics>,
    client: ClientNetwork,
    /// Narrow, as each session has one; a session's id has no room for more workers either.
    worker: u8,
}

impl Permit {
    /// The worker the connection belongs to.
    pub fn worker(&self) -> usize {
        usize::from(self.worker)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cells.open.dec();
        self.permits.workers[self.worker()].fetch_sub(1, Relaxed);
        self.permits.discount(self.client);
        self.permits.open.fetch_sub(1, Relaxed);
    }
}

/// The place of a request, or the session it became, whose client is behind a trusted proxy.
#[derive(Debug)]
pub struct ProxiedPermit {
    permits: Arc<Permits>,
    client: ClientNetwork,
}

impl Drop for ProxiedPermit {
    fn drop(&mut self) {
        self.permits.discount(self.client);
    }
}

#[cfg(test)]
mod tests;
