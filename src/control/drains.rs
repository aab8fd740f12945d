//! The one drain engine: stop, reload, sick backends and the operator let sessions go through it.
//!
//! Who is let go, why, what becomes of them, and how fast is an [`Order`]. Whoever gives one, its
//! closes are spread and capped in the same way, it is followed until nobody is left, and it is
//! seen: a line when it begins, while it goes on and when it is over, a gauge by reason, and a row
//! in the status.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::sleep;

use super::handle::{Handle, lock};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::base::task;
use crate::config::plan;
use crate::end::Reason;
use crate::registry::{self, Disposition, Drain, DrainCount, Selector, Share, spread};

/// Drains followed at once. An operator may begin no more; a reload is not held up by it.
pub(super) const DRAINS_MAX: usize = 64;

/// Drains that are over and still told of.
const OVER_KEPT_MAX: usize = 16;

/// What a session keeps, where no deadline was set, after the last one was told: a long frame may
/// have to come to its end first, and the other side's answer is worth to wait for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How often the sessions left are counted.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);

/// How often the log says how far a drain is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// How long a drain is followed past its deadline.
const OVERTIME: Duration = Duration::from_secs(5);

/// How fast sessions are let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// Closes are spread over this time at least.
    pub(super) window: Duration,
    /// Closes per second at most: more sessions lengthen the window, within the deadline.
    pub(super) rate_max: u32,
    /// From the order until the transports of those that are left are closed; [`PATIENCE`] after
    /// the window when `None`.
    pub(super) deadline: Option<Duration>,
}

impl Pace {
    /// The configuration's, for a process that goes on running: nobody waits for the end.
    pub(super) fn of(plan: &plan::Drain) -> Pace {
        Pace { window: plan.window, rate_max: plan.rate_max, deadline: None }
    }
}

/// An order to let sessions go.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) who: Selector,
    pub(super) disposition: Disposition,
    pub(super) why: Reason,
    /// An operator's own close code.
    pub(super) code: Option<u16>,
    pub(super) pace: Pace,
}

impl Order {
    /// The order as the registry takes it, for so many sessions.
    fn drain(&self, number: u64, total: usize) -> Drain {
        let Pace { window, rate_max, deadline } = self.pace;
        let needed = || spread(window, Some(rate_max), total) + PATIENCE;
        Drain {
            number,
            who: self.who.clone(),
            disposition: self.disposition.clone(),
            why: self.why,
            code: self.code,
            window,
            rate_max: Some(rate_max),
            deadline: deadline.unwrap_or_else(needed),
        }
    }

    /// Those that are moved, where they can be.
    fn moved(&self) -> Option<Selector> {
        match &self.disposition {
            Disposition::Close => None,
            Disposition::MoveOrStay => Some(self.who.clone()),
            Disposition::MoveOrClose(who) => {
                Some(Selector::AllOf([self.who.clone(), Selector::Holding, who.clone()].into()))
            }
        }
    }
}

/// What an order comes to, begun or not.
#[derive(Clone, Debug)]
pub(super) struct Drained {
    /// Its number; 0 of one that was only thought through.
    pub(super) number: u64,
    /// Sessions told, or to be told.
    pub(super) sessions: usize,
    /// Those among them that go on with another backend, where there is one for them.
    pub(super) moved: usize,
    /// Sessions live.
    pub(super) live: usize,
    /// The time their closes take.
    pub(super) window: Duration,
    /// When those that are left are cut.
    pub(super) deadline: Duration,
}

/// A drain under way.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) why: Reason,
    pub(super) who: String,
    /// Sessions told at its beginning.
    pub(super) sessions: usize,
    /// What became of them, and of those that were told since.
    pub(super) tally: DrainCount,
    pub(super) began: Moment,
    /// When it is over: those that are left are cut, where they were not only to move.
    pub(super) ends: Moment,
    /// Whether they are.
    pub(super) cuts: bool,
}

/// Every drain under way, by its number, and the last that are over.
#[derive(Default)]
pub(super) struct Drains {
    given: u64,
    under_way: BTreeMap<u64, Progress>,
    over: VecDeque<(u64, Progress)>,
}

impl Drains {
    /// A drain is over.
    fn end(&mut self, number: u64, tally: DrainCount) {
        let Some(progress) = self.under_way.remove(&number) else { return };
        if self.over.len() == OVER_KEPT_MAX {
            self.over.pop_front();
        }
        self.over.push_back((number, Progress { tally, ..progress }));
    }
}

impl Handle {
    /// What an order would come to, with nobody told.
    pub(super) async fn would_let_go(&self, order: &Order) -> Drained {
        let (live, sessions) = self.count(Some(&order.who)).await;
        let moved = match order.moved() {
            Some(who) => self.count(Some(&who)).await.1,
            None => 0,
        };
        let drain = order.drain(0, sessions);
        let window = drain.window_for(sessions);
        Drained { number: 0, sessions, moved, live, window, deadline: drain.deadline }
    }

    /// Lets sessions go. To be called on the supervisor's thread, where it is followed.
    pub(super) async fn let_go(&self, order: &Order) -> Drained {
        let would = self.would_let_go(order).await;
        let number = {
            let mut drains = lock(&self.0.drains);
            drains.given += 1;
            drains.given
        };
        let drain = order.drain(number, would.sessions);
        let drained = Drained { number, ..would };
        if drained.sessions > 0 {
            self.follow(order, &drained);
        }
        self.tell(drain, drained.sessions).await;
        drained
    }

    /// Lets those go at once that came after an order was given and are meant by it.
    pub(super) async fn let_go_late(&self, order: &Order, number: u64) {
        let drain = Drain { window: Duration::ZERO, rate_max: None, ..order.drain(number, 0) };
        self.tell(drain, 0).await;
    }

    async fn tell(&self, drain: Drain, total: usize) {
        let (now, workers) = (clock::now(), self.0.queues.len());
        let tell = move |worker| registry::let_go(&drain, now, Share { worker, workers, total });
        self.0.queues.ask_all(tell).await;
    }

    /// Sessions live, and those among them that are meant.
    pub(super) async fn count(&self, who: Option<&Selector>) -> (usize, usize) {
        let who = who.cloned();
        let count = move |_| (registry::live(), who.as_ref().map_or(0, registry::count));
        let counts = self.0.queues.ask_all(count).await;
        counts.into_iter().fold((0, 0), |(all, some), (more, less)| (all + more, some + less))
    }

    /// The drains under way, in the order they were given.
    pub(super) fn drains(&self) -> Vec<(u64, Progress)> {
        let drains = lock(&self.0.drains);
        drains.under_way.iter().map(|(number, progress)| (*number, progress.clone())).collect()
    }

    /// The last drains that are over.
    pub(super) fn drains_over(&self) -> Vec<(u64, Progress)> {
        lock(&self.0.drains).over.iter().cloned().collect()
    }

    /// Sessions left by reason, every reason there is.
    pub(super) fn drains_left(&self) -> Vec<(String, u64)> {
        let drains = lock(&self.0.drains);
        let left = |why| {
            let of = drains.under_way.values().filter(|progress| progress.why == why);
            of.map(|progress| progress.tally.left as u64).sum()
        };
        Reason::EVERY.map(|why| (why.label().to_owned(), left(why))).into()
    }

    fn follow(&self, order: &Order, drained: &Drained) {
        let began = clock::now();
        let progress = Progress {
            why: order.why,
            who: order.who.to_string(),
            sessions: drained.sessions,
            tally: DrainCount { left: drained.sessions, ..DrainCount::default() },
            began,
            ends: began.after(drained.deadline),
            cuts: order.disposition != Disposition::MoveOrStay,
        };
        tracing::info!(
            drain = drained.number,
            why = order.why.label(),
            who = progress.who,
            sessions = drained.sessions,
            live = drained.live,
            moves = drained.moved,
            window_seconds = drained.window.as_secs_f64(),
            deadline_seconds = drained.deadline.as_secs_f64(),
            "drain begins"
        );
        let mut drains = lock(&self.0.drains);
        if drains.under_way.len() >= DRAINS_MAX {
            tracing::warn!(drain = drained.number, "too many drains under way to follow this one");
            return;
        }
        drains.under_way.insert(drained.number, progress.clone());
        let (handle, number) = (self.clone(), drained.number);
        task::spawn("drain", async move { handle.follow_to_its_end(number, progress).await });
    }

    async fn follow_to_its_end(&self, number: u64, progress: Progress) {
        let Progress { why, sessions, began, ends, .. } = progress;
        let mut said = began;
        let tally = loop {
            sleep(FOLLOW_INTERVAL).await;
            let counts = self.0.queues.ask_all(move |_| registry::drained(number)).await;
            let tally = counts.into_iter().fold(DrainCount::default(), DrainCount::plus);
            let now = clock::now();
            if tally.left == 0 || now > ends.after(OVERTIME) {
                break tally;
            }
            if let Some(progress) = lock(&self.0.drains).under_way.get_mut(&number) {
                progress.tally = tally;
            }
            if now.since(said) >= PROGRESS_INTERVAL {
                said = now;
                let left = tally.left;
                tracing::info!(
                    drain = number,
                    why = why.label(),
                    sessions,
                    left,
                    "drain in progress"
                );
            }
        };
        lock(&self.0.drains).end(number, tally);
        self.0.queues.ask_all(move |_| registry::forget_drain(number)).await;
        let DrainCount { left, moved, stayed } = tally;
        let (why, seconds) = (why.label(), clock::now().since(began).as_secs_f64());
        tracing::info!(
            drain = number,
            why,
            sessions,
            left,
            moved,
            stayed,
            seconds,
            "drain finished"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(deadline: Option<Duration>) -> Order {
        let pace = Pace { window: Duration::from_secs(15), rate_max: 500, deadline };
        let (who, disposition) = (Selector::All, Disposition::Close);
        Order { who, disposition, why: Reason::Removed, code: None, pace }
    }

    #[test]
    fn a_big_site_has_the_time_its_rate_needs_and_a_small_one_the_window() {
        let small = order(None).drain(1, 100);
        assert_eq!(small.window_for(100), Duration::from_secs(15));
        assert_eq!(small.deadline, Duration::from_secs(45));
        let big = order(None).drain(1, 100_000);
        assert_eq!(big.window_for(100_000), Duration::from_secs(200));
        assert_eq!(big.deadline, Duration::from_secs(230));
    }

    #[test]
    fn a_deadline_comes_before_the_rate() {
        let hurried = order(Some(Duration::from_secs(25))).drain(1, 100_000);
        assert_eq!(hurried.window_for(100_000), Duration::from_secs(20));
        assert_eq!(hurried.deadline, Duration::from_secs(25));
    }
}
