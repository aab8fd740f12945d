//! `[relay]` and a route's `relay`: what a WebSocket session is held to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Named, Number, Percent, Size, Switch, Time, Written, seconds};

/// What the relay holds a session to.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Relay {
    /// What is done about frames that break RFC 6455 §5. `strict`: the session ends with 1002;
    /// `observe`: they are counted, logged and passed on; `off`: they are passed on.
    #[schemars(example = &"observe", extend("x-reload" = "now"))]
    pub validation: Written<Validation>,
    /// Bytes of a message, its fragments added up, compressed or not as they are on the wire;
    /// more ends the session with 1009. Off by default: nothing is buffered, so a large message
    /// costs tidegate nothing, and what is too large for the application is for it to say.
    #[schemars(example = &"16MiB", extend("x-reload" = "now"))]
    pub message_bytes_max: Written<Switch<Size>>,
    /// Bytes of one frame's payload; more ends the session with 1009.
    #[schemars(example = &"1MiB", extend("x-reload" = "now"))]
    pub frame_bytes_max: Written<Switch<Size>>,
    /// Time without a data message in either direction after which the session ends with 1001;
    /// pings do not count. Off by default: a quiet chat is not a dead one, and pings find those.
    #[schemars(example = &"1h", extend("x-reload" = "now"))]
    pub idle_timeout: Written<Switch<Time>>,
    /// Time between pings to each side, which keep the connection open through NATs and
    /// firewalls and find the dead. Their pongs are not passed on. How long they take is told by
    /// side in the metric `tidegate_ping_seconds`, and the last one's milliseconds in the access
    /// log at the session's end, as `client_rtt_ms` and `upstream_rtt_ms`.
    #[schemars(example = &"45s", extend("x-reload" = "now"))]
    pub ping_interval: Written<Switch<Time>>,
    /// Time after a ping in which a side must show life: by any byte, or by taking in what was
    /// sent to it.
    #[schemars(example = &"10s", extend("x-reload" = "now"))]
    pub pong_timeout: Written<Time>,
    /// Longest life of a session, which then ends with 1012 and comes back elsewhere. Off by
    /// default.
    #[schemars(example = &"12h", extend("x-reload" = "now"))]
    pub max_lifetime: Written<Switch<Time>>,
    /// Each session's `max_lifetime` is shortened at random by up to this share, so that sessions
    /// that came together do not go together.
    #[schemars(example = &"25%", extend("x-reload" = "now"))]
    pub max_lifetime_jitter: Written<Percent>,
    /// Time for the answer to a Close before the connection is closed without it.
    #[schemars(example = &"2s", extend("x-reload" = "now"))]
    pub close_timeout: Written<Time>,
    /// Close codes for the client other than tidegate's own, by the reason's word, because some
    /// libraries never reconnect after one: `upstream_lost`, `upstream_silent`, `idle`,
    /// `lifetime`, `stop`, `removed`, `drain`, `rebalance`, `restart`, `unhealthy`, `violation`,
    /// `too_big`, `kicked`, `no_room`, `fault`. A route adds to those of `[relay]`.
    #[schemars(
        example = serde_json::json!({ "upstream_lost": 1001, "stop": 4000 }),
        extend("x-reload" = "now")
    )]
    pub close_codes: Written<Named<Number<0>>>,
}

impl Default for Relay {
    fn default() -> Relay {
        Relay {
            validation: Written::unless(Validation::Strict),
            message_bytes_max: Written::unless(Switch::Off),
            frame_bytes_max: Written::unless(Switch::Off),
            idle_timeout: Written::unless(Switch::Off),
            ping_interval: on(seconds(30)),
            pong_timeout: seconds(20),
            max_lifetime: Written::unless(Switch::Off),
            max_lifetime_jitter: Written::unless(Percent(10)),
            close_timeout: seconds(5),
            close_codes: Written::ABSENT,
        }
    }
}

/// What is done about frames that break the protocol.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Validation {
    Strict,
    Observe,
    Off,
}

/// A default that is on.
fn on(time: Written<Time>) -> Written<Switch<Time>> {
    time.get().map_or(Written::ABSENT, |time| Written::unless(Switch::On(*time)))
}
