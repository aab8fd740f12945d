//! The engine: gives orders to the sessions of all workers, and follows them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::order::{Begun, DrainOrder};
use super::progress::{List, Progress};
use super::spread::Usage;
use crate::base::clock::{self, Moment, OVERSLEPT};
use crate::base::label::Label;
use crate::base::task;
use crate::end::Reason;
use crate::registry::{Drain, DrainCount, LiveSessions, Schedule, Selector, Withdrawal};

/// How often the sessions left are counted.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);

/// How often the log says how far a drain is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// How long a drain is followed past its deadline.
const OVERTIME: Duration = Duration::from_secs(5);

/// The drains of a process. Orders are given on one thread, where they are followed; what is known
/// of them is known on any.
#[derive(Clone)]
pub struct Drains(Arc<Shared>);

struct Shared {
    sessions: LiveSessions,
    list: Mutex<List>,
    /// Whether the task that follows them lives.
    followed: Mutex<bool>,
}

impl Drains {
    /// None yet.
    pub fn new(sessions: LiveSessions) -> Drains {
        Drains(Arc::new(Shared { sessions, list: Mutex::default(), followed: Mutex::default() }))
    }

    /// What an order would come to; no session is told.
    pub async fn preview(&self, order: &DrainOrder) -> Begun {
        let counted = self.0.sessions.count(&order.selector).await;
        let most = order.subset.map_or(usize::MAX, |(most, _)| most);
        let sessions = counted.matched.min(most);
        let moved = match order.movable() {
            Some(movable) => self.0.sessions.count(&movable).await.matched.min(most),
            None => 0,
        };
        // All that others are told as well is theirs already.
        let usage = match order.selector {
            Selector::All => Usage::default(),
            _ => self.list().usage(clock::now()),
        };
        let (schedule, deadline) = order.pace.plan(sessions, &usage);
        Begun { number: 0, sessions, moved, live: counted.live, schedule, deadline }
    }

    /// Begins to carry an order out. To be called on a thread that runs tasks: there it is
    /// followed.
    pub async fn begin(&self, order: &DrainOrder) -> Begun {
        let would = self.preview(order).await;
        let number = {
            let mut list = self.list();
            let open = order.group.as_ref().and_then(|group| list.of_group(group));
            let drawn = order.number.inspect(|number| list.count_past(*number));
            drawn.or(open).unwrap_or_else(|| list.number())
        };
        let told = self.tell(order, number, would.schedule.clone(), would.deadline).await;
        let moved = would.moved.min(told);
        let mut begun = Begun { number, sessions: told, moved, ..would };
        if told > 0 && !self.follow(order, &begun) {
            begun.number = 0;
        }
        begun
    }

    /// Draws the number of a drain that is begun later, perhaps in several processes.
    pub fn draw(&self) -> u64 {
        self.list().number()
    }

    /// The last number drawn.
    pub fn last_number(&self) -> u64 {
        self.list().last_number()
    }

    /// Goes on to count after the drains of the process before this one, so that a number never
    /// names two of them.
    pub fn count_past(&self, number: u64) {
        self.list().count_past(number);
    }

    /// Gives an order again, at once, for sessions that came since it was begun.
    pub async fn again(&self, order: &DrainOrder, begun: &Begun) {
        self.tell(order, begun.number, Schedule::at_once(), begun.deadline).await;
    }

    /// Withdraws orders to leave what is there again: sessions that they match no more stay, as
    /// far as they have not gone.
    pub async fn withdraw(&self, reason: Reason, parts: HashSet<Selector>) {
        let withdrawal = Withdrawal::Returned { reason, parts };
        let sessions = self.0.sessions.withdraw(withdrawal, clock::now()).await;
        if sessions > 0 {
            tracing::info!(reason = reason.label(), sessions, "order withdrawn");
        }
    }

    /// Cancels a drain: sessions that have not gone stay. Answers how many; `None` where it is not
    /// under way, or is of a process that leaves, which nobody can stay in.
    pub async fn cancel(&self, number: u64) -> Option<usize> {
        let reason = self.list().cancel(number)?;
        let withdrawal = Withdrawal::Drain(number);
        let now = clock::now();
        let sessions = self.0.sessions.withdraw(withdrawal, now).await;
        // Where none has to go any more it is not under way any more: now, not when it is looked at
        // next.
        for count in self.0.sessions.drained(&[number]).await {
            self.see(number, count, now, false).await;
        }
        tracing::info!(drain = number, reason = reason.label(), sessions, "drain cancelled");
        Some(sessions)
    }

    /// No more orders of this group come: its drain finishes with the sessions it has.
    pub fn close(&self, group: &Selector) {
        self.list().close(group);
    }

    /// The drains under way, in the order they were given.
    pub fn under_way(&self) -> Vec<(u64, Progress)> {
        self.list().under_way().map(|(number, progress)| (number, progress.clone())).collect()
    }

    /// The last drains that have finished.
    pub fn finished(&self) -> Vec<(u64, Progress)> {
        self.list().finished().cloned().collect()
    }

    /// Sessions left by reason, every reason there is.
    pub fn left(&self) -> Vec<(Reason, usize)> {
        self.list().left()
    }

    /// Gives an order to the sessions; how many were told.
    async fn tell(
        &self,
        order: &DrainOrder,
        number: u64,
        schedule: Schedule,
        deadline: Duration,
    ) -> usize {
        let drain = Drain {
            number,
            selector: order.selector.clone(),
            subset: order.subset.map(|(_, subset)| subset),
            disposition: order.disposition.clone(),
            reason: order.reason,
            code: order.code,
            words: None,
            schedule,
            deadline,
        };
        let most = order.subset.map_or(usize::MAX, |(most, _)| most);
        self.0.sessions.drain(drain, most, clock::now()).await
    }

    /// Whether it is followed.
    fn follow(&self, order: &DrainOrder, begun: &Begun) -> bool {
        let now = clock::now();
        let is_new = !self.list().under_way().any(|(number, _)| number == begun.number);
        let followed = self.list().follow(order, begun, now);
        if is_new {
            tracing::info!(
                drain = begun.number,
                reason = order.reason.label(),
                of = order.name(),
                sessions = begun.sessions,
                live = begun.live,
                moves = begun.moved,
                window_seconds = begun.window().as_secs_f64(),
                deadline_seconds = begun.deadline.as_secs_f64(),
                followed,
                "drain begins"
            );
        }
        let mut is_followed = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_followed, true) {
            task::spawn("drain", self.clone().follow_all(now));
        }
        followed
    }

    /// Follows every drain until none is under way.
    async fn follow_all(self, began: Moment) {
        let (mut said, mut looked) = (began, began);
        loop {
            sleep(FOLLOW_INTERVAL).await;
            let slept = clock::now().since(looked);
            if slept >= OVERSLEPT {
                // The sessions have put off what was due: see `registry::keep_pace`.
                self.list().put_off(slept);
            }
            looked = clock::now();
            let numbers = self.list().numbers();
            let counts = self.0.sessions.drained(&numbers).await;
            let now = clock::now();
            let says = now.since(said) >= PROGRESS_INTERVAL;
            said = if says { now } else { said };
            for (number, count) in numbers.into_iter().zip(counts) {
                self.see(number, count, now, says).await;
            }
            let mut is_followed = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
            if self.list().numbers().is_empty() {
                *is_followed = false;
                return;
            }
        }
    }

    async fn see(&self, number: u64, count: DrainCount, now: Moment, says: bool) {
        let is_late = |progress: &Progress| now > progress.ends.after(OVERTIME);
        let finished = self.list().update(number, count, is_late);
        let DrainCount { left, moved, stayed, withdrawn } = count;
        if let Some(Progress { reason, sessions, began, .. }) = finished {
            self.0.sessions.forget_drain(number).await;
            let (reason, seconds) = (reason.label(), now.since(began).as_secs_f64());
            tracing::info!(
                drain = number,
                reason,
                sessions,
                left,
                moved,
                stayed,
                withdrawn,
                seconds,
                "drain finished"
            );
        } else if says {
            let under_way = self.under_way();
            let Some((_, one)) = under_way.iter().find(|(of, _)| *of == number) else { return };
            let (reason, sessions) = (one.reason.label(), one.sessions);
            tracing::info!(drain = number, reason, sessions, left, moved, "drain in progress");
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // It is whole whoever panicked: each change is made at once.
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
