//! Connections that wait for their client. They cost a place and nothing is owed to them, so they
//! are the first to go when places run out: the one that waits longest of the client that has most.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::base::label::Label;
use crate::base::network::{ByClient, ClientNetwork};

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WaitStage {
    /// For the first bytes that its client ever sends.
    Silent,
    /// For a request.
    Idle,
}

/// Why a connection is closed that waited for its client: others need its place. It is counted
/// where that is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evicted;

impl Label for Evicted {
    fn label(&self) -> &'static str {
        "evicted"
    }
}

/// All connections of the process that wait. Each worker has a table of its own, so that a request
/// takes a lock that nearly always is free.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    tables: Box<[Mutex<Table>]>,
    silent: AtomicUsize,
    silent_max: AtomicUsize,
    /// Numbers the waits: the lower, the longer.
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    silent: WaitQueues,
    idle: WaitQueues,
}

/// Waiting connections by client, and the clients by how many they have.
#[derive(Debug, Default)]
struct WaitQueues {
    by_client: ByClient<BTreeMap<u64, Arc<Eviction>>>,
    sizes: BTreeSet<(usize, ClientNetwork)>,
}

/// Tells a connection to go.
#[derive(Debug, Default)]
struct Eviction {
    is_asked: AtomicBool,
    asked: Notify,
}

impl WaitingRoom {
    pub(super) fn new(workers: usize) -> Arc<WaitingRoom> {
        let tables = (0..workers).map(|_| Mutex::default()).collect();
        Arc::new(WaitingRoom {
            tables,
            silent: AtomicUsize::new(0),
            silent_max: AtomicUsize::new(usize::MAX),
            next: AtomicU64::new(0),
        })
    }

    /// Changes how many may be silent.
    pub(super) fn set_silent_max(&self, max: usize) {
        self.silent_max.store(max, Relaxed);
    }

    /// Closes a silent connection when there are too many; whether it did.
    pub(super) fn thin_out(&self) -> bool {
        let max = self.silent_max.load(Relaxed);
        let less = |silent: usize| (silent > max).then(|| silent - 1);
        // Counted out before it is found: of two workers that see one too many, one closes it.
        if self.silent.fetch_update(Relaxed, Relaxed, less).is_err() {
            return false;
        }
        let largest = self.largest_of(WaitStage::Silent);
        let oldest = largest.and_then(|(client, _)| self.take_oldest(WaitStage::Silent, client));
        match &oldest {
            Some(eviction) => eviction.ask(),
            None => drop(self.silent.fetch_add(1, Relaxed)),
        }
        oldest.is_some()
    }

    /// The client that has most connections waiting, and how many.
    pub(super) fn largest(&self) -> Option<(ClientNetwork, usize)> {
        let silent = self.largest_of(WaitStage::Silent);
        let idle = self.largest_of(WaitStage::Idle);
        silent.into_iter().chain(idle).max_by_key(|(_, count)| *count)
    }

    fn largest_of(&self, stage: WaitStage) -> Option<(ClientNetwork, usize)> {
        let candidates = self.tables.iter().filter_map(|table| {
            self::lock(table).of(stage).sizes.last().map(|(_, client)| *client)
        });
        let candidates: BTreeSet<_> = candidates.collect();
        let counted = candidates.into_iter().map(|client| {
            let on = |table| self::lock(table).of(stage).count(client);
            (client, self.tables.iter().map(on).sum())
        });
        counted.max_by_key(|(_, count)| *count)
    }

    /// Closes the connection of this client that waits longest; whether there was one. Those that
    /// never said anything go before those that did.
    pub(super) fn evict(&self, client: ClientNetwork) -> bool {
        self.evict_of(WaitStage::Silent, client) || self.evict_of(WaitStage::Idle, client)
    }

    fn evict_of(&self, stage: WaitStage, client: ClientNetwork) -> bool {
        let Some(eviction) = self.take_oldest(stage, client) else { return false };
        self.count_out(stage);
        eviction.ask();
        true
    }

    /// Takes the client's connection that waits longest out of its table; its caller counts it out.
    fn take_oldest(&self, stage: WaitStage, client: ClientNetwork) -> Option<Arc<Eviction>> {
        let oldest = |table: &Mutex<Table>| self::lock(table).of(stage).oldest(client);
        // Another worker may take the same one in between, or its client speak: then the next.
        loop {
            let tables = self.tables.iter().enumerate();
            let found = tables.filter_map(|(at, table)| oldest(table).map(|number| (number, at)));
            let (number, at) = found.min()?;
            let taken = self::lock(&self.tables[at]).of(stage).remove(client, number);
            if taken.is_some() {
                return taken;
            }
        }
    }

    /// A connection of this worker waits no more.
    fn remove(&self, worker: usize, stage: WaitStage, client: ClientNetwork, number: u64) {
        if self::lock(&self.tables[worker]).of(stage).remove(client, number).is_some() {
            self.count_out(stage);
        }
    }

    fn count_out(&self, stage: WaitStage) {
        if stage == WaitStage::Silent {
            self.silent.fetch_sub(1, Relaxed);
        }
    }
}

impl Eviction {
    fn ask(&self) {
        self.is_asked.store(true, Relaxed);
        self.asked.notify_one();
    }
}

/// Every change leaves a table whole.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn of(&mut self, stage: WaitStage) -> &mut WaitQueues {
        match stage {
            WaitStage::Silent => &mut self.silent,
            WaitStage::Idle => &mut self.idle,
        }
    }
}

impl WaitQueues {
    fn count(&self, client: ClientNetwork) -> usize {
        self.by_client.get(&client).map_or(0, BTreeMap::len)
    }

    fn oldest(&self, client: ClientNetwork) -> Option<u64> {
        self.by_client.get(&client)?.first_key_value().map(|(number, _)| *number)
    }

    fn insert(&mut self, client: ClientNetwork, number: u64, eviction: Arc<Eviction>) {
        let queue = self.by_client.entry(client).or_default();
        self.sizes.remove(&(queue.len(), client));
        queue.insert(number, eviction);
        self.sizes.insert((queue.len(), client));
    }

    fn remove(&mut self, client: ClientNetwork, number: u64) -> Option<Arc<Eviction>> {
        let Entry::Occupied(mut queue) = self.by_client.entry(client) else { return None };
        let before = queue.get().len();
        let removed = queue.get_mut().remove(&number)?;
        self.sizes.remove(&(before, client));
        match before - 1 {
            0 => drop(queue.remove()),
            left => drop(self.sizes.insert((left, client))),
        }
        Some(removed)
    }
}

/// One connection's place in the room; its drop gives that up.
#[derive(Debug)]
pub(super) struct Waiting {
    room: Arc<WaitingRoom>,
    worker: usize,
    client: Cell<ClientNetwork>,
    place: Cell<Option<(WaitStage, u64)>>,
    eviction: Arc<Eviction>,
}

impl Waiting {
    /// A connection of this worker that has said nothing yet.
    pub(super) fn new(room: &Arc<WaitingRoom>, worker: usize, client: ClientNetwork) -> Waiting {
        let waiting = Waiting {
            room: Arc::clone(room),
            worker,
            client: Cell::new(client),
            place: Cell::new(None),
            eviction: Arc::default(),
        };
        waiting.wait(WaitStage::Silent);
        waiting
    }

    /// The client is another than who connected, as a PROXY header says. It has spoken.
    pub(super) fn is_of(&self, client: ClientNetwork) {
        self.busy();
        self.client.set(client);
        self.wait(WaitStage::Silent);
    }

    /// Something is owed to the client: the connection cannot be closed to make room.
    pub(super) fn busy(&self) {
        if let Some((stage, number)) = self.place.take() {
            self.room.remove(self.worker, stage, self.client.get(), number);
            // Its client was faster than an eviction of the same moment.
            self.eviction.is_asked.store(false, Relaxed);
        }
    }

    /// The client's next request is waited for.
    pub(super) fn idle(&self) {
        if self.place.get().is_none() {
            self.wait(WaitStage::Idle);
        }
    }

    fn wait(&self, stage: WaitStage) {
        let client = self.client.get();
        if client == ClientNetwork::Unshared {
            return;
        }
        let number = self.room.next.fetch_add(1, Relaxed);
        self.place.set(Some((stage, number)));
        if stage == WaitStage::Silent {
            self.room.silent.fetch_add(1, Relaxed);
        }
        let mut table = self::lock(&self.room.tables[self.worker]);
        table.of(stage).insert(client, number, Arc::clone(&self.eviction));
    }

    /// Whether the connection was told to go, and was still waiting.
    pub(super) fn is_evicted(&self) -> bool {
        self.eviction.is_asked.load(Relaxed)
    }

    /// Waits until the connection must go to make room.
    pub(super) async fn evicted(&self) {
        while !self.eviction.is_asked.load(Relaxed) {
            self.eviction.asked.notified().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.busy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn client(last: u8) -> ClientNetwork {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn is_evicted(waiting: &Waiting) -> bool {
        waiting.eviction.is_asked.load(Relaxed)
    }

    #[test]
    fn the_one_that_waits_longest_of_the_client_that_has_most_goes_first() {
        let room = WaitingRoom::new(2);
        let one = Waiting::new(&room, 0, client(1));
        let two: Vec<_> = (0..3).map(|at| Waiting::new(&room, at % 2, client(2))).collect();
        assert_eq!(room.largest(), Some((client(2), 3)));
        assert!(room.evict(client(2)));
        assert!(is_evicted(&two[0]) && !is_evicted(&two[1]) && !is_evicted(&one));
        assert_eq!(room.largest(), Some((client(2), 2)));
        drop(two);
        assert_eq!(room.largest(), Some((client(1), 1)));
        drop(one);
        assert_eq!((room.largest(), room.silent.load(Relaxed)), (None, 0));
    }

    #[test]
    fn a_connection_at_work_stays_and_one_that_was_silent_goes_before_one_that_is_idle() {
        let room = WaitingRoom::new(1);
        let idle = Waiting::new(&room, 0, client(1));
        idle.busy();
        assert!(!room.evict(client(1)));
        idle.idle();
        let silent = Waiting::new(&room, 0, client(1));
        assert!(room.evict(client(1)));
        assert!(is_evicted(&silent) && !is_evicted(&idle));
        assert!(room.evict(client(1)));
        assert!(is_evicted(&idle) && !room.evict(client(1)));
        idle.busy();
        assert!(!is_evicted(&idle), "its client was faster");
    }

    #[test]
    fn of_too_many_that_are_silent_the_oldest_of_the_greediest_goes() {
        let room = WaitingRoom::new(2);
        room.set_silent_max(3);
        let one = Waiting::new(&room, 0, client(1));
        let two = [Waiting::new(&room, 0, client(2)), Waiting::new(&room, 1, client(2))];
        assert!(!room.thin_out());
        let more = Waiting::new(&room, 1, client(3));
        assert!(room.thin_out() && !room.thin_out());
        assert!(is_evicted(&two[0]) && !is_evicted(&two[1]));
        assert!(!is_evicted(&one) && !is_evicted(&more));
    }

    #[test]
    fn a_trusted_proxy_has_no_place() {
        let room = WaitingRoom::new(1);
        let waiting = Waiting::new(&room, 0, ClientNetwork::Unshared);
        waiting.idle();
        assert_eq!(room.largest(), None);
    }
}
