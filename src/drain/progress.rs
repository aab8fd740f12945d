//! The drains under way, and the last that have finished. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::order::{Begun, DrainOrder};
use super::spread::Usage;
use crate::base::clock::Moment;
use crate::end::Reason;
use crate::registry::{Disposition, DrainCount, Schedule, Selector};

/// Drains followed at once; one more is carried out all the same, and has no row.
const FOLLOWED_MAX: usize = 64;

/// Drains that have finished and are still shown.
const FINISHED_KEPT_MAX: usize = 16;

/// A drain under way, or one that has finished.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Why.
    pub reason: Reason,
    /// Which sessions, in words.
    pub name: String,
    /// Sessions told by its orders.
    pub sessions: usize,
    /// What became of them, and of those that were told since.
    pub count: DrainCount,
    /// When it began.
    pub began: Moment,
    /// When those that are left are cut, where they were not only to move.
    pub ends: Moment,
    /// Whether they are.
    pub cuts: bool,
    /// What more orders for it name.
    group: Option<Selector>,
    /// Its last order: the sessions told, when they are due, and when it was given.
    paced: (usize, Schedule, Moment),
}

/// Every drain under way, by its number, and the last that have finished.
#[derive(Default)]
pub(super) struct List {
    given: u64,
    under_way: BTreeMap<u64, Progress>,
    finished: VecDeque<(u64, Progress)>,
}

impl List {
    /// The number of a new drain.
    pub(super) fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// The last number given.
    pub(super) fn last_number(&self) -> u64 {
        self.given
    }

    /// Numbers up to this one are another process's, or were drawn by one.
    pub(super) fn count_past(&mut self, number: u64) {
        self.given = self.given.max(number);
    }

    /// The open drain of this group.
    pub(super) fn of_group(&self, group: &Selector) -> Option<u64> {
        let mut all = self.under_way.iter();
        all.find(|(_, one)| one.group.as_ref() == Some(group)).map(|(number, _)| *number)
    }

    /// No more orders of this group come.
    pub(super) fn close(&mut self, group: &Selector) {
        for one in self.under_way.values_mut() {
            one.group.take_if(|of| of == group);
        }
    }

    /// No more orders of this drain come; why it was begun. `None` where it is not under way, or
    /// goes on whatever anybody says.
    pub(super) fn cancel(&mut self, number: u64) -> Option<Reason> {
        let one = self.under_way.get_mut(&number)?;
        if matches!(one.reason, Reason::Stop | Reason::Restart) {
            return None;
        }
        one.group = None;
        Some(one.reason)
    }

    /// Follows a drain, or one more order of it; whether there is room for it.
    pub(super) fn follow(&mut self, order: &DrainOrder, begun: &Begun, now: Moment) -> bool {
        let (number, ends) = (begun.number, now.after(begun.deadline));
        if let Some(progress) = self.under_way.get_mut(&number) {
            progress.sessions += begun.sessions;
            progress.ends = progress.ends.max(ends);
            progress.paced = (begun.sessions, begun.schedule.clone(), now);
            return true;
        }
        if self.under_way.len() >= FOLLOWED_MAX {
            return false;
        }
        let progress = Progress {
            reason: order.reason,
            name: order.name(),
            sessions: begun.sessions,
            count: DrainCount { left: begun.sessions, ..DrainCount::default() },
            began: now,
            ends,
            cuts: order.disposition != Disposition::MoveOrStay,
            group: order.group.clone(),
            paced: (begun.sessions, begun.schedule.clone(), now),
        };
        self.under_way.insert(number, progress);
        true
    }

    /// The process did not run for so long: what is due in all of them comes later by that.
    pub(super) fn put_off(&mut self, slept: Duration) {
        for one in self.under_way.values_mut() {
            one.ends = one.ends.after(slept);
            one.paced.2 = one.paced.2.after(slept);
        }
    }

    /// The numbers of those under way.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.under_way.keys().copied().collect()
    }

    /// Keeps what has become of a drain's sessions; gives it when it has finished with that.
    pub(super) fn update(
        &mut self,
        number: u64,
        count: DrainCount,
        is_late: impl Fn(&Progress) -> bool,
    ) -> Option<Progress> {
        let progress = self.under_way.get_mut(&number)?;
        progress.count = count;
        let is_open = progress.group.is_some();
        if is_open || count.left > 0 && !is_late(progress) {
            return None;
        }
        let finished = self.under_way.remove(&number)?;
        if self.finished.len() == FINISHED_KEPT_MAX {
            self.finished.pop_front();
        }
        self.finished.push_back((number, finished.clone()));
        Some(finished)
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = (u64, &Progress)> {
        self.under_way.iter().map(|(number, progress)| (*number, progress))
    }

    pub(super) fn finished(&self) -> impl Iterator<Item = &(u64, Progress)> {
        self.finished.iter()
    }

    /// What the drains under way use of the rate from now on.
    pub(super) fn usage(&self, now: Moment) -> Usage {
        let mut usage = Usage::default();
        for Progress { paced: (sessions, schedule, given), .. } in self.under_way.values() {
            usage.add(schedule, *sessions, now.since(*given));
        }
        usage
    }

    /// Sessions left by reason, every reason there is.
    pub(super) fn left(&self) -> Vec<(Reason, usize)> {
        let left = |reason| {
            let of = self.under_way.values().filter(|progress| progress.reason == reason);
            (reason, of.map(|progress| progress.count.left).sum())
        };
        Reason::EVERY.map(left).into()
    }
}
