//! The last ping of a side that its other side has not answered, so that we can (RFC 6455 §5.5.3:
//! only the last one must be).

use crate::wire::control::{self, ControlFrame};
use crate::wire::frame::CONTROL_BYTES_MAX;

/// One ping's payload, and what became of it.
#[derive(Debug)]
pub(super) struct PendingPing {
    payload: [u8; CONTROL_BYTES_MAX],
    length: u8,
    stands: Stands,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stands {
    /// There is none, or it was answered.
    Answered,
    /// It went across.
    Passed,
    /// We answer it.
    Owed,
}

impl Default for PendingPing {
    fn default() -> PendingPing {
        PendingPing { payload: [0; CONTROL_BYTES_MAX], length: 0, stands: Stands::Answered }
    }
}

impl PendingPing {
    /// A ping goes across.
    pub(super) fn pass(&mut self, payload: &[u8]) {
        self.set(payload, Stands::Passed);
    }

    /// A ping came that we answer.
    pub(super) fn take(&mut self, payload: &[u8]) {
        self.set(payload, Stands::Owed);
    }

    /// A Pong came from across.
    pub(super) fn answered(&mut self, payload: &[u8]) {
        if self.payload() == payload {
            self.stands = Stands::Answered;
        }
    }

    /// Nobody across will answer any more.
    pub(super) fn owe(&mut self) {
        if self.stands == Stands::Passed {
            self.stands = Stands::Owed;
        }
    }

    pub(super) fn is_owed(&self) -> bool {
        self.stands == Stands::Owed
    }

    /// The answer that is owed, with this mask.
    pub(super) fn answer(&mut self, mask: Option<[u8; 4]>) -> Option<ControlFrame> {
        self.is_owed().then(|| {
            self.stands = Stands::Answered;
            control::pong(self.payload(), mask)
        })
    }

    /// Forgets it.
    pub(super) fn forget(&mut self) {
        self.stands = Stands::Answered;
    }

    fn payload(&self) -> &[u8] {
        &self.payload[..usize::from(self.length)]
    }

    fn set(&mut self, payload: &[u8], stands: Stands) {
        // A control frame's payload is never longer.
        let length = payload.len().min(CONTROL_BYTES_MAX);
        self.payload[..length].copy_from_slice(&payload[..length]);
        (self.length, self.stands) = (length as u8, stands);
    }
}
