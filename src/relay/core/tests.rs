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

use crate::config::plan::{Rules, Validation};
use crate::end::CloseCodes;

/// Rules with nothing on.
pub fn rules() -> Rules {
    Rules {
        validation: Validation::Strict,
        message_bytes_max: None,
        frame_bytes_max: None,
        idle_timeout: None,
        ping_interval: None,
        pong_timeout: Duration::from_secs(20),
        max_lifetime: None,
        max_lifetime_jitter_percent: 0,
        close_timeout: Duration::from_secs(10),
        close_codes: CloseCodes::default(),
    }
}
