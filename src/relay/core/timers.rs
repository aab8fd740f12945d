//! The deadlines of a session as a whole, in one table; those of a side are in its state.

use crate::base::clock::Moment;
use crate::end::End;
use crate::registry::EndOrder;

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// `idle_timeout`, checked lazily: messages do not move it.
    Idle,
    /// `max_lifetime`, or the end of the right to the session.
    Lifetime,
    /// The moment of an order to end.
    OrderedEnd,
    /// What only holding a session knows of.
    Hold,
    /// The deadline of an order to end.
    Deadline,
}

impl Timer {
    /// By precedence: what is due at the same moment as a deadline gives the end its name first.
    const ALL: [Timer; 5] =
        [Timer::Idle, Timer::Lifetime, Timer::OrderedEnd, Timer::Hold, Timer::Deadline];
}

/// The table.
#[derive(Debug)]
pub(super) struct Timers([Moment; Timer::ALL.len()]);

impl Default for Timers {
    fn default() -> Timers {
        Timers([Moment::NEVER; Timer::ALL.len()])
    }
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Moment) {
        self.0[timer as usize] = at;
    }

    /// Sets a timer unless it is earlier already.
    pub(super) fn hasten(&mut self, timer: Timer, at: Moment) {
        self.set(timer, at.min(self.get(timer)));
    }

    /// Keeps the moments of an order to end; how that ends it, where it is the first.
    pub(super) fn order_end(&mut self, order: &EndOrder) -> Option<End> {
        let is_first = order.at < self.get(Timer::OrderedEnd);
        self.hasten(Timer::OrderedEnd, order.at);
        self.hasten(Timer::Deadline, order.deadline);
        is_first.then(|| order.end())
    }

    /// Forgets the orders to end.
    pub(super) fn withdraw_end(&mut self) {
        self.clear(Timer::OrderedEnd);
        self.clear(Timer::Deadline);
    }

    /// The session ends: what could have ended it is of no interest any more.
    pub(super) fn on_end(&mut self) {
        for timer in [Timer::Idle, Timer::Lifetime, Timer::OrderedEnd, Timer::Hold] {
            self.clear(timer);
        }
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.set(timer, Moment::NEVER);
    }

    pub(super) fn get(&self, timer: Timer) -> Moment {
        self.0[timer as usize]
    }

    pub(super) fn next(&self) -> Moment {
        self.0.iter().copied().min().unwrap_or(Moment::NEVER)
    }

    /// A timer that is due, cleared by being taken.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.get(*timer) <= now)?;
        self.clear(due);
        Some(due)
    }
}
