//! The one clock. Everywhere else time is an argument.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A moment on the process's monotonic clock, in milliseconds since the clock was first asked.
///
/// Eight bytes, ordered, without a platform type in it, so that a session's state can be written
/// down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Later than every moment the clock can give: a deadline that never comes.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment `millis` milliseconds after the clock's start; for tests and for state read back.
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since the clock's start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `wait` later, never past [`Moment::NEVER`].
    pub fn after(self, wait: Duration) -> Moment {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(millis))
    }

    /// This moment and `time` before; the clock's start where it did not run for so long.
    pub fn before(self, time: Duration) -> Moment {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_sub(millis))
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The present moment.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Moment {
    let since = start().elapsed();
    Moment(since.as_secs() * 1000 + u64::from(since.subsec_millis()))
}

/// When the clock was first asked.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Does some work until a moment; `None` when it was not done by then. Unlike a time to wait, a
/// moment that is known need not be asked for once more.
pub async fn by<T>(deadline: Moment, work: impl Future<Output = T>) -> Option<T> {
    match start().checked_add(Duration::from_millis(deadline.0)) {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok(),
        None => Some(work.await),
    }
}

/// What is due is found so much later only where the process did not run: its machine slept, or it
/// was stopped.
pub const OVERSLEPT: Duration = Duration::from_secs(1);

/// Steps in which time is counted while the process runs.
const AWAKE_STEP: Duration = Duration::from_millis(250);

/// Waits for a time in which the process runs: one that it slept through does not count, for its
/// peers may have had none of it.
pub async fn sleep_awake(time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let (step, before) = (left.min(AWAKE_STEP), now());
        tokio::time::sleep(step).await;
        left = left.saturating_sub(awake(step, now().since(before)));
    }
}

/// Does some work within a time in which the process runs; `None` when it was not done by then.
pub async fn within_awake<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep_awake(time) => None,
    }
}

/// How much of the time that has passed in a wait for `step` counts.
fn awake(step: Duration, passed: Duration) -> Duration {
    if passed.saturating_sub(step) >= OVERSLEPT { step } else { passed.max(step) }
}

/// The wall clock, for what others say or read of time only: it may jump.
#[allow(clippy::disallowed_methods)]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The moment of a second since 1970 on the wall clock; now, where that is past.
pub fn moment_of(second: u64) -> Moment {
    now().after(Duration::from_secs(second).saturating_sub(since_1970()))
}

/// How long after 1970 it is, by the wall clock; nothing by one that is before it.
pub fn since_1970() -> Duration {
    wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The second since 1970 on the wall clock that is nearest to a moment, which is not past.
pub fn second_of(moment: Moment) -> u64 {
    let at = since_1970() + moment.since(now());
    at.as_secs() + u64::from(at.subsec_millis() >= 500)
}

/// Microseconds of the system's `CLOCK_MONOTONIC` (clock_gettime(2)), which a service manager
/// compares with its own.
pub fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    u64::try_from(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_later_than_any_wait() {
        assert_eq!(Moment::NEVER.after(Duration::from_secs(1)), Moment::NEVER);
        assert!(now().after(Duration::from_secs(86_400 * 365 * 1000)) < Moment::NEVER);
    }

    #[test]
    fn what_is_slept_through_does_not_count() {
        let seconds = Duration::from_secs;
        assert_eq!(awake(AWAKE_STEP, AWAKE_STEP), AWAKE_STEP);
        // A machine that is busy.
        assert_eq!(awake(AWAKE_STEP, seconds(1)), seconds(1));
        assert_eq!(awake(AWAKE_STEP, seconds(3_600)), AWAKE_STEP);
        // The clock counts whole milliseconds.
        assert_eq!(awake(AWAKE_STEP, Duration::ZERO), AWAKE_STEP);
    }

    #[test]
    fn a_second_of_the_wall_clock_is_found_again() {
        let in_an_hour = second_of(now()) + 3_600;
        assert!(second_of(moment_of(in_an_hour)).abs_diff(in_an_hour) <= 1);
    }

    #[test]
    fn since_a_later_moment_is_zero() {
        let early = Moment::from_millis(5);
        assert_eq!(early.since(Moment::from_millis(9)), Duration::ZERO);
        assert_eq!(Moment::from_millis(9).since(early), Duration::from_millis(4));
    }
}
