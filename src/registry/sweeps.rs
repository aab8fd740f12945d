//! What was told to all sessions, kept for those who had not entered yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;

use super::drain::Drain;
use super::note::{Changes, Names};

/// Sweeps remembered for those who were still shaking hands; the oldest is forgotten first.
const SWEEPS_KEPT_MAX: usize = 64;

/// How long a sweep is remembered: longer than any handshake may take.
const SWEEPS_KEPT_FOR: Duration = Duration::from_secs(300);

/// What was told to all.
pub(super) struct Sweep {
    pub(super) given: Moment,
    pub(super) what: Told,
}

pub(super) enum Told {
    LetGo { drain: Drain, window: Duration },
    Rules(Arc<Changes>),
    Renamed(Arc<Names>),
}

/// The last sweeps, in order.
#[derive(Default)]
pub(super) struct Sweeps(VecDeque<Sweep>);

impl Sweeps {
    pub(super) fn keep(&mut self, sweep: Sweep) {
        let now = sweep.given;
        self.0.retain(|old| now.since(old.given) <= SWEEPS_KEPT_FOR);
        if self.0.len() == SWEEPS_KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sweep);
    }

    /// Those given at this moment or later.
    pub(super) fn since(&self, moment: Moment) -> impl Iterator<Item = &Sweep> {
        self.0.iter().filter(move |sweep| moment <= sweep.given)
    }
}
