//! The sessions of all workers, seen from outside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::worker::Queues;
use crate::end::Reason;
use crate::wire::label::SessionLabels;

use super::drain::{Drain, Share};
use super::events::SessionEvents;
use super::facts::{Facts, Location, Seen, Selector};
use super::leaving::DrainCount;
use super::locations::LocationCount;
use super::push_order::{PushCount, PushOrder};
use super::renewal::ExpiryRenewal;
use super::reports::{self, Activity, BusiestBy};
use super::seat;
use super::tap::{TapOrder, TapReading};
use super::taps::TapsFull;
use super::traffic::{SessionTraffic, TrafficReport};
use super::withdrawal::Withdrawal;

/// How long it is waited for what sessions say of themselves. The wheel has woken ten thousand of
/// them after one second.
const TRAFFIC_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it is waited for what became of another end of a session.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The sessions of all workers. Each question and each order is one job on every worker.
#[derive(Clone)]
pub struct LiveSessions(Queues);

/// How many sessions there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Live.
    pub live: usize,
    /// Those among them that a selector matches.
    pub matched: usize,
}

impl LiveSessions {
    /// Those of the workers with these queues.
    pub fn new(queues: Queues) -> LiveSessions {
        LiveSessions(queues)
    }

    /// How many live.
    pub async fn live(&self) -> usize {
        self.0.ask_all(|_| seat::live()).await.into_iter().sum()
    }

    /// How many live, and how many of them are matched.
    pub async fn count(&self, selector: &Selector) -> Count {
        let selector = selector.clone();
        let count = move |_| (seat::live(), seat::count(&selector));
        let counts = self.0.ask_all(count).await;
        counts.into_iter().fold(Count::default(), |sum, (live, matched)| Count {
            live: sum.live + live,
            matched: sum.matched + matched,
        })
    }

    /// How many are in each place.
    pub async fn by_location(&self) -> HashMap<Arc<Location>, LocationCount> {
        let mut counts: HashMap<_, LocationCount> = HashMap::new();
        for (location, count) in self.0.ask_all(|_| seat::by_location()).await.into_iter().flatten()
        {
            counts.entry(location).or_default().add(count);
        }
        counts
    }

    /// At most `most` of each worker's sessions that are matched, its oldest.
    pub async fn list(&self, selector: &Selector, most: usize) -> Vec<Seen> {
        let selector = selector.clone();
        let listed = self.0.ask_all(move |_| seat::list(&selector, most)).await;
        listed.into_iter().flatten().collect()
    }

    /// Those of which this is so.
    pub async fn filter(
        &self,
        is_so: impl Fn(&Facts) -> bool + Send + Sync + 'static,
    ) -> Vec<SessionId> {
        let is_so = Arc::new(is_so);
        let found = self.0.ask_all(move |_| seat::filter(&*is_so)).await;
        found.into_iter().flatten().collect()
    }

    /// What passed so far in each of these sessions; those that end meanwhile are missing.
    pub async fn traffic(&self, ids: Vec<SessionId>) -> HashMap<SessionId, SessionTraffic> {
        let (report, mut said) = TrafficReport::of(ids.len());
        let mut traffic = HashMap::with_capacity(ids.len());
        let ids: Arc<[SessionId]> = ids.into();
        let now = clock::now();
        self.0.ask_all(move |_| seat::ask_traffic(&ids, &report, now)).await;
        // It ends when each of them has spoken or is gone.
        let all = async {
            while let Some((id, of)) = said.recv().await {
                traffic.insert(id, of);
            }
        };
        // Those that have not spoken by then are missing too.
        let _ = timeout(TRAFFIC_TIMEOUT, all).await;
        traffic
    }

    /// At most `most` of each worker's busiest sessions that are matched, with what passed in them.
    /// Who asks watches: sessions report so for the next ten seconds, and in the first there are
    /// none to list.
    pub async fn busiest(
        &self,
        selector: &Selector,
        by: BusiestBy,
        most: usize,
    ) -> Vec<(Seen, Activity)> {
        let selector = selector.clone();
        let listed = self.0.ask_all(move |_| seat::busiest(&selector, by, most)).await;
        listed.into_iter().flatten().collect()
    }

    /// Reads a tap, which is set where there is none: what passed since it was read last. One that
    /// is not read for ten seconds ends.
    ///
    /// # Errors
    /// [`TapsFull`] where there are 16.
    pub async fn read_tap(&self, order: TapOrder) -> Result<TapReading, TapsFull> {
        let key = order.key;
        let read = self.0.ask_all(move |_| seat::read_tap(&order)).await;
        // Each worker has all of them; two that come at once for the last place get none.
        match read.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(readings) => Ok(readings.into_iter().fold(TapReading::default(), TapReading::plus)),
            Err(full) => {
                self.end_tap(key).await;
                Err(full)
            }
        }
    }

    /// Ends a tap.
    pub async fn end_tap(&self, key: u64) {
        self.0.ask_all(move |_| seat::end_tap(key)).await;
    }

    /// Has each session write a line of the log so often; none where `None`.
    pub async fn log_every(&self, every: Option<Duration>) {
        self.0.ask_all(move |_| reports::log_every(every, clock::now())).await;
    }

    /// Gives an order to the sessions it matches; where it is for a subset, to so many of them.
    /// Answers how many were told.
    pub async fn drain(&self, drain: Drain, subset: usize, now: Moment) -> usize {
        let workers = self.0.len();
        let subsets = match drain.subset {
            None => vec![0; workers],
            Some(_) => {
                let selector = drain.selector.clone();
                let counts = self.0.ask_all(move |_| seat::count(&selector)).await;
                shared_out(subset, &counts)
            }
        };
        let tell = move |worker| {
            let subset = subsets.get(worker).copied().unwrap_or_default();
            seat::drain(&drain, now, Share { worker, workers, subset })
        };
        self.0.ask_all(tell).await.into_iter().sum()
    }

    /// Sends a message to the sessions that it is for; what came of that at once.
    pub async fn push(&self, order: PushOrder) -> PushCount {
        let push = move |_| seat::push(&order, clock::now());
        let counts = self.0.ask_all(push).await;
        counts.into_iter().fold(PushCount::default(), PushCount::plus)
    }

    /// Ends one session for another that a limit has only one place for.
    pub async fn kick(&self, id: SessionId) {
        let drain = Drain::at_once(Selector::Session(id), Reason::Kick, None);
        let tell = move || seat::drain_one(id, drain, clock::now());
        self.0.ask(id.worker().into(), tell).await;
    }

    /// Ends sessions for a caller, each with this code and these words where they are given; how
    /// many were told.
    pub async fn kick_all(
        &self,
        selector: Selector,
        code: Option<u16>,
        words: Option<Arc<str>>,
    ) -> usize {
        let drain = Drain { words, ..Drain::at_once(selector, Reason::Kick, code) };
        self.drain(drain, 0, clock::now()).await
    }

    /// Ends sessions: the right to them was taken back. How many were told.
    pub async fn revoke(&self, mut ids: Vec<SessionId>) -> usize {
        ids.sort_unstable();
        let drain = Drain::at_once(Selector::Sessions(ids.into()), Reason::Revoked, None);
        self.drain(drain, 0, clock::now()).await
    }

    /// Changes a session's labels, or not at all; what they are then. `None` when it has ended.
    pub async fn relabel<E: Send + 'static>(
        &self,
        id: SessionId,
        change: impl FnOnce(&mut SessionLabels) -> Result<(), E> + Send + 'static,
    ) -> Option<Result<SessionLabels, E>> {
        let relabel = move || seat::relabel(id, change);
        self.0.ask(id.worker().into(), relabel).await?
    }

    /// Has the right to a session end at the moment `said`; where that is later than before, at
    /// `most` at the latest. When it ends now, `NEVER` where it has no end; `None` where it has
    /// ended, or more such changes come to it than may wait.
    pub async fn renew(&self, id: SessionId, said: Moment, most: Moment) -> Option<Moment> {
        let (renewal, mut told) = ExpiryRenewal::new(said, most);
        let renew = move || seat::renew(id, renewal, clock::now());
        self.0.ask(id.worker().into(), renew).await;
        timeout(RENEWAL_TIMEOUT, told.recv()).await.ok().flatten()
    }

    /// Has what becomes of sessions kept from now on, for callers that follow it.
    pub async fn follow(&self, events: &Arc<SessionEvents>) {
        let events = Arc::clone(events);
        self.0.ask_all(move |_| events.follow_here()).await;
    }

    /// Withdraws orders whose cause is gone; answers from how many sessions.
    pub async fn withdraw(&self, withdrawal: Withdrawal, now: Moment) -> usize {
        let withdraw = move |_| seat::withdraw(&withdrawal, now);
        self.0.ask_all(withdraw).await.into_iter().sum()
    }

    /// What became of the sessions that followed each of these drains, in their order.
    pub async fn drained(&self, drains: &[u64]) -> Vec<DrainCount> {
        let asked: Vec<u64> = drains.into();
        let ask = move |_| asked.iter().map(|drain| seat::drained(*drain)).collect::<Vec<_>>();
        let mut sums = vec![DrainCount::default(); drains.len()];
        for counts in self.0.ask_all(ask).await {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.plus(count));
        }
        sums
    }

    /// Forgets a drain that has finished.
    pub async fn forget_drain(&self, drain: u64) {
        self.0.ask_all(move |_| seat::forget_drain(drain)).await;
    }
}

/// Shares out `total` by chance, each worker by how many it has, so that one session at a time does
/// not always come from the same worker.
fn shared_out(total: usize, counts: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; counts.len()];
    let mut left: usize = counts.iter().sum();
    for _ in 0..total.min(left) {
        let mut drawn = fastrand::usize(..left);
        for (share, count) in shares.iter_mut().zip(counts) {
            let rest = count - *share;
            if drawn < rest {
                *share += 1;
                break;
            }
            drawn -= rest;
        }
        left -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_is_asked_for_more_than_it_has_and_all_are_asked_in_time() {
        assert_eq!(shared_out(5, &[2, 0, 3]), [2, 0, 3]);
        assert_eq!(shared_out(9, &[2, 0, 3]), [2, 0, 3]);
        assert_eq!(shared_out(3, &[]), [0; 0]);
        let mut sum = [0; 2];
        for _ in 0..200 {
            let one = shared_out(1, &[10, 10]);
            sum.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
        }
        assert!(sum[0] + sum[1] == 200 && sum.iter().all(|sum| *sum > 0), "{sum:?}");
    }
}
