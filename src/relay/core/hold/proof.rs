//! Whether an upstream has shown that it takes the session, and what its loss counts for if not.

use std::time::Duration;

use crate::base::clock::Moment;
use crate::config::plan;

/// The time within which a session's resumptions are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// An upstream is proven when it has lived for `proof_time` and passed a whole data message. One
/// that only lived as long as an absence may last is too: its session may have nothing to say.
#[derive(Debug)]
pub(super) struct Proof {
    /// When the upstream came; `NEVER` once it was found proven.
    attached: Moment,
    /// Whether it passed a whole data message.
    passed: bool,
    /// The upstream before was lost, unproven, with the recorded messages.
    lost_with_record: bool,
    /// Resumptions since an upstream was proven, in the minute that began then.
    resumptions: u32,
    minute: Moment,
}

impl Proof {
    /// Of a session that begins, with its first upstream.
    pub(super) fn new(now: Moment) -> Proof {
        let attached = now;
        Proof { attached, passed: false, lost_with_record: false, resumptions: 0, minute: now }
    }

    /// Another upstream came.
    pub(super) fn on_attached(&mut self, now: Moment) {
        (self.attached, self.passed) = (now, false);
        if now >= self.minute.after(MINUTE) {
            (self.minute, self.resumptions) = (now, 0);
        }
        self.resumptions = self.resumptions.saturating_add(1);
    }

    /// Data messages passed whole.
    pub(super) fn on_messages(&mut self) {
        self.passed = true;
    }

    /// Whether the upstream is proven.
    pub(super) fn is_proven(&self, terms: &plan::Hold, now: Moment) -> bool {
        let lived =
            |time: Duration| self.attached == Moment::NEVER || now >= self.attached.after(time);
        self.passed && lived(terms.proof_time) || lived(terms.timeout.max(terms.proof_time))
    }

    /// Whether it was there for less than `proof_time`.
    pub(super) fn is_young(&self, terms: &plan::Hold, now: Moment) -> bool {
        now < self.attached.after(terms.proof_time)
    }

    /// The upstream is lost, `with_record` where it was sent the recorded messages; whether it was
    /// proven, and for how long one was there that was not, but longer than `proof_time`.
    pub(super) fn on_lost(
        &mut self,
        terms: &plan::Hold,
        with_record: bool,
        now: Moment,
    ) -> Option<Duration> {
        if self.is_proven(terms, now) {
            (self.lost_with_record, self.resumptions) = (false, 0);
            return None;
        }
        self.lost_with_record = with_record;
        Some(if self.is_young(terms, now) { Duration::ZERO } else { now.since(self.attached) })
    }

    /// Whether the loss of this upstream would be the second in a row with the recorded messages:
    /// they may be what it dies of.
    pub(super) fn is_poisoned(&self, terms: &plan::Hold, with_record: bool, now: Moment) -> bool {
        with_record && self.lost_with_record && !self.is_proven(terms, now)
    }

    /// Before when there is no other resumption.
    pub(super) fn next(&self, terms: &plan::Hold) -> Moment {
        match self.resumptions >= terms.resumptions_per_minute_max {
            true => self.minute.after(MINUTE),
            false => Moment::default(),
        }
    }
}
