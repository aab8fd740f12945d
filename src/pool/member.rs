//! How a pool's members stand.

use std::time::Duration;

use super::health::Standing;
use crate::base::clock::Moment;

/// The least and the most that a client is asked to wait when no backend is left.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// How one member stands at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) standing: Standing,
    /// Whether it was not found to be out of reach, whatever else speaks against it.
    pub(super) is_reachable: bool,
    /// When it is asked: those of rank 0 first, the others when none of those can be. `None`: it
    /// is given no work.
    pub(super) rank: Option<u8>,
    /// Its weight in thousandths, less while it starts slowly.
    pub(super) weight: u64,
}

impl Member {
    pub(super) fn is_up(&self) -> bool {
        matches!(self.standing, Standing::Up | Standing::Trial)
    }
}

/// When it is worth to come again, where all of them were tried or are full.
pub(super) fn retry_after(members: &[Member], now: Moment) -> Duration {
    let wait = |member: &Member| match member.standing {
        Standing::Ejected { until } => Some(until.since(now)),
        Standing::Up | Standing::Trial | Standing::Unproven => None,
    };
    let [least, most] = RETRY_AFTER;
    let soonest = members.iter().filter_map(wait).min().unwrap_or(least);
    let seconds = soonest.as_millis().div_ceil(1000);
    let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    whole.clamp(least, most)
}
