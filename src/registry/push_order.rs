//! To whom a message goes, and what it comes to in each session.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::delivery::{Delivery, PushLoad};
use super::facts::{Facts, Pushable, Selector};
use super::push::PushMessage;
use crate::base::clock::Moment;
use crate::config::plan::{CompressedPush, FullPush, Push};

/// Bytes of a message that a worker writes to its sessions at once, and to how many at most; then
/// whatever else is due has its turn, some milliseconds later.
const WRITES_BYTES_MAX: usize = 1 << 20;
const WRITES_MAX: usize = 1_024;

/// To whom a message goes, and on what terms.
#[derive(Clone)]
pub struct PushOrder {
    /// The message.
    pub message: Arc<PushMessage>,
    /// Which sessions.
    pub selector: Selector,
    /// But none of these.
    pub except: Option<Selector>,
    /// Whether it is only counted whom it would be for.
    pub dry_run: bool,
    /// The terms of the routes whose sessions can be pushed to, by identity.
    pub routes: Arc<HashMap<Arc<str>, Arc<Push>>>,
}

/// What came of an order at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PushCount {
    /// Sessions that it is for.
    pub matched: usize,
    /// Those that will get it.
    pub queued: usize,
    /// Those that have as many on their way as they may.
    pub full: usize,
    /// Those that cannot get it whole: by their extensions, or as their route says.
    pub refused: usize,
}

impl PushCount {
    /// Of two workers.
    pub fn plus(self, other: PushCount) -> PushCount {
        PushCount {
            matched: self.matched + other.matched,
            queued: self.queued + other.queued,
            full: self.full + other.full,
            refused: self.refused + other.refused,
        }
    }
}

/// What is done for one session.
pub(super) enum PushStep {
    /// It is put into the mailbox.
    Queue(Delivery),
    /// There is no room; the session ends where its route says so.
    Full {
        /// Whether it ends.
        ends: bool,
    },
    /// It cannot get it.
    Refuse,
}

impl PushOrder {
    /// How many sessions are woken at once.
    pub(super) fn wakes_max(&self) -> usize {
        (WRITES_BYTES_MAX / self.message.frame().len().max(1)).clamp(1, WRITES_MAX)
    }

    /// The terms of a session's route; `None` where its sessions cannot be pushed to.
    pub(super) fn terms(&self, facts: &Facts) -> Option<&Push> {
        self.routes.get(&facts.route).map(|terms| &**terms)
    }

    /// What it comes to in a session with these terms and so much on its way.
    pub(super) fn step(
        &self,
        terms: &Push,
        pushable: Pushable,
        load: &Rc<PushLoad>,
        now: Moment,
    ) -> PushStep {
        let is_refused = match pushable {
            Pushable::No => true,
            Pushable::Compressed => terms.compressed == CompressedPush::Refuse,
            Pushable::Plain => false,
        };
        let bytes = self.message.payload_bytes;
        if is_refused || bytes > terms.message_bytes_max {
            return PushStep::Refuse;
        }
        if !load.has_room(bytes, terms) {
            return PushStep::Full { ends: terms.full == FullPush::Close };
        }
        let by = now.after(terms.wait_max);
        PushStep::Queue(Delivery::new(Arc::clone(&self.message), by, Rc::clone(load)))
    }
}
