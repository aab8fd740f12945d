//! So much of something that is kept for long: places for sessions, bytes of held ones.
//!
//! A company behind one address is one client here, and its sessions stay for hours. So the share
//! is wider than that of [`Shares`](super::share::Shares): a client may take more while it holds
//! less than [`SHARE_FACTOR`] times what is free. One client alone has eight ninths of all, and
//! what is left of it is for others; one that holds little is stopped only where next to nothing
//! is free. What is held stays held.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::network::{ByClient, ClientNetwork};

/// How many times what is free a client may hold and still take more.
pub const SHARE_FACTOR: u64 = 8;

/// So many units, and what the clients hold of them.
#[derive(Debug)]
pub struct Quota {
    used: AtomicU64,
    max: AtomicU64,
    /// Those that hold something, or may come to.
    clients: Mutex<ByClient<Weak<ClientQuota>>>,
}

/// A client's part of a quota. Whoever takes units gives them back.
#[derive(Debug)]
pub struct ClientQuota {
    quota: Arc<Quota>,
    client: ClientNetwork,
    held: AtomicU64,
}

impl Quota {
    /// So many units, of which none are used.
    pub fn new(max: u64) -> Arc<Quota> {
        let (used, max) = (AtomicU64::new(0), AtomicU64::new(max));
        Arc::new(Quota { used, max, clients: Mutex::default() })
    }

    /// Changes the number of units. Those that are used stay used.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Relaxed);
    }

    /// Units used now.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Units that there are.
    pub fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    fn free(&self) -> u64 {
        self.max.load(Relaxed).saturating_sub(self.used())
    }

    /// The part of this client. One without a share has a part of its own each time.
    pub fn of(self: &Arc<Quota>, client: ClientNetwork) -> Arc<ClientQuota> {
        let new =
            || Arc::new(ClientQuota { quota: Arc::clone(self), client, held: AtomicU64::new(0) });
        if client == ClientNetwork::Unshared {
            return new();
        }
        let mut clients = self.clients();
        if let Some(known) = clients.get(&client).and_then(Weak::upgrade) {
            return known;
        }
        let new = new();
        clients.insert(client, Arc::downgrade(&new));
        new
    }

    /// Whether this client may take another unit.
    pub fn has_room(&self, client: ClientNetwork) -> bool {
        let free = self.free();
        // Where so much is free, nobody can hold too much.
        if free == 0 || self.used() < free.saturating_mul(SHARE_FACTOR) {
            return free > 0;
        }
        let known = self.clients().get(&client).and_then(Weak::upgrade);
        known.is_none_or(|known| known.held.load(Relaxed) < free.saturating_mul(SHARE_FACTOR))
    }

    /// What is behind the lock is whole even after a panic: it is changed by single calls.
    fn clients(&self) -> MutexGuard<'_, ByClient<Weak<ClientQuota>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientQuota {
    /// Units that all clients use now.
    pub fn used(&self) -> u64 {
        self.quota.used()
    }

    /// Whether the client may take so many units more.
    pub fn has_room(&self, units: u64) -> bool {
        self.left(self.quota.used()) >= units
    }

    /// Takes as many of `wanted` units as the client may have; says how many.
    pub fn take(&self, wanted: u64) -> u64 {
        let left = |used: u64| self.left(used).min(wanted);
        let before = self.quota.used.try_update(Relaxed, Relaxed, |used| Some(used + left(used)));
        let taken = before.map_or(0, left);
        self.held.fetch_add(taken, Relaxed);
        taken
    }

    /// Takes so many units, whether or not there are as many.
    pub fn take_anyway(&self, units: u64) {
        self.quota.used.fetch_add(units, Relaxed);
        self.held.fetch_add(units, Relaxed);
    }

    /// Gives so many back.
    pub fn give_back(&self, units: u64) {
        self.quota.used.fetch_sub(units, Relaxed);
        self.held.fetch_sub(units, Relaxed);
    }

    /// What the client may take where so much is used of all, so that afterwards it holds at most
    /// [`SHARE_FACTOR`] times what is free.
    fn left(&self, used: u64) -> u64 {
        let free = self.quota.max.load(Relaxed).saturating_sub(used);
        if self.client == ClientNetwork::Unshared {
            return free;
        }
        let share = free.saturating_mul(SHARE_FACTOR).saturating_sub(self.held.load(Relaxed));
        share / (SHARE_FACTOR + 1)
    }
}

impl Drop for ClientQuota {
    fn drop(&mut self) {
        let mut clients = self.quota.clients();
        // Another part of this client may have its place since the last owner went.
        if clients.get(&self.client).is_some_and(|known| known.strong_count() == 0) {
            clients.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn client(last: u8) -> ClientNetwork {
        IpAddr::from([10, 0, 0, last]).into()
    }

    #[test]
    fn one_client_has_eight_ninths_and_leaves_the_rest_to_others() {
        let quota = Quota::new(900);
        let one = quota.of(client(1));
        assert_eq!((one.take(1000), one.take(1000)), (800, 0));
        assert!(!one.has_room(1) && !quota.has_room(client(1)) && quota.has_room(client(2)));
        let two = quota.of(client(2));
        assert!(two.has_room(50) && !two.has_room(90));
        assert_eq!(two.take(50), 50);
        // The proxy of many clients has what there is.
        let proxy = quota.of(ClientNetwork::Unshared);
        assert_eq!((proxy.take(1000), quota.used()), (50, 900));
        one.give_back(800);
        two.give_back(50);
        proxy.give_back(50);
        drop((one, two, proxy));
        assert_eq!((quota.used(), quota.clients().len()), (0, 0));
    }

    #[test]
    fn who_holds_little_is_stopped_only_where_next_to_nothing_is_free() {
        let quota = Quota::new(900);
        let crowd: Vec<_> = (2..90).map(|last| quota.of(client(last))).collect();
        crowd.iter().for_each(|one| one.take_anyway(10));
        let office = quota.of(client(1));
        office.take_anyway(9);
        assert_eq!(quota.free(), 11);
        assert!(quota.has_room(client(1)) && quota.has_room(client(2)));
        office.take_anyway(10);
        assert!(!quota.has_room(client(1)) && !quota.has_room(client(2)));
        assert!(quota.has_room(client(99)));
        office.give_back(19);
        crowd.iter().for_each(|one| one.give_back(10));
    }

    #[test]
    fn a_few_units_are_whole_before_they_are_shared() {
        for max in 1..=SHARE_FACTOR {
            let quota = Quota::new(max);
            let only = quota.of(client(1));
            let taken =
                std::iter::from_fn(|| quota.has_room(client(1)).then(|| only.take_anyway(1)));
            assert_eq!(taken.count() as u64, max);
            only.give_back(max);
        }
    }

    #[test]
    fn what_is_taken_beyond_the_limit_stays_and_a_client_is_one_by_whomever_it_is_asked_for() {
        let quota = Quota::new(100);
        let (one, again) = (quota.of(client(1)), quota.of(client(1)));
        one.take_anyway(500);
        assert_eq!((again.take(1), quota.used()), (0, 500));
        quota.set_max(10_000);
        drop(one);
        assert_eq!(again.take(20_000), (9_500 * 8 - 500) / 9);
        assert!(Arc::ptr_eq(&again, &quota.of(client(1))));
    }
}
