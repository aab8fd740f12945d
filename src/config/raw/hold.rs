//! A route's `hold`: what happens to its sessions while their upstream is away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Many, Number, Size, Time, Written, seconds};

/// How a session's client stays while its upstream is away. `hold = {}` has every default. What
/// is kept, what may be lost and what it costs is told in "How a session is held".
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table; `{}` has every default")]
pub struct Hold {
    /// How long an upstream may be away; then the session ends with 1012.
    #[schemars(example = &"2m", extend("x-reload" = "next"))]
    pub timeout: Written<Time>,
    /// Bytes of a session's messages that are kept for the next upstream; when they are full, its
    /// client is read no further, and so its pings are not answered. 1KiB to 64MiB.
    #[schemars(example = &"1MiB", extend("x-reload" = "next"))]
    pub buffer: Written<Size>,
    /// How long a client may be left unread by a full buffer; then the session ends with 1013. So
    /// it does when a kept message is older than `message_age_max` meanwhile, which with the
    /// defaults comes first.
    #[schemars(example = &"2s", extend("x-reload" = "next"))]
    pub full_timeout: Written<Time>,
    /// The age at which a kept message is too old to be carried out: its session ends instead, with
    /// 1012, or with 1013 where its buffer is full. A session whose client is silent meanwhile
    /// waits for all of `timeout`.
    #[schemars(example = &"20s", extend("x-reload" = "next"))]
    pub message_age_max: Written<Time>,
    /// Close codes by which an upstream says that it goes away, and its sessions are to be held.
    /// An upstream that is gone without a Close, or silent, is lost in any case.
    #[schemars(example = [1001, 1012, 1013, 4000], extend("x-reload" = "next"))]
    pub lost_codes: Written<Many<Number<0>>>,
    /// So many of the client's first messages are kept for the session's life and sent again to
    /// each new upstream: a login, a subscription. Only for openings that may be repeated. One that
    /// the client sent after an answer waits for that answer again, where it is swallowed.
    #[schemars(example = 2, extend("x-reload" = "next"))]
    pub replay_first: Written<Number<0>>,
    /// Bytes of those messages, 1MiB at most; a session that sends more is not held.
    #[schemars(example = &"64KiB", extend("x-reload" = "next"))]
    pub replay_bytes_max: Written<Size>,
    /// So many of a new upstream's first messages, its answers to what was sent again, are not
    /// passed on; kept messages wait for the last of them. With `replay_first`.
    #[schemars(example = 1, extend("x-reload" = "next"))]
    pub swallow_first: Written<Number<0>>,
    /// How long a new upstream may take for those answers; then the session ends with 1012.
    #[schemars(example = &"2s", extend("x-reload" = "next"))]
    pub swallow_timeout: Written<Time>,
    /// Handshakes of this route that may wait while no backend is up; more are answered 503 at
    /// once. 0: none waits.
    #[schemars(example = 10_000, extend("x-reload" = "next"))]
    pub queue_max: Written<Number<0>>,
    /// How long they may wait; then 503, or what a backend answered last.
    #[schemars(example = &"30s", extend("x-reload" = "next"))]
    pub queue_timeout: Written<Time>,
}

impl Default for Hold {
    fn default() -> Hold {
        let code = |code| Written::unless(Number(code));
        Hold {
            timeout: seconds(30),
            buffer: Written::unless(Size(256 << 10)),
            full_timeout: seconds(5),
            message_age_max: seconds(5),
            lost_codes: Written::unless(Many([1001, 1012, 1013].map(code).into())),
            replay_first: Written::unless(Number(0)),
            replay_bytes_max: Written::unless(Size(16 << 10)),
            swallow_first: Written::unless(Number(0)),
            swallow_timeout: seconds(5),
            queue_max: Written::unless(Number(1024)),
            queue_timeout: seconds(10),
        }
    }
}
