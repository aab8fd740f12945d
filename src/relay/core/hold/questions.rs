//! What the core may ask about a session that can be held.

use super::super::demand::{Demand, HoldEnd, HoldState};
use super::answers::ANSWER_TIME;
use super::{Hold, Stage};
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::registry::EndOrder;
use crate::wire::frame::Allowed;

impl Hold {
    /// When [`Hold::on_timeout`] is needed next.
    pub(in super::super) fn timeout(&self) -> Moment {
        let due = match self.stage {
            Stage::Over(_) => return Moment::NEVER,
            Stage::Leaving { until } => until,
            Stage::Listening { by } => by,
            Stage::Live => self.moving.as_ref().map_or(Moment::NEVER, |order| order.at),
            Stage::Asking { since } => self.ask_until(since),
            _ => self.upstream_by(),
        };
        due.min(self.room_by()).min(self.backlog.oldest().after(self.terms.message_age_max))
    }

    /// When an upstream, or its answers, are waited for no longer.
    pub(super) fn upstream_by(&self) -> Moment {
        match self.stage {
            Stage::Waiting { until, .. } => until.max(self.spared),
            Stage::Away => self.since.after(self.terms.timeout).max(self.spared),
            _ => Moment::NEVER,
        }
    }

    /// When room for more of the client's messages is waited for no longer.
    pub(super) fn room_by(&self) -> Moment {
        self.backlog.full_until(self.terms.full_timeout).max(self.spared)
    }

    /// How long another upstream is asked for where the session is to end if there is none: half of
    /// its time, so that there is enough to end it.
    pub(super) fn ask_until(&self, asked: Moment) -> Moment {
        let otherwise = self.moving.as_ref().and_then(|order| order.otherwise);
        let half = |order: EndOrder| asked.after(order.deadline.since(asked) / 2);
        otherwise.map_or(Moment::NEVER, half)
    }

    /// When what it leaves is to be cut, whatever was said by then.
    pub(super) fn leave_by(&self) -> Moment {
        let otherwise = self.moving.as_ref().and_then(|order| order.otherwise);
        otherwise.map_or(Moment::NEVER, |order| order.deadline)
    }

    /// How long the last answer of an upstream that is left is waited for: what is kept meanwhile
    /// must not become too old by that.
    pub(super) fn answers_by(&self) -> Moment {
        let most = self.terms.message_age_max.min(self.terms.full_timeout) / 4;
        self.answers.until(ANSWER_TIME.min(most))
    }

    /// Whether the upstream that it leaves is to be sent its Close now.
    pub(in super::super) fn wants_close(&self, now: Moment) -> bool {
        match self.stage {
            Stage::Listening { by } => by.min(self.answers_by()) <= now,
            _ => false,
        }
    }

    /// What the negotiated extensions allow, at each of its upstreams.
    pub(in super::super) fn allowed(&self) -> Allowed {
        self.transit.allowed()
    }

    /// Whether the client's messages are kept: they cannot go on, or not before others; or one is
    /// left out that cannot go on at all.
    pub(in super::super) fn keeps(&self) -> bool {
        let waiting = matches!(self.stage, Stage::Waiting { .. } | Stage::Listening { .. });
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
        use Stage::{Leaving, Listening, Parting};
        matches!(self.stage, Leaving { .. } | Listening { .. } | Parting { .. })
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
            Stage::Asking { .. } => Some(Demand::Target),
            _ => None,
        }
    }

    /// What holds whenever nothing moves; so many bytes may have been taken back from a transport.
    #[cfg(test)]
    pub(in super::super) fn check(&self, ended: bool, taken_back_max: u64) {
        let live = matches!(self.stage, Stage::Live | Stage::Asking { .. });
        assert!(!(live || ended) || self.backlog.is_empty(), "what was kept goes on or is lost");
        assert!(!live || !self.is_full(), "there is room where nothing is kept");
        let most = self.terms.buffer_bytes_max + taken_back_max;
        assert!(self.backlog.bytes() <= most, "{} bytes are kept", self.backlog.bytes());
    }
}
