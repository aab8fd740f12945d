//! What happened to a session that is held, and was not told yet.

use super::super::demand::{HoldCause, HoldEnd};
use super::super::order::Order;
use crate::base::clock::Moment;

/// Each is told once.
#[derive(Debug, Default)]
pub(super) struct News {
    began: Option<HoldCause>,
    stays: bool,
    /// How the absence ended, and since when there was one.
    ended: Option<(HoldEnd, Moment)>,
}

impl News {
    pub(super) fn on_began(&mut self, cause: HoldCause) {
        self.began = Some(cause);
    }

    pub(super) fn on_stayed(&mut self) {
        self.stays = true;
    }

    pub(super) fn on_ended(&mut self, result: HoldEnd, since: Moment) {
        self.ended = Some((result, since));
    }

    /// The next of them. `discarded` counts the messages left out, and is taken with the end.
    pub(super) fn poll(&mut self, discarded: &mut u32, now: Moment) -> Option<Order> {
        if let Some(cause) = self.began.take() {
            return Some(Order::HoldBegan(cause));
        }
        if std::mem::take(&mut self.stays) {
            return Some(Order::Stays);
        }
        let (result, since) = self.ended.take()?;
        let lasted = now.since(since);
        Some(Order::HoldEnded { result, lasted, discarded: std::mem::take(discarded).into() })
    }
}
