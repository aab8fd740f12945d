//! Why a backend takes no handshake now.

use std::fmt;
use std::time::Duration;

/// Handshakes that may wait for a permit of one backend; more are refused at once.
pub const HANDSHAKES_WAITING_MAX: usize = 16_384;

/// Why a handshake got no permit: the backend has as many under way, or begun, as it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Busy {
    /// Too many wait already.
    Queue,
    /// It was under way for longer than it may while others wait.
    GaveWay {
        /// How long.
        after: Duration,
    },
    /// It waited as long as a connection may take.
    Waited {
        /// How long.
        after: Duration,
    },
    /// So many may begin in a second that its turn would come too late.
    Paced {
        /// How many.
        rate: u32,
    },
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Busy::Queue => {
                write!(f, "handshakes that wait for one backend: over {HANDSHAKES_WAITING_MAX}")
            }
            Busy::GaveWay { after } => {
                write!(f, "no answer in the time a handshake has while others wait: {after:?}")
            }
            Busy::Waited { after } => write!(
                f,
                "no other handshake ended in time (`handshakes_in_flight_max` is reached): \
                 {after:?}"
            ),
            Busy::Paced { rate } => {
                write!(f, "its turn by `handshake_rate_max` would come too late: {rate}/s")
            }
        }
    }
}

impl std::error::Error for Busy {}
