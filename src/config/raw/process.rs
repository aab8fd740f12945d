//! What concerns the whole process: `[limits]`, `[drain]`, `[reload]`, `[upgrade]`, `[admin]`,
//! `[control]`, `[log]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Number, Percent, Rate, Size, Time, Wait, Written, seconds};

/// Limits of the whole process.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Limits {
    /// Client connections open at once; more are closed as they come. The system's limit of open
    /// files (two per session) is usually reached before the default.
    #[schemars(example = 100_000, extend("x-reload" = "next"))]
    pub connections_max: Written<Number<1>>,
    /// Client connections open at once from one IP address. Unlimited by default: behind one
    /// address there may be a whole company (NAT), or a load balancer.
    #[schemars(example = 200, extend("x-reload" = "next"))]
    pub connections_per_address_max: Written<Number<1>>,
    /// Bytes that the sessions of all routes together may keep while their upstreams are away;
    /// a session that finds no room ends with 1013.
    #[schemars(example = &"1GiB", extend("x-reload" = "now"))]
    pub hold_bytes_max: Written<Size>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: Written::unless(Number(1_000_000)),
            connections_per_address_max: Written::ABSENT,
            hold_bytes_max: Written::unless(Size(256 << 20)),
        }
    }
}

/// How sessions are let go.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Drain {
    /// At a stop, from the signal until closing begins. `/readyz` fails at once and accepting goes
    /// on, because a load balancer must hear of it first.
    #[schemars(example = &"0s", extend("x-reload" = "now"))]
    pub delay: Written<Wait>,
    /// Closes are spread evenly over this time at least, so that clients do not come back all at
    /// once.
    #[schemars(example = &"1m", extend("x-reload" = "now"))]
    pub window: Written<Wait>,
    /// The hard end of a stop, counted from the signal; at least `delay` and `window` together.
    /// The default ends inside the 30 s that Kubernetes gives. While the process goes on running
    /// nobody is in a hurry: a drain takes as long as `window` and `rate_max` ask for, and each
    /// session has 30 s after the last Close was due.
    #[schemars(example = &"2m", extend("x-reload" = "now"))]
    pub timeout: Written<Time>,
    /// Closes per second at most. More sessions than that lengthen the window: with the default
    /// 100,000 clients come back over three minutes and not in one storm. At a stop, `timeout`
    /// comes first.
    #[schemars(example = &"2000/s", extend("x-reload" = "now"))]
    pub rate_max: Written<Rate>,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain {
            delay: Written::unless(Wait(Duration::from_secs(5))),
            window: Written::unless(Wait(Duration::from_secs(15))),
            timeout: seconds(25),
            rate_max: Written::unless(Rate(500)),
        }
    }
}

/// How new configurations are taken.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Reload {
    /// Whether the files, certificates included, are watched. SIGHUP reloads in any case.
    #[schemars(example = true, extend("x-reload" = "now"))]
    pub watch: Written<bool>,
    /// How long the files must be quiet before a watch reloads.
    #[schemars(example = &"2s", extend("x-reload" = "now"))]
    pub quiet: Written<Time>,
    /// A reload that would end more than this share of the live sessions is refused unless it is
    /// forced: half a file, cut at a table's border, is valid TOML.
    #[schemars(example = &"50%", extend("x-reload" = "now"))]
    pub drain_max: Written<Percent>,
}

impl Default for Reload {
    fn default() -> Reload {
        Reload {
            watch: Written::unless(false),
            quiet: Written::unless(Time(Duration::from_millis(500))),
            drain_max: Written::unless(Percent(10)),
        }
    }
}

/// How another process takes over (`tidegate upgrade`, SIGUSR2).
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Upgrade {
    /// What becomes of sessions and requests in the old process. `keep`: it stays with them until
    /// they end. `drain`: they are let go as `[drain]` says, but for its `delay`: closes with
    /// 1012 over `drain.window`.
    #[schemars(example = &"drain", extend("x-reload" = "now"))]
    pub sessions: Written<UpgradeSessions>,
    /// How long the new process may take to read its configuration and be ready; 100 s at most.
    /// One that takes longer is ended, and the old one goes on.
    #[schemars(example = &"1m", extend("x-reload" = "now"))]
    pub timeout: Written<Time>,
    /// How long an old process stays with what it kept; then the rest is let go as `[drain]` says.
    #[schemars(example = &"7d", extend("x-reload" = "now"))]
    pub keep_timeout: Written<Time>,
    /// Older processes that may still have sessions when another upgrade begins; it is refused
    /// when there are more. Each has its memory, and counts what `[limits]` allows for itself.
    #[schemars(example = 1, extend("x-reload" = "now"))]
    pub older_max: Written<Number<0>>,
}

impl Default for Upgrade {
    fn default() -> Upgrade {
        Upgrade {
            sessions: Written::unless(UpgradeSessions::Keep),
            timeout: seconds(30),
            keep_timeout: Written::unless(Time(Duration::from_secs(24 * 60 * 60))),
            older_max: Written::unless(Number(3)),
        }
    }
}

/// What becomes of sessions when another process takes over.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UpgradeSessions {
    Keep,
    Drain,
}

/// The admin listener.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Admin {
    /// Where it listens. It has no password: keep it on loopback or in a private network.
    #[schemars(example = &"10.0.0.1:9090", extend("x-reload" = "now"))]
    pub address: Written<String>,
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { address: Written::unless("127.0.0.1:9090".to_owned()) }
    }
}

/// The operator's unix socket.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Control {
    /// Its path; only its owner may connect.
    #[schemars(example = &"tidegate.sock", extend("x-reload" = "now"))]
    pub socket: Written<String>,
}

impl Default for Control {
    fn default() -> Control {
        Control { socket: Written::unless("/run/tidegate/control.sock".to_owned()) }
    }
}

/// Logs.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Log {
    /// What is logged: a level, or levels by room, as `tracing` filters are written.
    #[schemars(example = &"info,tidegate::pool=debug", extend("x-reload" = "now"))]
    pub filter: Written<String>,
    /// How lines look. `auto`: `text` on a terminal, `json` otherwise.
    #[schemars(example = &"json", extend("x-reload" = "restart"))]
    pub format: Written<LogFormat>,
    /// Whether each request has a line, and each session one at its open and one at its end.
    #[schemars(example = false, extend("x-reload" = "now"))]
    pub access: Written<bool>,
    /// Lines that may wait to be written; more are dropped and counted, because no session waits
    /// for a log.
    #[schemars(example = 1024, extend("x-reload" = "restart"))]
    pub queue_max: Written<Number<1>>,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            filter: Written::unless("info".to_owned()),
            format: Written::unless(LogFormat::Auto),
            access: Written::unless(true),
            queue_max: Written::unless(Number(16_384)),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}
