//! A session as plain data, between two messages: what is needed to go on with it elsewhere.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::wire::frame::{Allowed, Tracker};

use super::alive::Alive;
use super::closing::Way;
use super::tally::SideTally;
use super::{Half, Heard};

/// A session that stopped at a boundary of messages both ways, without its legs.
///
/// Plain data with a version, so that a session can be held while its upstream is away, moved to
/// another, and handed to another process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// What wrote it: [`State::VERSION`].
    pub version: u8,
    pub(super) sides: [SideState; 2],
    /// When the session began.
    pub opened: Moment,
    /// When a part of a data message last passed.
    pub last_data: Moment,
    pub(super) secret: u64,
    pub(super) lifetime_share: u8,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SideState {
    tracker: Tracker,
    /// Pings sent, so that late answers are still known as ours.
    pings: u32,
    tally: SideTally,
}

impl State {
    /// The version written now.
    pub const VERSION: u8 = 1;

    pub(super) fn begin(allowed: Allowed, seed: u64, now: Moment) -> State {
        let mut rng = fastrand::Rng::with_seed(seed);
        let side = |side| SideState {
            tracker: Tracker::new(side, allowed),
            pings: 0,
            tally: SideTally::default(),
        };
        State {
            version: State::VERSION,
            sides: Side::BOTH.map(side),
            opened: now,
            last_data: now,
            secret: rng.u64(..),
            lifetime_share: rng.u8(..),
        }
    }
}

impl From<SideState> for Half {
    fn from(state: SideState) -> Half {
        Half {
            tracker: state.tracker,
            heard: Heard::Frames,
            ended: false,
            deaf: false,
            way: Way::Open,
            alive: Alive::new(state.pings),
            tally: state.tally,
        }
    }
}

impl From<&Half> for SideState {
    fn from(half: &Half) -> SideState {
        SideState { tracker: half.tracker.clone(), pings: half.alive.pings(), tally: half.tally }
    }
}
