//! What was written: one declaration per key, with its documentation, its default and an example.
//!
//! The reference and the JSON Schema are printed from these structs. `reload` beside a key says
//! what a reload that changes it does: it applies at once, also to live sessions (`now`); to the
//! next connection, request or handshake (`next`); it drains sessions whose part was removed
//! (`drains`); or it waits for a new process (`restart`).

mod hold;
mod listener;
mod pool;
mod process;
mod relay;
mod route;
mod scalar;
mod units;
mod written;

pub use hold::Hold;
pub use listener::{
    Certificate, Http2, Listener, ListenerLimits, ProxyProtocol, ServerTls, TlsVersion,
};
pub use pool::{
    Backend, Balance, First, Health, OutSessions, Pool, Rebalance, Retry, SameSite, Sticky,
    UpstreamTls,
};
pub use process::{
    Admin, Control, Drain, Limits, Log, LogFormat, Reload, Upgrade, UpgradeSessions,
};
pub use relay::{Relay, Validation};
pub use route::{FieldChanges, Files, Redirect, Respond, Route};
pub use scalar::{FieldTest, Number, Switch, TakesWebSockets};
pub use units::{Percent, Rate, Size, Time, Wait};
pub use written::{MANY, Many, Named, SHORT, Short, WRITTEN, Written};

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A configuration file.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
#[schemars(title = "tidegate configuration")]
pub struct File {
    /// Threads that carry connections, each with its own event loop. By default as many as the
    /// process has processor cores.
    #[schemars(example = 4, extend("x-reload" = "restart"))]
    pub workers: Written<Number<1>>,
    /// Files read as part of this one, by name or with `*` in the file's name, in the order of
    /// their names; relative to this file's directory. Only the first file may include others,
    /// and a table such as `[limits]` stands in one of them.
    #[schemars(example = ["conf.d/*.toml"], extend("x-reload" = "now"))]
    pub include: Written<Many<String>>,
    /// Addresses that connections are accepted on, each under a name for logs and metrics.
    #[schemars(extend("x-reload" = "drains"))]
    pub listeners: Written<Named<Listener>>,
    /// Groups of backends, each under the name by which routes speak of it.
    #[schemars(extend("x-reload" = "drains"))]
    pub pools: Written<Named<Pool>>,
    /// Conditions to actions; which one is taken is told above.
    #[schemars(extend("x-reload" = "drains"))]
    pub routes: Written<Vec<Written<Route>>>,
    /// What the relay holds every session to, where its route does not say otherwise.
    pub relay: Written<Relay>,
    /// Limits of the whole process.
    pub limits: Written<Limits>,
    /// How sessions are let go: by a stop, by a reload that removed what they need, by
    /// `tidegate drain`; and at which pace they move to other backends instead, with `hold`.
    pub drain: Written<Drain>,
    /// How new configurations are taken.
    pub reload: Written<Reload>,
    /// How another process takes over (`tidegate upgrade`, SIGUSR2): it gets the listening
    /// sockets, and the old one leaves when what it has open has ended.
    pub upgrade: Written<Upgrade>,
    /// The admin listener: `/metrics` for Prometheus, `/healthz` and `/readyz`. Off unless this
    /// table is there.
    pub admin: Written<Admin>,
    /// The operator's unix socket. Off unless this table is there.
    pub control: Written<Control>,
    /// Logs, written to standard error.
    pub log: Written<Log>,
}

impl Default for File {
    fn default() -> File {
        File {
            workers: Written::ABSENT,
            include: Written::ABSENT,
            listeners: Written::ABSENT,
            pools: Written::ABSENT,
            routes: Written::ABSENT,
            relay: Written::unless(Relay::default()),
            limits: Written::unless(Limits::default()),
            drain: Written::unless(Drain::default()),
            reload: Written::unless(Reload::default()),
            upgrade: Written::unless(Upgrade::default()),
            admin: Written::ABSENT,
            control: Written::ABSENT,
            log: Written::unless(Log::default()),
        }
    }
}

/// A default in seconds.
const fn seconds(seconds: u64) -> Written<Time> {
    Written::unless(Time(Duration::from_secs(seconds)))
}
