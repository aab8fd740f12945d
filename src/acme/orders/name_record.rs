//! What is known of one name: its certificate, when it is renewed, and what went wrong.

use std::sync::Arc;
use std::time::Duration;

use super::failure_note::FailureNote;
use super::name_lock::SeenLock;
use super::order_error::OrderError;
use super::schedule::{self, RenewalWindow};
use super::state_dir::FileVersion;
use crate::wire::x509::Validity;

/// How soon the authority is asked again when it wants a certificate renewed, and how late.
const WINDOW_PAUSE_MIN: Duration = Duration::from_secs(60);
const WINDOW_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// One name. Times are seconds since 1970.
pub(super) struct NameRecord {
    /// The certificate that is shown.
    pub(super) shown: Option<ShownCertificate>,
    /// The version of its file that was looked at last.
    pub(super) version: Option<FileVersion>,
    /// The lock that another instance holds.
    pub(super) seen: Option<SeenLock>,
    /// Orders that failed since one succeeded.
    pub(super) failures: u32,
    /// No order before this.
    pub(super) not_before: i64,
    /// The last failure.
    pub(super) error: Option<Arc<str>>,
    /// An order or a question of ours is under way.
    pub(super) is_under_way: bool,
    /// Renewals in a row that came long before their time.
    early: u32,
    chance: f64,
    window: Option<RenewalWindow>,
    /// When the authority is asked for its window.
    window_due: i64,
}

/// A certificate that is shown.
#[derive(Clone)]
pub(super) struct ShownCertificate {
    pub(super) validity: Validity,
    /// In DER.
    pub(super) leaf: Arc<[u8]>,
    /// What could not be written into the directory of state.
    pub(super) unsaved: Option<Arc<str>>,
}

impl NameRecord {
    pub(super) fn new(chance: f64) -> NameRecord {
        NameRecord {
            shown: None,
            version: None,
            seen: None,
            failures: 0,
            not_before: 0,
            error: None,
            is_under_way: false,
            early: 0,
            chance,
            window: None,
            window_due: 0,
        }
    }

    /// Another certificate is shown from now on.
    pub(super) fn show(&mut self, shown: ShownCertificate) {
        let is_same = self.shown.as_ref().is_some_and(|before| before.leaf == shown.leaf);
        self.shown = Some(shown);
        if !is_same {
            (self.window, self.window_due) = (None, 0);
            (self.failures, self.not_before, self.error) = (0, 0, None);
        }
    }

    /// An order of ours has brought this certificate. An authority whose every window is past, or
    /// whose certificates are of the past, does not have orders without end: of several renewals
    /// in a row that came long before their time, each waits twice as long as the one before.
    pub(super) fn issue(&mut self, issued: ShownCertificate, now: i64) {
        let is_early = |shown: &ShownCertificate| schedule::is_early(shown.validity, now);
        let was_early = self.shown.as_ref().is_some_and(is_early);
        self.early = if was_early { self.early.saturating_add(1) } else { 0 };
        self.show(issued);
        if self.early > 0 {
            let pause = schedule::pause(self.early, None, None, self.chance);
            self.not_before = now.saturating_add_unsigned(pause.as_secs());
        }
    }

    /// The clock was set back by so many seconds: what was to wait for a while waits no longer
    /// than that.
    pub(super) fn turn_back(&mut self, by: i64) {
        self.not_before = self.not_before.saturating_sub(by);
        self.window_due = self.window_due.saturating_sub(by);
    }

    /// When the next order is due.
    pub(super) fn due(&self) -> i64 {
        let renewal = self
            .shown
            .as_ref()
            .map_or(0, |shown| schedule::renewal(shown.validity, self.window, self.chance));
        renewal.max(self.not_before)
    }

    /// An order came to nothing; how long the next one waits.
    pub(super) fn fail(
        &mut self,
        error: &OrderError,
        retry_after: Option<Duration>,
        now: i64,
    ) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error.to_string().into());
        let shown = self.shown.as_ref().map(|shown| shown.validity);
        let pause = schedule::pause(self.failures, shown, retry_after, self.chance);
        self.not_before = now.saturating_add_unsigned(pause.as_secs());
        pause
    }

    /// Takes over what another instance, or this one before its start, has noted.
    pub(super) fn take_note(&mut self, note: FailureNote) {
        self.not_before = self.not_before.max(note.until());
        (self.failures, self.error) = (note.failures, Some(note.error.into()));
    }

    /// The last failure, for others.
    pub(super) fn note(&self, now: i64) -> FailureNote {
        FailureNote {
            failed_at: now,
            not_before: self.not_before,
            failures: self.failures,
            error: self.error.as_deref().unwrap_or_default().to_owned(),
        }
    }

    /// Whether the authority is to be asked when it wants the certificate renewed.
    pub(super) fn is_window_due(&self, now: i64) -> bool {
        self.shown.is_some() && self.window_due <= now && self.due() > now
    }

    /// What it has said, and after what time it wants to be asked again. Where it said nothing,
    /// what it said before holds.
    pub(super) fn take_window(&mut self, said: Option<(RenewalWindow, Duration)>, now: i64) {
        let mut pause = WINDOW_PAUSE;
        if let Some((window, after)) = said {
            self.window = Some(window);
            pause = after.clamp(WINDOW_PAUSE_MIN, WINDOW_PAUSE);
        }
        self.window_due = now.saturating_add_unsigned(pause.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn certificate(leaf: u8, not_before: i64, days: i64) -> ShownCertificate {
        let validity = Validity { not_before, not_after: not_before + days * DAY };
        ShownCertificate { validity, leaf: [leaf].into(), unsaved: None }
    }

    #[test]
    fn a_clock_that_was_wrong_keeps_nothing_waiting_once_it_is_right() {
        let (wrong, right) = (5_000 * DAY, 1_000 * DAY);
        let mut record = NameRecord::new(0.0);
        record.fail(&OrderError::Clock(wrong - right), None, wrong);
        assert_eq!(record.due(), wrong + 60);
        record.turn_back(wrong - right);
        assert_eq!(record.due(), right + 60);
    }

    #[test]
    fn renewals_long_before_their_time_are_fewer_and_fewer() {
        let mut record = NameRecord::new(0.0);
        let past = RenewalWindow { start: 0, end: 0 };
        let (mut now, mut waits) = (1_000 * DAY, Vec::new());
        for leaf in 0..5 {
            record.issue(certificate(leaf, now, 90), now);
            record.take_window(Some((past, WINDOW_PAUSE)), now);
            waits.push(record.due().max(now) - now);
            now = record.due().max(now);
        }
        // The first window of the past may have its reason.
        assert_eq!(waits, [0, 60, 120, 240, 480]);
        // One that comes in its time is followed by others as ever.
        now += 60 * DAY;
        record.issue(certificate(9, now, 90), now);
        assert_eq!(record.due(), now + 60 * DAY);
    }

    #[test]
    fn a_certificate_of_seconds_is_renewed_in_its_time() {
        let mut record = NameRecord::new(0.0);
        for (leaf, now) in [(1, 1_000), (2, 1_030)] {
            let validity = Validity { not_before: now, not_after: now + 45 };
            let shown = ShownCertificate { validity, leaf: [leaf].into(), unsaved: None };
            record.issue(shown, now);
            assert_eq!(record.due(), now + 30);
        }
    }
}
