//! The last ping of a side that its other side has not answered, so that we can (RFC 6455 §5.5.3:
//! only the last one must be answered).

use crate::wire::control::{self, ControlFrame};
use crate::wire::frame::CONTROL_BYTES_MAX;

/// The ping; a pointer while there is none. It owns memory only while an answer is due.
#[derive(Debug, Default)]
pub(super) struct PendingPing(Option<Box<Unanswered>>);

#[derive(Debug)]
struct Unanswered {
    payload: [u8; CONTROL_BYTES_MAX],
    length: u8,
    /// It went across, after so many pings of our own to that side; `None` when we owe the answer.
    passed: Option<u32>,
}

impl Unanswered {
    fn payload(&self) -> &[u8] {
        &self.payload[..usize::from(self.length)]
    }
}

impl PendingPing {
    /// A ping goes across, after so many of ours.
    pub(super) fn on_passed(&mut self, payload: &[u8], ours_before: u32) {
        self.set(payload, Some(ours_before));
    }

    /// A ping came that does not go across: we answer it.
    pub(super) fn on_kept(&mut self, payload: &[u8]) {
        self.set(payload, None);
    }

    fn set(&mut self, from: &[u8], passed: Option<u32>) {
        // A control frame's payload is never longer.
        let length = from.len().min(CONTROL_BYTES_MAX);
        let mut payload = [0; CONTROL_BYTES_MAX];
        payload[..length].copy_from_slice(&from[..length]);
        self.0 = Some(Box::new(Unanswered { payload, length: length as u8, passed }));
    }

    /// A Pong came from across.
    pub(super) fn on_pong(&mut self, payload: &[u8]) {
        if self.0.as_ref().is_some_and(|ping| ping.payload() == payload) {
            self.forget();
        }
    }

    /// The side across has answered our ping of this number. Where that was sent after this one,
    /// it answers for both (RFC 6455 §5.5.3), and only we know.
    pub(super) fn on_later_answered(&mut self, number: u32) {
        if let Some(ping) = &mut self.0 {
            ping.passed = ping.passed.filter(|before| *before >= number);
        }
    }

    /// The side across is gone, and answers no more.
    pub(super) fn on_unanswerable(&mut self) {
        if let Some(ping) = &mut self.0 {
            ping.passed = None;
        }
    }

    pub(super) fn is_owed(&self) -> bool {
        self.0.as_ref().is_some_and(|ping| ping.passed.is_none())
    }

    /// The answer that is owed, with this mask.
    pub(super) fn take_answer(&mut self, mask: Option<[u8; 4]>) -> Option<ControlFrame> {
        let owed = self.0.take_if(|ping| ping.passed.is_none())?;
        Some(control::pong(owed.payload(), mask))
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
