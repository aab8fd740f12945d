//! A route's `hold`: what happens to its sessions while their upstream is away.

use std::time::Duration;

use super::super::fault::Fault;
use super::words::Resumption;
use super::{Number, OneOrMany, Size, Spanned, Time, seconds};

table! {
    /// How a session's client stays connected while its upstream is away. `hold = {}` has every
    /// default. "How a session is held" says what is kept, what may be lost and what it costs.
    HoldTable "Hold", "a table; `{}` has every default" => Hold [Hash], HoldParts {
        /// Close codes by which an upstream says that it goes away.
        lost_codes: Vec<u16>,
        /// When a new upstream takes up a session.
        resume: Resumption,
        /// The age at which a kept message is too old to be carried out.
        message_age_max: Duration,
    };

    /// When a session goes on at another backend. `confirmed`: when that backend's 101 has the
    /// handshake's `Tidegate-Resume` in it, by which it says that it knows the session, or that it
    /// needs to know nothing; else the client reads 1012, now that there is a backend to come back
    /// to. `always`: whatever the backend says, for applications that need nothing to go on. It is
    /// the default where `replay_first` gives a backend what it needs.
    next resume: Resumption = Resumption::Confirmed, as in "always";
    /// The longest time an upstream may be away. The session then ends with 1012.
    next timeout: Time as Duration = seconds(30), as in "2m";
    /// Bytes of a session's messages that are kept for the next upstream, 1KiB to 64MiB. When they
    /// are used up, the client is not read, and so its pings are not answered.
    next buffer_bytes_max: Size as u64 = Size(256 << 10), by buffer, as in "1MiB";
    /// The longest time a client is not read because the buffer is full. The session then ends with
    /// 1013. It ends so earlier when a kept message reaches `message_age_max`.
    next full_timeout: Time as Duration = seconds(5), as in "2s";
    /// The age at which a kept message is too old to be carried out. The session then ends with
    /// 1012, or with 1013 where its buffer is full. It is `timeout` where nothing is written.
    /// Orders and games want less; every message counts, a library's heartbeat too.
    next message_age_max: Time, as in "5s";
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
    /// The bytes of a handshake that is stored for the session's life, cookies included, 64KiB at
    /// most. A session with a larger one is not held; the log says so.
    next head_bytes_max: Size as u64 = Size(16 << 10), by head, as in "4KiB";
    /// The number of a new upstream's first messages, its answers to what was sent again, that are
    /// not passed on. Kept messages wait for the last of them. Needs `replay_first`.
    next swallow_first: Number<0> as u32 = Number(0), as in 1;
    /// The time a new upstream has for those answers. The session then ends with 1012.
    next swallow_timeout: Time as Duration = seconds(5), as in "2s";
    /// The time after which a new upstream is believed, once it has passed a whole message too.
    /// Before, its loss is one more of the same absence: `timeout` and the waits between attempts
    /// go on, and a Close of it, whatever its code, reads as 1012 at the client.
    next proof_time: Time as Duration = seconds(10), as in "30s";
    /// The number of upstreams that a session may be given in a minute, as long as none of them is
    /// believed. Then it waits.
    next resumptions_per_minute_max: Number<1> as u32 = Number(20), as in 5;
    /// The number of handshakes of this route that may wait while no backend can be reached; one
    /// client may have at most half of the places. More are answered 503 at once. With 0 none
    /// waits.
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

fn head(size: &Size) -> Result<u64, Fault> {
    within(*size, Size(1 << 10), Size(64 << 10))
}

fn within(size: Size, least: Size, most: Size) -> Result<u64, Fault> {
    if (least.0..=most.0).contains(&size.0) {
        return Ok(size.0);
    }
    Err(Fault::new(format!("must be from `{least}` to `{most}`, not: `{size}`")))
}
