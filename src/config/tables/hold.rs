//! A route's `hold`: what happens to its sessions while their upstream is away.

use std::time::Duration;

use super::super::fault::Fault;
use super::{Number, OneOrMany, Size, Spanned, Time, seconds};

table! {
    /// How a session's client stays while its upstream is away. `hold = {}` has every default. What
    /// is kept, what may be lost and what it costs is told in "How a session is held".
    HoldTable "Hold", "a table; `{}` has every default" => Hold [Hash], HoldParts {
        /// Close codes by which an upstream says that it goes away.
        lost_codes: Vec<u16>,
    };

    /// How long an upstream may be away; then the session ends with 1012.
    next timeout: Time as Duration = seconds(30), as in "2m";
    /// Bytes of a session's messages that are kept for the next upstream; when they are full, its
    /// client is read no further, and so its pings are not answered. 1KiB to 64MiB.
    next buffer_bytes_max: Size as u64 = Size(256 << 10), by buffer, as in "1MiB";
    /// How long a client may be left unread by a full buffer; then the session ends with 1013. So
    /// it does when a kept message is older than `message_age_max` meanwhile, which with the
    /// defaults comes first.
    next full_timeout: Time as Duration = seconds(5), as in "2s";
    /// The age at which a kept message is too old to be carried out: its session ends instead, with
    /// 1012, or with 1013 where its buffer is full. A session whose client is silent meanwhile
    /// waits for all of `timeout`.
    next message_age_max: Time as Duration = seconds(5), as in "20s";
    /// Close codes by which an upstream says that it goes away, and its sessions are to be held.
    /// An upstream that is gone without a Close, or silent, is lost in any case.
    next lost_codes: OneOrMany<Number<1000, 4999>> = codes([1001, 1012, 1013]),
        as in [1001, 1012, 1013, 4000];
    /// So many of the client's first messages are kept for the session's life and sent again to
    /// each new upstream: a login, a subscription. Only for openings that may be repeated. One that
    /// the client sent after an answer waits for that answer again, where it is swallowed.
    next replay_first: Number<0> as u32 = Number(0), as in 2;
    /// Bytes of those messages, 1MiB at most; a session that sends more is not held.
    next replay_bytes_max: Size as u64 = Size(16 << 10), by replay, as in "64KiB";
    /// So many of a new upstream's first messages, its answers to what was sent again, are not
    /// passed on; kept messages wait for the last of them. With `replay_first`.
    next swallow_first: Number<0> as u32 = Number(0), as in 1;
    /// How long a new upstream may take for those answers; then the session ends with 1012.
    next swallow_timeout: Time as Duration = seconds(5), as in "2s";
    /// Handshakes of this route that may wait while no backend is up; more are answered 503 at
    /// once. 0: none waits.
    next queue_max: Number<0> = Number(1024), as in 10_000;
    /// How long they may wait; then 503, or what a backend answered last.
    next queue_timeout: Time = seconds(10), as in "30s";
}

fn codes(codes: [u32; 3]) -> OneOrMany<Number<1000, 4999>> {
    OneOrMany(codes.map(|code| Spanned::by_default(Number(code))).into())
}

fn buffer(size: &Size) -> Result<u64, Fault> {
    within(*size, Size(1 << 10), Size(64 << 20))
}

/// Each session keeps that much for its life.
fn replay(size: &Size) -> Result<u64, Fault> {
    within(*size, Size(1), Size(1 << 20))
}

fn within(size: Size, least: Size, most: Size) -> Result<u64, Fault> {
    if (least.0..=most.0).contains(&size.0) {
        return Ok(size.0);
    }
    Err(Fault::new(format!("must be from `{least}` to `{most}`, not: `{size}`")))
}
