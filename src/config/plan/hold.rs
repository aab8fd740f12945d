//! How sessions are held while their upstream is away.

use std::time::Duration;

/// How a session is held: its client stays while its upstream is away. What a session was opened
/// under is kept for its life; a reload's changes reach the next handshake.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hold {
    /// The longest time an upstream may be away; then the client gets 1012.
    pub timeout: Duration,
    /// Bytes of a session's messages that are kept; then its client is no longer read.
    pub buffer_bytes_max: u64,
    /// Time a client may be kept from being read by a full buffer; then it gets 1013.
    pub full_timeout: Duration,
    /// Age of a kept message at which it is not carried out any more: its session ends with 1012.
    pub message_age_max: Duration,
    /// Close codes of an upstream that mean it is lost, beside an end without a Close.
    pub lost_codes: Vec<u16>,
    /// The client's first messages that are sent again to a new upstream.
    pub replay_first: u32,
    /// Bytes of those messages; a session that sent more cannot be held.
    pub replay_bytes_max: u64,
    /// A new upstream's first messages, the answers to those, that the client does not see again.
    pub swallow_first: u32,
    /// Time for those answers; then the client gets 1012.
    pub swallow_timeout: Duration,
}

/// How handshakes wait while no backend is up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Queue {
    /// So many at most; more are answered at once.
    pub handshakes_max: usize,
    /// So long at most.
    pub timeout: Duration,
}
