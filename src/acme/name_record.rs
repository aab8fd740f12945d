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
