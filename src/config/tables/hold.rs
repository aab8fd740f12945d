//! A route's `hold`: what happens to its sessions while their upstream is away.

use std::time::Duration;

use super::super::fault::Fault;
use super::{Number, OneOrMany, Size, Spanned, Time, seconds};

table! {
    /// How a session's client stays connected while its upstream is away. `hold = {}` has every
    /// default. "How a session is held" says what is kept, what may be lost and what it costs.
    HoldTable "Hold", "a table; `{}` has every default" => Hold [Hash], HoldParts {
        /// Close codes by which an upstream says that it goes away.
        lost_codes: Vec<u16>,
    };

    /// The longest time an upstream may be away. The session then ends with 1012.
    next timeout: Time as Duration = seconds(30), as in "2m";
    /// Bytes of a session's messages that are kept for the next upstream, 1KiB to 64MiB. When they
    /// are used up, the client is not read, and so its pings are not answered.
    next buffer_bytes_max: Size as u64 = Size(256 << 10), by buffer, as in "1MiB";
    /// The longest time a client is not read because the buffer is full. The session then ends with
    /// 1013. It ends so earlier when a kept message reaches `message_age_max`, which with the
    /// defaults comes first.
    next full_timeout: Time as Duration = seconds(5), as in "2s";
    /// The age at which a kept message is too old to be carried out. The session then ends with
    /// 1012, or with 1013 where its buffer is full. A session whose client sends nothing waits for
    /// all of `timeout`.
    next message_age_max: Time as Duration = seconds(5), as in "20s";
    /// Close codes that say that an upstream goes away and its sessions are to be held. An upstream
    /// that is silent, or gone without a Close, is always lost.
    next lost_codes: OneOrMany<Number<1000, 4999>> = codes([1001, 1012, 1013]),
        as in [1001, 1012, 1013, 4000];
    /// The number of a client's first messages that are kept for the session's life and sent again
    /// to each new upstream: a login, a subscription. Use it only for openings that may be
    /// repeated. A message that the client sent after an answer waits for that answer again.
    next replay_first: Number<0> as u32 = Number(0), as in 2;
    /// The bytes of those messages, 1MiB at most. A session that sends more is not held.
    next replay_bytes_max: Size as u64 = Size(16 << 10), by replay, as in "64KiB";
    /// The number of a new upstream's first messages, its answers to what was sent again, that are
    /// not passed on. Kept messages wait for the last of them. Needs `replay_first`.
    next swallow_first: Number<0> as u32 = Number(0), as in 1;
    /// The time a new upstream has for those answers. The session then ends with 1012.
    next swallow_timeout: Time as Duration = seconds(5), as in "2s";
    /// The number of handshakes of this route that may wait while no backend is up. More are
    /// answered 503 at once. With 0 none waits.
    next queue_max: Number<0> = Number(1024), as in 10_000;
    /// The longest time they wait. They are then answered 503, or what a backend answered last.
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
