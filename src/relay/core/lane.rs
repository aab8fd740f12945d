//! What becomes of one direction's frames: a table of four.

use super::hold::Hold;
use crate::base::side::Side;

/// Looked up once per frame, recomputed when what it hangs on changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Lane {
    /// They go across.
    #[default]
    Forward,
    /// Data is kept for another upstream; control frames are answered here.
    Keep,
    /// The rest of a message is left out, because its beginning went to an upstream that was lost;
    /// control frames are answered here.
    Discard,
    /// Nothing goes across: frames are followed up to the Close, no more.
    Swallow,
}

impl Lane {
    /// The lane of what `from` sends: `crosses` when frames still come from it, and the side across
    /// takes some; `ended` when the session's end is made.
    pub(super) fn of(from: Side, hold: Option<&Hold>, crosses: bool, ended: bool) -> Lane {
        let forward = if crosses { Lane::Forward } else { Lane::Swallow };
        let Some(hold) = hold else { return forward };
        match from {
            Side::Upstream if hold.swallows() => Lane::Swallow,
            Side::Upstream => forward,
            Side::Client if hold.is_over() => Lane::Swallow,
            Side::Client if hold.discards() => Lane::Discard,
            Side::Client if hold.keeps() && ended => Lane::Swallow,
            Side::Client if hold.keeps() => Lane::Keep,
            Side::Client => forward,
        }
    }

    /// Whether data frames go on, across or into what is kept.
    pub(super) const fn carries(self) -> bool {
        matches!(self, Lane::Forward | Lane::Keep)
    }
}
