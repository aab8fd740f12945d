//! Every deadline a session has, in one table.

use crate::base::clock::Moment;
use crate::base::side::Side;

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// `idle_timeout`, checked lazily: messages do not move it.
    Idle,
    /// `max_lifetime`.
    Lifetime,
    /// The moment of a note to let go.
    LetGo,
    /// Its deadline.
    Deadline,
    /// The client's next ping, or the next look whether it lives.
    AliveClient,
    /// The same for the upstream.
    AliveUpstream,
    /// The present step of the client's way out must have been taken.
    StepClient,
    /// The same for the upstream.
    StepUpstream,
    /// What only holding a session knows of.
    Hold,
}

impl Timer {
    const ALL: [Timer; 9] = [
        Timer::Idle,
        Timer::Lifetime,
        Timer::LetGo,
        Timer::AliveClient,
        Timer::AliveUpstream,
        Timer::StepClient,
        Timer::StepUpstream,
        Timer::Hold,
        // Last: what is due at the same moment gives the end its name first.
        Timer::Deadline,
    ];

    pub(super) const fn alive(side: Side) -> Timer {
        match side {
            Side::Client => Timer::AliveClient,
            Side::Upstream => Timer::AliveUpstream,
        }
    }

    pub(super) const fn step(side: Side) -> Timer {
        match side {
            Side::Client => Timer::StepClient,
            Side::Upstream => Timer::StepUpstream,
        }
    }
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
