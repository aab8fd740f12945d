//! Every reason a session can end, and what each side reads of it.
//!
//! **In:** nothing. **Out:** [`End`], a value made once, and its row in the table: close codes, log
//! word, metric label. **Never here:** tokio, sockets, clocks. It is the only place with close
//! codes to send (RFC 6455 §7.4).

use crate::base::label::Label;
use crate::base::side::Side;
use crate::wire::frame::Violation;

mod words;
pub use words::{CODE_WORDS, CloseCodes};

/// What a side reads when its session ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// A Close frame with this code, at a frame boundary.
    Close(u16),
    /// The Close of the side across, as it came.
    PassOn,
    /// It closed first: it is owed the answer of the side across, ours after `close_timeout`.
    Echo,
    /// No Close frame: the transport is closed, so that no side reads of what did not happen.
    Cut,
    /// Nothing: it is gone.
    Gone,
}

/// How a side's transport was lost without a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Loss {
    /// An orderly end of the stream.
    Eof,
    /// A reset, or another error of the transport.
    Reset,
}

/// Which size limit a message broke.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SizeLimit {
    /// `frame_bytes_max`.
    Frame,
    /// `message_bytes_max`.
    Message,
}

/// Why sessions are drained.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The process stops.
    Stop,
    /// A reload removed the session's route, pool, backend or listener.
    Removed,
    /// An operator asked for it.
    Command,
    /// Sessions are spread anew over their pool: they move, and none is closed for it.
    Rebalance,
    /// A new process takes over.
    Restart,
    /// The session's backend has been out for too long.
    Unhealthy,
    /// A person, or a policy, ended this one session.
    Kick,
    /// The right to this one session was taken back.
    Revoked,
}

impl Reason {
    /// Every reason there is, each once.
    pub const EVERY: [Reason; 8] = [
        Reason::Stop,
        Reason::Removed,
        Reason::Command,
        Reason::Rebalance,
        Reason::Restart,
        Reason::Unhealthy,
        Reason::Kick,
        Reason::Revoked,
    ];

    /// Whether a session can be closed for it.
    pub const fn closes(self) -> bool {
        !matches!(self, Reason::Rebalance)
    }

    /// The close code for the client, unless the route or the operator chose another.
    pub const fn code(self) -> u16 {
        match self {
            // It is not asked to come back.
            Reason::Kick => 1008,
            // As one whose token has expired: it may have another.
            Reason::Revoked => 4403,
            _ => 1012,
        }
    }
}

impl Label for Reason {
    fn label(&self) -> &'static str {
        match self {
            Reason::Stop => "stop",
            Reason::Removed => "removed",
            Reason::Command => "drain",
            Reason::Rebalance => "rebalance",
            Reason::Restart => "restart",
            Reason::Unhealthy => "unhealthy",
            Reason::Kick => "kicked",
            Reason::Revoked => "revoked",
        }
    }
}

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// A side sent a Close; `code` is 1005 when the frame carried none (RFC 6455 §7.1.5).
    Closed {
        /// The side that sent it.
        by: Side,
        /// The code seen.
        code: u16,
    },
    /// A side's transport ended without a Close.
    Lost {
        /// The side that was lost.
        side: Side,
        /// How its transport ended.
        how: Loss,
    },
    /// No data message passed for `idle_timeout`.
    Idle,
    /// No byte came from the side for `pong_timeout` after our ping.
    Silent {
        /// The side that is silent.
        side: Side,
    },
    /// `max_lifetime` was reached.
    Lifetime,
    /// The token it was opened with has expired.
    Expired,
    /// Drained.
    Drained(Reason),
    /// Drained with an operator's own code for the client.
    DrainedWith {
        /// Why it was drained.
        reason: Reason,
        /// The code.
        code: u16,
    },
    /// A side broke the protocol.
    Violation {
        /// The side that broke it.
        by: Side,
        /// What it did.
        what: Violation,
    },
    /// A side's message or frame was over its limit.
    TooBig {
        /// The side that sent it.
        by: Side,
        /// The limit that was passed.
        limit: SizeLimit,
    },
    /// The client sends more, or faster, than it may.
    TooFast,
    /// The client took nothing for `slow_timeout`, while bytes waited for it.
    TooSlow,
    /// A side does not read and there is no room to keep more for it.
    NoRoom {
        /// The side that does not read.
        side: Side,
    },
    /// tidegate's own fault.
    Fault,
}

impl End {
    /// What `side` reads: the table of ends, row by row.
    pub const fn farewell(self, side: Side) -> Farewell {
        let client = matches!(side, Side::Client);
        match self {
            End::Closed { by, .. } if same(by, side) => Farewell::Echo,
            End::Closed { .. } => Farewell::PassOn,
            End::Lost { side: lost, .. } if same(lost, side) => Farewell::Gone,
            // A forged 1001 would tell presence code that the tab was closed.
            End::Lost { side: Side::Client, .. } => Farewell::Cut,
            End::Lost { side: Side::Upstream, .. } => Farewell::Close(1012),
            End::Silent { side: silent } if same(silent, side) => Farewell::Cut,
            End::Silent { side: Side::Client } => Farewell::Cut,
            End::Silent { side: Side::Upstream } => Farewell::Close(1012),
            End::Idle => Farewell::Close(1001),
            End::Lifetime if client => Farewell::Close(1012),
            // graphql-ws gives up for good at 1008 and 4401, and comes back after this one.
            End::Expired if client => Farewell::Close(4403),
            End::Drained(why) if client => Farewell::Close(why.code()),
            End::DrainedWith { code, .. } if client => Farewell::Close(code),
            End::Violation { by, .. } if same(by, side) => Farewell::Close(1002),
            End::TooBig { by, .. } if same(by, side) => Farewell::Close(1009),
            End::TooFast if client => Farewell::Close(1008),
            End::TooSlow | End::NoRoom { .. } if client => Farewell::Close(1013),
            End::Fault if client => Farewell::Close(1012),
            End::Fault => Farewell::Close(1011),
            _ => Farewell::Close(1001),
        }
    }

    /// The side that caused the end, where one did; `None` when tidegate or its operator did.
    pub const fn by(self) -> Option<Side> {
        match self {
            End::Closed { by, .. } | End::Violation { by, .. } | End::TooBig { by, .. } => Some(by),
            End::Lost { side, .. } | End::Silent { side } | End::NoRoom { side } => Some(side),
            End::TooFast | End::TooSlow => Some(Side::Client),
            _ => None,
        }
    }

    /// Every end there is, each once, for tests, metrics and the manual.
    pub fn every() -> Vec<End> {
        let mut every = vec![End::Idle, End::Lifetime, End::Expired, End::Fault];
        every.extend([End::TooFast, End::TooSlow]);
        let closing = Reason::EVERY.into_iter().filter(|reason| reason.closes());
        every.extend(closing.clone().map(End::Drained));
        every.extend(closing.map(|reason| End::DrainedWith { reason, code: 4000 }));
        for side in Side::BOTH {
            every.extend([
                End::Closed { by: side, code: 1000 },
                End::Lost { side, how: Loss::Eof },
                End::Silent { side },
                End::Violation { by: side, what: Violation::ReservedBit },
                End::TooBig { by: side, limit: SizeLimit::Message },
                End::NoRoom { side },
            ]);
        }
        every
    }
}

impl Label for End {
    fn label(&self) -> &'static str {
        match self {
            End::Closed { by: Side::Client, .. } => "client_closed",
            End::Closed { by: Side::Upstream, .. } => "upstream_closed",
            End::Lost { side: Side::Client, .. } => "client_lost",
            End::Lost { side: Side::Upstream, .. } => "upstream_lost",
            End::Idle => "idle",
            End::Silent { side: Side::Client } => "client_silent",
            End::Silent { side: Side::Upstream } => "upstream_silent",
            End::Lifetime => "lifetime",
            End::Expired => "expired",
            End::Drained(reason) | End::DrainedWith { reason, .. } => reason.label(),
            End::Violation { .. } => "violation",
            End::TooBig { .. } => "too_big",
            End::TooFast => "too_fast",
            End::TooSlow => "too_slow",
            End::NoRoom { .. } => "no_room",
            End::Fault => "fault",
        }
    }
}

const fn same(one: Side, other: Side) -> bool {
    one as u8 == other as u8
}

#[cfg(test)]
mod tests;
