//! What happened to a session that is held, and was not told yet.

use std::time::Duration;

use super::super::demand::{HoldCause, HoldEnd};
use super::super::order::Order;

/// Each is told once.
#[derive(Debug, Default)]
pub(super) struct News {
    began: Option<HoldCause>,
    stays: bool,
    ended: Option<(HoldEnd, Duration)>,
}

impl News {
    pub(super) fn on_began(&mut self, cause: HoldCause) {
        self.began = Some(cause);
    }

    pub(super) fn on_stayed(&mut self) {
        self.stays = true;
    }

    pub(super) fn on_ended(&mut self, result: HoldEnd, lasted: Duration) {
        self.ended = Some((result, lasted));
    }

    /// The next of them. `discarded` counts the messages left out, and is taken with the end.
    pub(super) fn poll(&mut self, discarded: &mut u32) -> Option<Order> {
        if let Some(cause) = self.began.take() {
            return Some(Order::HoldBegan(cause));
        }
        if std::mem::take(&mut self.stays) {
            return Some(Order::Stays);
        }
        let (result, lasted) = self.ended.take()?;
        Some(Order::HoldEnded { result, lasted, discarded: std::mem::take(discarded).into() })
    }
}
