//! Backends that sessions are to leave: which, and whether there is room elsewhere.

use std::sync::Arc;

use super::member::Member;
use super::{Backend, Pool};
use crate::base::clock::Moment;

impl Pool {
    /// The backends that have been out for so long that their sessions are to leave
    /// (`health.sessions_after`), and since when each has been; nobody while no other is up.
    pub fn stay_out(&self, now: Moment) -> Vec<(Arc<Backend>, Moment)> {
        let members = self.members(now);
        if !members.iter().any(|member| member.rank == Some(0) && member.is_up()) {
            return Vec::new();
        }
        // One of the last rank is asked when all those before it are full: it may be out as well.
        let kept_out = |(backend, member): &(&Arc<Backend>, Member)| {
            member.rank != Some(0) && !backend.is_disabled()
        };
        let out = self.backends.iter().zip(members).filter(kept_out);
        let stays = |(backend, _): (&Arc<Backend>, Member)| {
            Some((Arc::clone(backend), backend.stays_out(now)?))
        };
        out.filter_map(stays).collect()
    }

    /// Sessions that there is room for on others than these backends, of those that are up;
    /// `usize::MAX` where one of them may have any number. Whoever takes sessions from backends, by
    /// whatever command or reload, asks here first.
    pub fn room_beside(&self, leaving: &[&Arc<Backend>], now: Moment) -> usize {
        let others = self.backends.iter().zip(self.members(now)).filter(|(backend, member)| {
            member.rank.is_some()
                && member.is_up()
                && !leaving.iter().any(|one| Arc::ptr_eq(one, backend))
        });
        let room = others.map(|(backend, _)| match backend.sessions_max() {
            Some(most) => most.saturating_sub(backend.sessions()),
            None => usize::MAX,
        });
        room.fold(0, usize::saturating_add)
    }
}
