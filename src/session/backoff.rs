//! How long one waits before a backend is asked again, when none was up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::timeout;

use crate::base::clock;
use crate::live::LiveRoute;
use crate::pool::Pool;

/// The longest first wait; the longest wait doubles with each attempt.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait of few.
const MOST: Duration = Duration::from_secs(1);

/// Where many wait, they wait longer, so that all those of a route together ask no more often than
/// this in a second. The first to be answered wakes the others.
const ASKS_PER_SECOND: u32 = 1000;

/// Exponential back-off with full jitter.
#[derive(Debug)]
pub(super) struct Backoff {
    most: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { most: FIRST }
    }

    /// The back-off of a session that has had so many attempts.
    pub(super) fn after(attempts: u32) -> Backoff {
        Backoff { most: FIRST.saturating_mul(1 << attempts.min(10)).min(MOST) }
    }

    /// How long to wait now, where so many wait for a backend of this pool. When all are ejected,
    /// that is until the next trial.
    pub(super) fn next(&mut self, pool: Option<&Pool>, waiting: u64) -> Duration {
        match pool.and_then(|pool| pool.until_waiting_trial(clock::now())) {
            Some(trial) => trial + spread(FIRST, waiting),
            None => {
                let most = self.most;
                self.most = (most * 2).min(MOST);
                spread(most, waiting)
            }
        }
    }
}

/// A random part of `most`, or of more where many wait.
fn spread(most: Duration, waiting: u64) -> Duration {
    // On average half of it passes.
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    let crowd = Duration::from_secs(2).saturating_mul(waiting) / ASKS_PER_SECOND;
    most.max(crowd).mul_f64(fastrand::f64())
}

/// The moment at which a backend of a route answers somebody, from now on: made before an attempt,
/// so that an answer that comes during the attempt ends the wait behind it.
pub(super) fn returned(route: &LiveRoute) -> OwnedNotified {
    Arc::clone(&route.returned).notified_owned()
}

/// Waits so long, or until a backend of the route has answered somebody.
pub(super) async fn pause(wait: Duration, returned: OwnedNotified) {
    // That the time is over is no error.
    let _ = timeout(wait, returned).await;
}

/// A backend has opened a WebSocket: who waits for one need wait no longer.
pub(super) fn wake(route: &LiveRoute) {
    if waiting(route) > 0 {
        route.returned.notify_waiters();
    }
}

/// Sessions and handshakes of a route that wait for a backend.
pub(super) fn waiting(route: &LiveRoute) -> u64 {
    let queued = u64::try_from(route.cells.totals.queued.get()).unwrap_or(0);
    route.cells.held().saturating_add(queued)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_spread() {
        let mut backoff = Backoff::new();
        assert!(backoff.next(None, 1) <= FIRST);
        for _ in 0..20 {
            assert!(backoff.next(None, 1) <= MOST);
        }
        let waits: Vec<Duration> = (0..200).map(|_| backoff.next(None, 1)).collect();
        assert!(waits.iter().any(|wait| *wait < MOST / 4));
        assert!(waits.iter().any(|wait| *wait > MOST * 3 / 4));
    }

    #[test]
    fn ten_thousand_ask_no_more_often_than_a_thousand_do() {
        for waiting in [1_000, 10_000] {
            let waits = (0..waiting).map(|_| Backoff::new().next(None, waiting).as_secs_f64());
            let mean = waits.sum::<f64>() / waiting as f64;
            let rate = waiting as f64 / mean;
            assert!((800. ..1300.).contains(&rate), "{rate} asks per second");
        }
        assert!(Backoff::new().next(None, u64::MAX) > MOST);
    }
}
