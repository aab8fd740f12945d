//! The core under invented time.

mod holds;
mod lives;
mod moves;
mod peer;
mod rows;
mod simulation;
mod story;
mod world;

use std::time::Duration;

use crate::config::plan::Rules;

/// Rules with nothing on.
pub fn rules() -> Rules {
    Rules {
        ping_interval: None,
        max_lifetime_jitter_percent: 0,
        close_timeout: Duration::from_secs(10),
        ..Rules::default()
    }
}
