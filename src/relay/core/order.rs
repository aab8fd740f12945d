//! What a core asks of whoever drives it.

use std::sync::Arc;
use std::time::Duration;

use super::demand::{HoldCause, HoldEnd};
use crate::base::side::Side;
use crate::registry::PushMessage;
use crate::wire::control::ControlFrame;
use crate::wire::frame::{CONTROL_BYTES_MAX, HEADER_BYTES_MAX};

/// Bytes that a core may ask to be presented again with more behind them: a control frame but for
/// its last byte, or less.
pub(in crate::relay) const UNDECIDED_BYTES_MAX: usize = HEADER_BYTES_MAX + CONTROL_BYTES_MAX;

/// What is to be done.
#[derive(Debug)]
pub(in crate::relay) enum Order {
    /// This frame goes to the side, behind all that went before.
    Send {
        /// To whom.
        to: Side,
        /// What.
        frame: ControlFrame,
        /// Whether the stream's end follows at once.
        last: bool,
    },
    /// This message of ours goes to the client, behind all that went before.
    Push(Arc<PushMessage>),
    /// When all that goes to the side is sent: end it so, then tell `on_finished`.
    Finish(Side, Finish),
    /// Close the side's transport now; with a reset where bytes are lost by it, or when told so.
    Drop {
        /// Which.
        side: Side,
        /// Whether nothing is to linger for it.
        reset: bool,
    },
    /// Tell `on_probed` how the side's sending goes.
    Probe(Side),
    /// It took the side so long to answer a ping.
    Answered(Side, Duration),
    /// These bytes go to the upstream, behind all that went before.
    Flush(Flush),
    /// It was asked to move, and stays where it is.
    Stays,
    /// The client's messages are kept from now on: it is read again, though its upstream may take
    /// nothing.
    Keeps,
    /// The upstream is away from now on.
    HoldBegan(HoldCause),
    /// It no longer is.
    HoldEnded {
        /// How that came to its end.
        result: HoldEnd,
        /// How long it took.
        lasted: Duration,
        /// The client's messages whose rest was left out.
        discarded: u64,
    },
}

/// How a side's stream is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::relay) enum Finish {
    /// What we send ends; what it says is still read.
    Half,
    /// Nothing legal can follow from it either.
    Both,
}

/// Bytes for an upstream that takes up a session.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::relay) struct Flush {
    /// Whole frames, but for the last.
    pub(in crate::relay) bytes: Vec<u8>,
    /// Of these, messages and bytes that were not counted before; `None` where they are a replay.
    pub(in crate::relay) fresh: Option<(u64, u64)>,
}
