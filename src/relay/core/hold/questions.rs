//! What the core may ask about a session that can be held.

use super::super::demand::{Demand, HoldEnd, HoldState};
use super::{Hold, Stage};
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::wire::frame::Allowed;

impl Hold {
    /// What the negotiated extensions allow, at each of its upstreams.
    pub(in super::super) fn allowed(&self) -> Allowed {
        self.transit.allowed()
    }

    /// Whether the client's messages are kept: they cannot go on, or not before others; or one is
    /// left out that cannot go on at all.
    pub(in super::super) fn keeps(&self) -> bool {
        let waiting = matches!(self.stage, Stage::Waiting { .. });
        let behind = self.discards || self.replay.is_due() || !self.backlog.is_empty();
        self.is_absent() || waiting || behind
    }

    /// Whether the rest of the client's message is left out.
    pub(in super::super) fn discards(&self) -> bool {
        self.discards
    }

    /// Whether nothing that the upstream says goes to the client: it repeats itself, or would have
    /// gone on to when the session ended.
    pub(in super::super) fn swallows(&self) -> bool {
        self.swallows
    }

    /// Whether the upstream is told nothing more.
    pub(in super::super) fn is_absent(&self) -> bool {
        matches!(self.stage, Stage::Parting { .. } | Stage::Away)
    }

    pub(in super::super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// Whether what goes to a side has nothing to do with where the side across stands: it is
    /// between two messages, wherever that is.
    pub(in super::super) fn stands_apart(&self, to: Side) -> bool {
        match to {
            Side::Client => self.swallows,
            Side::Upstream => self.is_over() || !self.is_absent() && self.keeps(),
        }
    }

    /// Whether the client is not read for want of room.
    pub(in super::super) fn is_full(&self) -> bool {
        self.backlog.is_full()
    }

    /// Whether it is about to leave its upstream, and still may not.
    pub(in super::super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving { .. } | Stage::Parting { .. })
    }

    /// Whether this upstream was closed because the session moves: its Close is the answer.
    pub(in super::super) fn said_move(&self) -> bool {
        self.said_move
    }

    /// Whether another upstream can be given the session's beginning.
    pub(in super::super) fn can_begin_again(&self, now: Moment) -> bool {
        !self.replay.is_overflowed() && !self.is_poisoned(now)
    }

    /// Whether what is recorded was sent to two upstreams in a row that are lost by now.
    pub(super) fn is_poisoned(&self, now: Moment) -> bool {
        self.proof.is_poisoned(&self.terms, self.has_record(), now)
    }

    /// Whether an upstream is sent recorded messages, or sent them itself.
    pub(super) fn has_record(&self) -> bool {
        self.replay.messages() > 0
    }

    /// Whether the upstream came a moment ago, in place of another: it may turn away a session that
    /// it does not know.
    pub(in super::super) fn is_newly_resumed(&self, now: Moment) -> bool {
        self.attempt > 0 && self.proof.is_young(&self.terms, now)
    }

    /// Whether an upstream that closes with this code only says that it goes.
    pub(in super::super) fn is_lost_code(&self, code: u16) -> bool {
        self.terms.lost_codes.contains(&code)
    }

    /// When an upstream that is left is dropped, whatever was said by then.
    pub(in super::super) fn part_by(&self) -> Moment {
        match self.stage {
            Stage::Parting { by } => by,
            _ => Moment::NEVER,
        }
    }

    /// What ran out while the session was held, if that is how it ended.
    pub(in super::super) fn ran_out(&self) -> Option<HoldEnd> {
        match self.stage {
            _ if self.poisoned => Some(HoldEnd::Poison),
            Stage::Over(result) if result != HoldEnd::Ended => Some(result),
            _ => None,
        }
    }

    /// What is needed from whoever polls the relay; `dropped` when the upstream's transport is.
    pub(in super::super) fn demand(&self, dropped: bool) -> Option<Demand> {
        match self.stage {
            Stage::Away if dropped => Some(Demand::Upstream(HoldState {
                since: self.since,
                why: self.cause,
                attempt: self.attempt,
                not_before: self.proof.next(&self.terms),
            })),
            Stage::Live { asked: Some(_) } => Some(Demand::Target),
            _ => None,
        }
    }

    /// What holds whenever nothing moves; so many bytes may have been taken back from a transport.
    #[cfg(test)]
    pub(in super::super) fn check(&self, ended: bool, taken_back_max: u64) {
        let live = matches!(self.stage, Stage::Live { .. });
        assert!(!(live || ended) || self.backlog.is_empty(), "what was kept goes on or is lost");
        assert!(!live || !self.is_full(), "there is room where nothing is kept");
        let most = self.terms.buffer_bytes_max + taken_back_max;
        assert!(self.backlog.bytes() <= most, "{} bytes are kept", self.backlog.bytes());
    }
}
