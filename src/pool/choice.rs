//! Which backend a request gets: who may have it at this moment, then whose turn it is.

use std::sync::Arc;

use super::ask::{Ask, NoBackend};
use super::backend::Backend;
use super::balance::{Balancer, Candidate, random_two};
use super::health::{Standing, admitted};
use super::lease::{Kind, Lease};
use super::member::{Member, retry_after};
use super::{Pool, rendezvous};
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::base::lock::lock;
use crate::config::plan::Balance;

/// Why a client did not get the backend of its cookie.
#[derive(Clone, Copy, Debug)]
enum StickyLost {
    /// It is given no work now, or has just failed this request.
    Out,
    /// It has as many sessions as it may.
    Full,
    /// No backend of the pool made this cookie.
    Unknown,
}

impl Label for StickyLost {
    fn label(&self) -> &'static str {
        match self {
            StickyLost::Out => "out",
            StickyLost::Full => "full",
            StickyLost::Unknown => "unknown",
        }
    }
}

impl Pool {
    /// Chooses a backend and counts on it.
    ///
    /// # Errors
    /// [`NoBackend`] when all that are in were tried, or have as many sessions as they may: 503
    /// with `Retry-After`.
    pub fn lease(&self, ask: &Ask<'_>) -> Result<Lease, NoBackend> {
        if ask.tried.is_empty() {
            lock(&self.budget).request(ask.now);
        }
        let mut balancer = lock(&self.balancer);
        let members = self.members(ask.now);
        let chosen = match self.sticky_backend(&members, ask) {
            Some(index) => Some(index),
            None => [0, 1]
                .into_iter()
                .find_map(|rank| self.next(&mut balancer, &members, rank, ask))
                .or_else(|| self.last_resort(&members, ask)),
        };
        let chosen = chosen.ok_or_else(|| self.refused(&members, ask))?;
        let backend = &self.backends[chosen];
        // Still under the lock: the next to choose sees this one counted.
        let lease = Lease::new(Arc::clone(backend), ask.kind, ask.client);
        let lease = lease.ok_or_else(|| self.refused(&members, ask))?;
        backend.begin_trial(ask.now);
        if ask.waits {
            backend.begin_waiting_trial(ask.now);
        }
        Ok(lease)
    }

    /// What is left to who waits: the backend it has lost, where that is up; else the ejected one
    /// that was not tried for the longest time, where its next trial is due.
    fn last_resort(&self, members: &[Member], ask: &Ask<'_>) -> Option<usize> {
        if !ask.waits {
            return None;
        }
        let can = |index: &usize| {
            let backend = &self.backends[*index];
            !backend.is_disabled()
                && members[*index].standing != Standing::Unproven
                && !self.is_tried(*index, ask)
                && !self.is_full(*index, ask)
        };
        let is_lost = |index: usize| ask.avoided == Some(self.backends[index].address());
        let mut left = (0..members.len()).filter(can);
        if let Some(lost) = left.clone().find(|index| is_lost(*index) && members[*index].is_up()) {
            return Some(lost);
        }
        let due = |index: usize| {
            let at = self.backends[index].waiting_trial().filter(|at| *at <= ask.now)?;
            Some((at, is_lost(index), index))
        };
        Some(left.by_ref().filter_map(due).min()?.2)
    }

    /// How every member stands.
    ///
    /// Backups are for when no other is up. Where the others have all failed, a backup that has not
    /// goes before those of them that are kept lest more than half be out.
    pub(super) fn members(&self, now: Moment) -> Vec<Member> {
        let slow_start = self.plan.slow_start;
        let seen = self.backends.iter().map(|backend| backend.seen(now, slow_start));
        let mut members: Vec<Member> = seen
            .zip(&self.backends)
            .map(|((standing, is_reachable, share), backend)| {
                let weight = (u64::from(backend.weight()) * share).max(1);
                Member { standing, is_reachable, rank: None, weight }
            })
            .collect();
        // Nearly always all are as one wishes, and come first.
        let is_well = |(member, backend): (&Member, &Arc<Backend>)| {
            member.standing == Standing::Up && !backend.is_disabled() && !backend.is_backup()
        };
        if members.iter().zip(&self.backends).all(is_well) {
            members.iter_mut().for_each(|member| member.rank = Some(0));
            return members;
        }
        let is_backup = |index: &usize| self.backends[*index].is_backup();
        // Those that a command took out do not count either, nor those that wait for a probe.
        let is_kept = |index: &usize| {
            !self.backends[*index].is_disabled() && members[*index].standing != Standing::Unproven
        };
        let kept = (0..members.len()).filter(is_kept);
        let (backups, others): (Vec<_>, Vec<_>) = kept.partition(is_backup);
        let any_is_up = |group: &[usize]| group.iter().any(|index| members[*index].is_up());
        let backups_first = !any_is_up(&others) && any_is_up(&backups);
        for (group, last) in [(others, backups_first), (backups, !backups_first)] {
            let standings: Vec<_> = group.iter().map(|index| members[*index].standing).collect();
            for (index, admitted) in group.into_iter().zip(admitted(&standings)) {
                members[index].rank = admitted.then_some(u8::from(last));
            }
        }
        members
    }

    /// The backend of the client's cookie, when it can be had. A cookie is good for a backend that
    /// is there and up; else another is chosen, and the cookie made anew.
    fn sticky_backend(&self, members: &[Member], ask: &Ask<'_>) -> Option<usize> {
        let tag = ask.key.and_then(|key| key.tag)?;
        let found = self.sticky.as_ref()?.find(&tag);
        let lost = match found {
            Some(index) if members[index].rank.is_none() => StickyLost::Out,
            // It comes again for that one, at the pace of all who wait.
            Some(index) if ask.waits && !members[index].is_up() => StickyLost::Out,
            Some(index) if self.is_tried(index, ask) => StickyLost::Out,
            Some(index) if self.is_full(index, ask) => StickyLost::Full,
            Some(index) => return Some(index),
            None => StickyLost::Unknown,
        };
        // Once per request: at its first choice, or when that backend has just failed it.
        let is_news = match ask.tried {
            [] => true,
            [.., last] => found.is_some_and(|index| self.backends[index].address() == last),
        };
        if is_news {
            self.cells.sticky_lost.count(lost);
        }
        None
    }

    /// Whose turn it is among those of this rank.
    fn next(
        &self,
        balancer: &mut Balancer,
        members: &[Member],
        rank: u8,
        ask: &Ask<'_>,
    ) -> Option<usize> {
        let candidate = |index: usize| {
            let may = members[index].rank == Some(rank)
                && (members[index].is_reachable || members[index].is_up() || !ask.waits)
                && ask.avoided != Some(self.backends[index].address())
                && !self.is_tried(index, ask)
                && !self.is_full(index, ask);
            let load = self.backends[index].sessions();
            may.then(|| Candidate { load, weight: members[index].weight })
        };
        let hash = ask.key.and_then(|key| key.hash);
        match (&self.plan.balance, hash, ask.kind) {
            (Balance::Hash { excess_percent, .. }, Some(hash), _) => {
                // Requests are put by sessions too, so that both of a client meet.
                rendezvous::choose(hash, &self.seeds, *excess_percent, candidate)
            }
            (Balance::RandomTwo, _, kind) => {
                let laden = |index: usize| {
                    let load = kind.count(&self.backends[index]);
                    candidate(index).map(|one| Candidate { load, ..one })
                };
                random_two(members.len(), laden, |below| fastrand::u64(..below))
            }
            (Balance::RoundRobin, ..) | (_, _, Kind::Request) => balancer.round_robin(candidate),
            (_, _, Kind::Session) => balancer.least_sessions(candidate),
        }
    }

    fn is_tried(&self, index: usize, ask: &Ask<'_>) -> bool {
        ask.tried.contains(self.backends[index].address())
    }

    fn is_full(&self, index: usize, ask: &Ask<'_>) -> bool {
        match ask.kind {
            Kind::Session if ask.continues => self.backends[index].is_full(),
            Kind::Session => !self.backends[index].has_session_room(ask.client),
            Kind::Request => !self.backends[index].has_room(ask.client),
        }
    }

    fn refused(&self, members: &[Member], ask: &Ask<'_>) -> NoBackend {
        // One that who waits may not try yet is not full.
        let lacks_room = |index: usize| {
            let member = &members[index];
            member.rank.is_some() && !self.is_tried(index, ask) && self.is_full(index, ask)
        };
        let is_full = (0..members.len()).any(lacks_room);
        if is_full {
            self.cells.full.inc();
        }
        NoBackend { retry_after: retry_after(members, ask.now), is_full }
    }
}
