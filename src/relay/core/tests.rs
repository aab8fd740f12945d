//! The core under invented time.

mod answers;
mod holds;
mod lives;
mod moves;
mod oversleeping;
pub mod peer;
mod proofs;
mod pushes;
mod rows;
mod simulation;
mod story;
mod world;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::base::clock::Moment;
use crate::base::network::ClientNetwork;
use crate::config::plan::Rules;
use crate::registry::{PushBudget, PushLevel, PushMessage};
use crate::wire::message::message;

/// What a pushed message begins with; no peer says so.
pub const PUSHED: &[u8] = b"pushed";

/// A message of ours, for whose being read somebody waits for a while, or nobody does.
pub fn push_message(payload: &[u8], rng: &mut Rng, now: Moment) -> Arc<PushMessage> {
    let levels = [PushLevel::Queued, PushLevel::Written, PushLevel::Read];
    let level = rng.choice(levels).unwrap_or_default();
    let until = now.after(Duration::from_secs(rng.u64(1..20)));
    let room = PushBudget::new(payload.len())
        .take(ClientNetwork::Unshared, payload.len())
        .expect("all of it");
    PushMessage::new(message(false, payload), payload.len(), level, until, room)
}

/// Rules with nothing on.
pub fn rules() -> Rules {
    Rules {
        ping_interval: None,
        max_lifetime_jitter_percent: 0,
        close_timeout: Duration::from_secs(10),
        ..Rules::default()
    }
}

/// What holds whenever nothing moves.
pub fn check(core: &super::Core, taken_back_max: u64) {
    if let Some(hold) = &core.hold {
        hold.check(core.end.is_some(), taken_back_max);
    }
}

/// An upstream that was just attached has nothing of the one before.
pub fn assert_fresh(core: &super::Core) {
    use super::side_state::{CloseState, RecvState};
    let upstream = &core.sides[crate::base::side::Side::Upstream as usize];
    assert_eq!((upstream.recv, upstream.close), (RecvState::Open, CloseState::Open));
    assert!(!upstream.ended && !upstream.write_failed && !upstream.owes_close);
    assert!(upstream.wait.is_none(), "a wait of the upstream before");
    assert_eq!(upstream.outbox.next(true), None, "said to the upstream before");
    assert!(upstream.tracker.at_message_boundary(), "heard of the upstream before");
}
