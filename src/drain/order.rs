//! What is asked of sessions, and what it comes to.

use std::time::Duration;

use super::spread::Pace;
use crate::end::Reason;
use crate::registry::{Disposition, Schedule, Selector, Subset};

/// An order to drain sessions.
#[derive(Clone, Debug)]
pub struct DrainOrder {
    /// Which sessions.
    pub selector: Selector,
    /// At most so many of them, chosen like this; all where it is `None`.
    pub subset: Option<(usize, Subset)>,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why.
    pub reason: Reason,
    /// An operator's own close code.
    pub code: Option<u16>,
    /// How fast.
    pub pace: Pace,
    /// The number that was drawn for it ([`Drains::draw`]); one is drawn as it begins where there
    /// is none.
    ///
    /// [`Drains::draw`]: super::Drains::draw
    pub number: Option<u64>,
    /// Orders of the same group are one drain, which stays open until it is closed by this name: a
    /// rebalance is given piece by piece.
    pub group: Option<Selector>,
}

impl DrainOrder {
    /// Closes these sessions.
    pub fn close(selector: Selector, reason: Reason, pace: Pace) -> DrainOrder {
        DrainOrder {
            selector,
            subset: None,
            disposition: Disposition::Close,
            reason,
            code: None,
            pace,
            number: None,
            group: None,
        }
    }

    /// Those among its sessions that move where they can, rather than close.
    pub(super) fn movable(&self) -> Option<Selector> {
        match &self.disposition {
            Disposition::Close => None,
            Disposition::MoveOrStay => Some(self.selector.clone()),
            Disposition::MoveOrClose(movable) => {
                let all = [self.selector.clone(), Selector::Holding, movable.clone()];
                Some(Selector::AllOf(all.into()))
            }
        }
    }

    /// What it is called in log and status.
    pub(super) fn name(&self) -> String {
        self.group.as_ref().unwrap_or(&self.selector).to_string()
    }
}

/// What an order comes to, begun or not.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its number; 0 of one that was only thought through, and of one that is not followed.
    pub number: u64,
    /// Sessions told, or to be told.
    pub sessions: usize,
    /// Those among them that go on with another backend, where there is one for them.
    pub moved: usize,
    /// Sessions live.
    pub live: usize,
    /// When they are due.
    pub schedule: Schedule,
    /// When those that are left are cut.
    pub deadline: Duration,
}

impl Begun {
    /// The time until the last of them is due.
    pub fn window(&self) -> Duration {
        self.schedule.length()
    }
}
