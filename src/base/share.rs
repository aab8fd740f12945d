//! A scarce thing in units, shared out so that no client can take what the others need.
//!
//! The share is dynamic: a client may take another unit while it holds fewer than are free. One
//! client alone has half of all, two have a third each, and some units are always left for the
//! next one. No number has to be guessed for it.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::network::{ByClient, ClientNetwork};

/// The units, and who holds or waits for them.
#[derive(Debug, Default)]
pub struct Shares(Mutex<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    max: usize,
    taken: usize,
    waiting: usize,
    clients: ByClient<ClientAccount>,
    /// Those with somebody waiting, the next in turn first.
    turns: VecDeque<ClientNetwork>,
}

#[derive(Debug, Default)]
struct ClientAccount {
    held: usize,
    queue: VecDeque<oneshot::Sender<()>>,
}

impl Shares {
    /// So many units.
    pub fn new(max: usize) -> Arc<Shares> {
        let shares = Shares::default();
        shares.set_max(max);
        Arc::new(shares)
    }

    /// Changes the number of units. Those that are held stay held.
    pub fn set_max(&self, max: usize) {
        let mut ledger = self.lock();
        ledger.max = max;
        ledger.grant();
    }

    /// Clients' requests for a unit that wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Whether [`Shares::try_take`] would give a unit at this moment.
    pub fn has_room(&self, client: ClientNetwork) -> bool {
        self.lock().may_take(client)
    }

    /// A unit, when one is free and the client holds no more than its share.
    pub fn try_take(self: &Arc<Shares>, client: ClientNetwork) -> Option<SharePermit> {
        let mut ledger = self.lock();
        // Units that wait to be granted belong to those who came before.
        let is_first = ledger.clients.get(&client).is_none_or(|account| account.queue.is_empty());
        (is_first && ledger.take(client)).then(|| SharePermit { shares: Arc::clone(self), client })
    }

    /// Waits for a unit: in turn with other clients, and first come, first served within one.
    pub async fn take(self: &Arc<Shares>, client: ClientNetwork) -> SharePermit {
        let mut place = match self.place(client) {
            Ok(share) => return share,
            Err(place) => place,
        };
        // The sender is kept until it is used; should it be lost, the unit was granted with it.
        let _ = (&mut place.granted).await;
        place.is_done = true;
        SharePermit { shares: Arc::clone(self), client }
    }

    /// A unit at once, or a place in the queue.
    fn place(self: &Arc<Shares>, client: ClientNetwork) -> Result<SharePermit, QueuedTake> {
        if let Some(share) = self.try_take(client) {
            return Ok(share);
        }
        let (grant, granted) = oneshot::channel();
        let mut ledger = self.lock();
        ledger.waiting += 1;
        let account = ledger.clients.entry(client).or_default();
        account.queue.push_back(grant);
        if account.queue.len() == 1 {
            ledger.turns.push_back(client);
        }
        // A unit may have come free in between.
        ledger.grant();
        drop(ledger);
        Err(QueuedTake { shares: Arc::clone(self), client, granted, is_done: false })
    }

    /// What is behind the lock is whole even after a panic: every change is of numbers.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn may_take(&self, client: ClientNetwork) -> bool {
        let free = self.max.saturating_sub(self.taken);
        let held = self.clients.get(&client).map_or(0, |account| account.held);
        free > 0 && (held < free || client == ClientNetwork::Unshared)
    }

    fn take(&mut self, client: ClientNetwork) -> bool {
        let may = self.may_take(client);
        if may {
            self.taken += 1;
            self.clients.entry(client).or_default().held += 1;
        }
        may
    }

    fn give_back(&mut self, client: ClientNetwork) {
        self.taken -= 1;
        if let Some(account) = self.clients.get_mut(&client) {
            account.held -= 1;
        }
        self.grant();
        self.forget(client);
    }

    /// Gives free units to those who wait, one client after the other.
    fn grant(&mut self) {
        let mut passed_over = 0;
        while passed_over < self.turns.len() {
            // cannot fail: it has more entries than were passed over.
            let client = self.turns.pop_front().expect("somebody waits");
            let next = self.next_in_queue(client);
            let Some(next) = next else { continue };
            if self.take(client) {
                self.waiting -= 1;
                passed_over = 0;
                // cannot be lost: `next_in_queue` found the receiver alive, and a receiver that
                // goes gives the unit back.
                if next.send(()).is_err() {
                    self.taken -= 1;
                    if let Some(account) = self.clients.get_mut(&client) {
                        account.held -= 1;
                    }
                }
            } else {
                passed_over += 1;
                if let Some(account) = self.clients.get_mut(&client) {
                    account.queue.push_front(next);
                }
            }
            let queue = self.clients.get(&client).map_or(0, |account| account.queue.len());
            if queue > 0 {
                self.turns.push_back(client);
            }
        }
    }

    /// The first of a client's queue that still waits.
    fn next_in_queue(&mut self, client: ClientNetwork) -> Option<oneshot::Sender<()>> {
        let account = self.clients.get_mut(&client)?;
        while let Some(next) = account.queue.pop_front() {
            if !next.is_closed() {
                return Some(next);
            }
            self.waiting -= 1;
        }
        None
    }

    fn forget(&mut self, client: ClientNetwork) {
        let Entry::Occupied(account) = self.clients.entry(client) else { return };
        if account.get().held == 0 && account.get().queue.is_empty() {
            account.remove();
        }
    }
}

/// A unit; its drop gives it back.
#[derive(Debug)]
pub struct SharePermit {
    shares: Arc<Shares>,
    client: ClientNetwork,
}

impl Drop for SharePermit {
    fn drop(&mut self) {
        self.shares.lock().give_back(self.client);
    }
}

/// A place in a queue. Dropped while it waits, it leaves the queue, or gives back the unit that was
/// granted in the same moment.
struct QueuedTake {
    shares: Arc<Shares>,
    client: ClientNetwork,
    granted: oneshot::Receiver<()>,
    is_done: bool,
}

impl Drop for QueuedTake {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut ledger = self.shares.lock();
        self.granted.close();
        if self.granted.try_recv().is_ok() {
            ledger.give_back(self.client);
        } else {
            // Takes what has left out of the queues, this place among it.
            ledger.grant();
            ledger.leave(self.client);
        }
    }
}

impl Ledger {
    /// Removes a client's places whose waiters have gone.
    fn leave(&mut self, client: ClientNetwork) {
        if let Some(account) = self.clients.get_mut(&client) {
            let before = account.queue.len();
            account.queue.retain(|grant| !grant.is_closed());
            self.waiting -= before - account.queue.len();
            if account.queue.is_empty() {
                self.turns.retain(|other| *other != client);
            }
        }
        self.forget(client);
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
    fn one_client_has_half_and_leaves_the_rest_to_others() {
        let shares = Shares::new(16);
        let take_all = |of| std::iter::from_fn(|| shares.try_take(of)).collect::<Vec<_>>();
        let one = take_all(client(1));
        let two = take_all(client(2));
        let three = take_all(client(3));
        assert_eq!([one.len(), two.len(), three.len()], [8, 4, 2]);
        drop(two);
        assert_eq!(take_all(client(1)).len(), 0, "it holds more than are free");
        drop((one, three));
        assert!(shares.lock().clients.is_empty());
        assert_eq!(shares.lock().taken, 0);
    }

    #[test]
    fn a_trusted_proxy_may_take_all() {
        let shares = Shares::new(4);
        let all = std::iter::from_fn(|| shares.try_take(ClientNetwork::Unshared));
        assert_eq!(all.collect::<Vec<_>>().len(), 4);
    }

    #[test]
    fn a_single_unit_goes_to_whoever_comes_first() {
        let shares = Shares::new(1);
        let one = shares.try_take(client(1));
        assert!(one.is_some() && shares.try_take(client(2)).is_none());
        drop(one);
        assert!(shares.try_take(client(2)).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_served_in_turn_and_the_greedy_last() {
        let shares = Shares::new(2);
        let mut held = vec![shares.take(client(1)).await, shares.take(client(2)).await];
        let mut greedy: Vec<_> = (0..10).map(|_| shares.place(client(1)).err().unwrap()).collect();
        let mut other = shares.place(client(3)).err().unwrap();
        assert_eq!(shares.waiting(), 11);
        drop(held.pop());
        assert!(other.granted.try_recv().is_ok(), "the first client holds one already");
        other.is_done = true;
        assert!(greedy[0].granted.try_recv().is_err());
        drop(held);
        assert!(greedy[0].granted.try_recv().is_ok());
        greedy[0].is_done = true;
        assert_eq!(shares.waiting(), 9);
        drop(greedy);
        assert_eq!(shares.waiting(), 0);
    }

    #[tokio::test]
    async fn who_leaves_the_queue_leaves_nothing_behind() {
        let shares = Shares::new(1);
        let held = shares.take(client(1)).await;
        let place = shares.place(client(2)).err().unwrap();
        let last = shares.place(client(3)).err().unwrap();
        drop(place);
        assert_eq!(shares.waiting(), 1);
        drop(held);
        // Granted to the last one, which leaves before it has seen it.
        drop(last);
        let ledger = shares.lock();
        assert_eq!((ledger.taken, ledger.waiting, ledger.clients.len()), (0, 0, 0));
        assert!(ledger.turns.is_empty());
    }
}
