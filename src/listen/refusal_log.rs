//! The lines of connections that are refused.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::observe::log::ACCESS;
use crate::session::ShownAddr;

/// Lines per [`LINES_WINDOW`] about connections that are refused, of all listeners together: a
/// connection costs less than a line. The next line says how many have none; all are counted.
pub const REFUSED_LINES_MAX: u32 = 100;

/// See [`REFUSED_LINES_MAX`].
pub const LINES_WINDOW: Duration = Duration::from_secs(1);

/// Writes the lines of connections that are refused, as many as there may be.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<LineWindow>);

#[derive(Debug, Default)]
struct LineWindow {
    since: Moment,
    lines: u32,
    unlogged: u64,
}

impl LineWindow {
    /// Whether there may be a line at this moment, and how many had none before it.
    fn admit(&mut self, now: Moment) -> Option<u64> {
        if now.since(self.since) >= LINES_WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= REFUSED_LINES_MAX {
            self.unlogged += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unlogged))
    }
}

impl RefusalLog {
    /// Tells of a connection that is closed before a request; whoever calls this has counted it.
    pub(super) fn connection(
        &self,
        listener: &str,
        client: Option<SocketAddr>,
        why: impl Label,
        detail: Option<&dyn fmt::Display>,
    ) {
        // Numbers only: whole even after a panic.
        let admitted = self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(clock::now());
        let Some(unlogged) = admitted else { return };
        tracing::info!(
            target: ACCESS,
            event = "connection_refused",
            listener,
            client = %ShownAddr(client),
            why = why.label(),
            detail = detail.map(tracing::field::display),
            unlogged = (unlogged > 0).then_some(unlogged),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_next_one_says_how_many_are_missing() {
        let mut window = LineWindow::default();
        let start = Moment::from_millis(10_000);
        (0..REFUSED_LINES_MAX).for_each(|_| assert_eq!(window.admit(start), Some(0)));
        (0..7).for_each(|_| assert_eq!(window.admit(start.after(LINES_WINDOW / 2)), None));
        assert_eq!(window.admit(start.after(LINES_WINDOW)), Some(7));
        assert_eq!(window.admit(start.after(LINES_WINDOW)), Some(0));
    }
}
