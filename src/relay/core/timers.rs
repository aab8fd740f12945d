//! The deadlines of a session as a whole, in one table; those of a side are in its state.

use std::sync::Arc;

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
pub(super) struct Timers {
    idle: Moment,
    lifetime: Moment,
    /// The others; boxed, for few sessions have one of them.
    rare: Option<Box<RareTimers>>,
}

#[derive(Debug)]
struct RareTimers {
    ordered_end: Moment,
    hold: Moment,
    deadline: Moment,
    /// What the client is to read beside the code of the end that is ordered.
    words: Option<Arc<str>>,
}

impl Default for RareTimers {
    fn default() -> RareTimers {
        let (ordered_end, hold, deadline) = (Moment::NEVER, Moment::NEVER, Moment::NEVER);
        RareTimers { ordered_end, hold, deadline, words: None }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers { idle: Moment::NEVER, lifetime: Moment::NEVER, rare: None }
    }
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Moment) {
        // What was never set is not cleared either.
        let is_clear = at == Moment::NEVER && self.rare.is_none();
        let place = match timer {
            Timer::Idle => &mut self.idle,
            Timer::Lifetime => &mut self.lifetime,
            _ if is_clear => return,
            Timer::OrderedEnd => &mut self.rare.get_or_insert_default().ordered_end,
            Timer::Hold => &mut self.rare.get_or_insert_default().hold,
            Timer::Deadline => &mut self.rare.get_or_insert_default().deadline,
        };
        *place = at;
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

    /// Keeps what the client is to read where a caller ends the session.
    pub(super) fn keep_words(&mut self, words: Arc<str>) {
        self.rare.get_or_insert_default().words = Some(words);
    }

    /// What was kept last of that.
    pub(super) fn words(&self) -> Option<&Arc<str>> {
        self.rare.as_ref()?.words.as_ref()
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
        let rare = |of: fn(&RareTimers) -> Moment| self.rare.as_deref().map_or(Moment::NEVER, of);
        match timer {
            Timer::Idle => self.idle,
            Timer::Lifetime => self.lifetime,
            Timer::OrderedEnd => rare(|rare| rare.ordered_end),
            Timer::Hold => rare(|rare| rare.hold),
            Timer::Deadline => rare(|rare| rare.deadline),
        }
    }

    pub(super) fn next(&self) -> Moment {
        let first = self.idle.min(self.lifetime);
        let rare = self.rare.as_deref();
        rare.map_or(first, |rare| first.min(rare.ordered_end).min(rare.hold).min(rare.deadline))
    }

    /// A timer that is due, cleared by being taken.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.get(*timer) <= now)?;
        self.clear(due);
        Some(due)
    }
}
