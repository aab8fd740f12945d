//! Permits: which connections are admitted, and on which worker. Dropping a permit returns all it
//! took.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::label::Label;
use crate::config::plan::Limits;
use crate::observe::metrics::ListenerMetrics;

/// A worker hands a new connection to another that has so many connections fewer, and a share of
/// its own besides: a hop costs a wake-up across threads, so it must be worth it.
pub const HOP_MARGIN: usize = 8;

/// That share, as one in so many.
const HOP_SHARE: usize = 32;

/// Why a connection is closed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// `limits.connections_max` is reached.
    Connections,
    /// `limits.connections_per_address_max` is reached.
    PerAddress,
    /// The listener's `handshakes_in_flight_max` is reached.
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
    /// 0 is no limit.
    per_address_max: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    workers: Box<[AtomicUsize]>,
}

impl Permits {
    /// Permits within `limits`, for so many workers.
    pub fn new(limits: &Limits, workers: usize) -> Arc<Permits> {
        let permits = Permits {
            open: AtomicUsize::new(0),
            max: AtomicUsize::new(0),
            per_address_max: AtomicUsize::new(0),
            addresses: Mutex::default(),
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
        };
        permits.set_limits(limits);
        Arc::new(permits)
    }

    /// Takes new limits; connections that are open stay. Those that came while addresses had no
    /// limit are not counted by address.
    pub fn set_limits(&self, limits: &Limits) {
        self.max.store(limits.connections_max, Relaxed);
        self.per_address_max.store(limits.connections_per_address_max.unwrap_or(0), Relaxed);
    }

    /// Connections open.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections open, by worker.
    pub fn loads(&self) -> Vec<usize> {
        self.workers.iter().map(|load| load.load(Relaxed)).collect()
    }

    /// A permit for a connection accepted on worker `here`, and the worker it belongs to.
    ///
    /// # Errors
    /// [`Rejection::Connections`] when as many are open as may be.
    pub fn enter(
        self: &Arc<Permits>,
        here: usize,
        cells: &Arc<ListenerMetrics>,
    ) -> Result<Permit, Rejection> {
        let max = self.max.load(Relaxed);
        let more = |open: usize| (open < max).then_some(open + 1);
        // The closure is asked again when another worker was faster: the limit is never passed.
        self.open.try_update(Relaxed, Relaxed, more).map_err(|_| Rejection::Connections)?;
        let worker = self.place(here);
        self.workers[worker].fetch_add(1, Relaxed);
        cells.open.inc();
        Ok(Permit { permits: Arc::clone(self), cells: Arc::clone(cells), worker, address: None })
    }

    /// Counts a connection by its client's address, once that is known.
    ///
    /// # Errors
    /// [`Rejection::PerAddress`] when it has as many as it may.
    pub fn count_address(&self, permit: &mut Permit, address: IpAddr) -> Result<(), Rejection> {
        let max = self.per_address_max.load(Relaxed);
        if max == 0 {
            return Ok(());
        }
        let address = address.to_canonical();
        let mut counts = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= max {
            return Err(Rejection::PerAddress);
        }
        *count += 1;
        permit.address = Some(Box::new(address));
        Ok(())
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

/// A connection's place; kept from accept until the connection, or the session it became, ends.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    cells: Arc<ListenerMetrics>,
    worker: usize,
    /// Boxed: most listeners do not count by address, and every session keeps its permit.
    address: Option<Box<IpAddr>>,
}

impl Permit {
    /// The worker the connection belongs to.
    pub fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cells.open.dec();
        self.permits.workers[self.worker].fetch_sub(1, Relaxed);
        if let Some(address) = self.address.take() {
            let counts = self.permits.addresses.lock();
            let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counts.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&address);
                }
            }
        }
        self.permits.open.fetch_sub(1, Relaxed);
    }
}

/// A count with a limit, whose places are given back by drop.
#[derive(Debug, Default)]
pub struct HandshakeSlots(AtomicUsize);

impl HandshakeSlots {
    /// A place, when fewer than `max` are taken.
    pub fn enter(self: &Arc<HandshakeSlots>, max: usize) -> Option<HandshakeSlot> {
        let more = |taken: usize| (taken < max).then_some(taken + 1);
        self.0.try_update(Relaxed, Relaxed, more).ok()?;
        Some(HandshakeSlot(Arc::clone(self)))
    }
}

/// A place among the handshakes in flight.
#[derive(Debug)]
pub struct HandshakeSlot(Arc<HandshakeSlots>);

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(max: usize, per_address: Option<usize>, workers: usize) -> Arc<Permits> {
        let limits = Limits {
            connections_max: max,
            connections_per_address_max: per_address,
            hold_bytes_max: 0,
        };
        Permits::new(&limits, workers)
    }

    #[test]
    fn connections_are_refused_at_the_limit_and_let_in_after_a_drop() {
        let (permits, cells) = (permits(2, None, 1), Arc::default());
        let first = permits.enter(0, &cells).unwrap();
        let _second = permits.enter(0, &cells).unwrap();
        assert_eq!(permits.enter(0, &cells).unwrap_err(), Rejection::Connections);
        assert_eq!((permits.open(), cells.open.get()), (2, 2));
        drop(first);
        permits.enter(0, &cells).unwrap();
        assert_eq!((permits.open(), cells.open.get()), (1, 1));
    }

    #[test]
    fn an_address_is_limited_on_its_own_and_forgotten_with_its_last_connection() {
        let (permits, cells) = (permits(10, Some(1), 1), Arc::default());
        let enter = |address: &str| {
            let mut permit = permits.enter(0, &cells).unwrap();
            permits.count_address(&mut permit, address.parse().unwrap()).map(|()| permit)
        };
        let one = enter("10.0.0.1").unwrap();
        assert_eq!(enter("::ffff:10.0.0.1").unwrap_err(), Rejection::PerAddress);
        let other = enter("10.0.0.2").unwrap();
        drop(one);
        drop(enter("10.0.0.1").unwrap());
        drop(other);
        assert!(permits.addresses.lock().unwrap().is_empty());
        assert_eq!(permits.open(), 0);
    }

    #[test]
    fn a_connection_hops_only_to_a_worker_with_clearly_fewer() {
        let (permits, cells) = (permits(1000, None, 2), Arc::default());
        let mut kept = Vec::new();
        for _ in 0..100 {
            kept.push(permits.enter(0, &cells).unwrap());
        }
        let on = |worker| kept.iter().filter(|permit| permit.worker() == worker).count();
        let (mine, other) = (on(0), on(1));
        assert!(
            mine > other && mine - other <= HOP_MARGIN + mine / HOP_SHARE + 1,
            "{mine} {other}"
        );
        assert_eq!(permits.enter(1, &cells).unwrap().worker(), 1);
    }

    #[test]
    fn two_workers_stay_level_while_connections_come_and_leave_at_random() {
        const LIVE: usize = 600;
        for seed in 0..64 {
            let (permits, cells) = (permits(10_000, None, 2), Arc::default());
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut live = Vec::new();
            for _ in 0..2_000 {
                // The kernel's hash does not deal evenly.
                let here = usize::from(rng.u8(..4) == 0);
                live.push(permits.enter(here, &cells).unwrap());
                if live.len() > LIVE {
                    live.swap_remove(rng.usize(..live.len()));
                }
            }
            let on = |worker| live.iter().filter(|permit| permit.worker() == worker).count();
            let (one, other) = (on(0), on(1));
            let tenth = LIVE / 2 / 10;
            assert!(one.abs_diff(other) <= tenth, "seed {seed}: {one} beside {other}");
        }
    }

    #[test]
    fn places_in_flight_come_back() {
        let flights = Arc::new(HandshakeSlots::default());
        let one = flights.enter(1).unwrap();
        assert!(flights.enter(1).is_none());
        drop(one);
        assert!(flights.enter(1).is_some());
    }
}
