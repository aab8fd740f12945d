//! What became of a message, as its caller is told.

use serde::{Deserialize, Serialize};

use super::instances::ApiOutcome;
use crate::registry::{PushCount, PushOutcome};

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct PushReport {
    /// Sessions that it was for.
    pub(super) matched: usize,
    /// Those that it was queued for.
    pub(super) queued: usize,
    /// Those that had no room for it.
    pub(super) full: usize,
    /// Those that cannot get it.
    pub(super) refused: usize,
    /// Of those that it was queued for: they ended before it was written.
    pub(super) gone: usize,
    /// It had no place in time.
    pub(super) late: usize,
    /// It was written.
    pub(super) written: usize,
    /// It was read.
    pub(super) read: usize,
}

impl PushReport {
    pub(super) fn new(count: PushCount, outcome: PushOutcome) -> PushReport {
        let PushCount { matched, queued, full, refused } = count;
        let PushOutcome { written, read, late, gone } = outcome;
        PushReport { matched, queued, full, refused, gone, late, written, read }
    }
}

impl ApiOutcome for PushReport {
    fn add(&mut self, other: PushReport) {
        let PushReport { matched, queued, full, refused, gone, late, written, read } = other;
        for (sum, more) in [
            (&mut self.matched, matched),
            (&mut self.queued, queued),
            (&mut self.full, full),
            (&mut self.refused, refused),
            (&mut self.gone, gone),
            (&mut self.late, late),
            (&mut self.written, written),
            (&mut self.read, read),
        ] {
            *sum += more;
        }
    }
}
