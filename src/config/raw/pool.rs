//! `[pools.NAME]`: groups of backends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Many, Number, Percent, Rate, Short, Switch, Time, Written, seconds};

/// A group of backends.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Pool {
    /// Its members. A string is an address; a table gives it a weight as well.
    #[schemars(example = ["127.0.0.1:58588", "unix:/run/app.sock"],
        extend("x-reload" = "drains", "x-required" = true))]
    pub backends: Written<Vec<Written<Short<Backend>>>>,
    /// How a backend is chosen. `least_sessions`: the one with the fewest live WebSockets for
    /// its weight, because they stay where they were put; plain requests go in turn.
    /// `random_two`: two are drawn by weight, and the one with fewer is taken; for many proxies
    /// before the same backends, which would all choose the same one by its fewest.
    /// `round_robin`: in turn, by weight; for sessions that are short and alike.
    /// `hash`: by what `hash` names, the same backend for the same value; for backends that keep
    /// something in memory for a room or a user.
    #[schemars(example = &"random_two", extend("x-reload" = "next"))]
    pub balance: Written<Balance>,
    /// What `balance = "hash"` goes by: `client` (the IPv4 address, or the first half of the IPv6
    /// address), `header:NAME`, `cookie:NAME`, `query:NAME` (a parameter's value, as it is
    /// written) or `path`. All proxies choose alike, and when a backend comes or goes no sessions
    /// move but those it wins or leaves behind. A request without it goes where the fewest sessions
    /// are.
    #[schemars(example = &"query:room", extend("x-reload" = "next"))]
    pub hash: Written<String>,
    /// How far above its fair share of the pool's sessions `balance = "hash"` may take a backend,
    /// once it has 16: further sessions go to their value's next choice. `false`: no bound, for
    /// backends where all sessions of one value must meet, however many they are.
    #[schemars(example = false, extend("x-reload" = "next"))]
    pub hash_excess_max: Written<Switch<Percent>>,
    /// TLS towards the backends, always verified. `{}` is enough for a public certificate.
    #[schemars(extend("x-reload" = "next"))]
    pub tls: Written<UpstreamTls>,
    /// Time for a connection to a backend: TCP, and TLS where it is spoken.
    #[schemars(example = &"2s", extend("x-reload" = "next"))]
    pub connect_timeout: Written<Time>,
    /// Time from the request's head to the answer's head, for a WebSocket handshake.
    #[schemars(example = &"5s", extend("x-reload" = "next"))]
    pub handshake_timeout: Written<Time>,
    /// Time from the end of the request to the answer's head, for a plain request. Long polling
    /// answers late on purpose, hence the long default.
    #[schemars(example = &"30s", extend("x-reload" = "next"))]
    pub response_timeout: Written<Time>,
    /// WebSocket handshakes under way to one backend; more wait for `connect_timeout` at most.
    /// It is what protects a backend when all its clients come back at once.
    #[schemars(example = 32, extend("x-reload" = "next"))]
    pub handshakes_in_flight_max: Written<Number<1>>,
    /// Local addresses to dial from, in turn. One address has about 28,000 ports towards one
    /// backend; more sessions need more addresses. The system chooses when there are none.
    #[schemars(example = ["10.0.0.2", "10.0.0.3"], extend("x-reload" = "next"))]
    pub source_addresses: Written<Many<String>>,
    /// When a backend counts as failed. Never more than half of a pool is out.
    pub health: Written<Health>,
    /// When another backend is tried: only while the client was promised nothing.
    pub retry: Written<Retry>,
    /// Time an idle connection for plain requests is kept. Shorter than the 5 s after which
    /// Node.js closes one, so that a request rarely meets a connection that is being closed.
    #[schemars(example = &"30s", extend("x-reload" = "next"))]
    pub keep_alive_timeout: Written<Time>,
    /// Idle connections for plain requests kept per backend and worker.
    #[schemars(example = 8, extend("x-reload" = "next"))]
    pub keep_alive_max: Written<Number<0>>,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            backends: Written::ABSENT,
            balance: Written::unless(Balance::LeastSessions),
            hash: Written::ABSENT,
            hash_excess_max: Written::unless(Switch::On(Percent(25))),
            tls: Written::ABSENT,
            connect_timeout: seconds(5),
            handshake_timeout: seconds(10),
            response_timeout: seconds(120),
            handshakes_in_flight_max: Written::unless(Number(128)),
            source_addresses: Written::ABSENT,
            health: Written::unless(Health::default()),
            retry: Written::unless(Retry::default()),
            keep_alive_timeout: seconds(4),
            keep_alive_max: Written::unless(Number(32)),
        }
    }
}

/// A member of a pool.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "an address, or a table with `address` and `weight`")]
pub struct Backend {
    /// A name or IP address with its port, or `unix:` and the path of a socket. With the pool's
    /// name it is the backend's identity.
    #[schemars(example = &"127.0.0.1:58588", extend("x-reload" = "drains", "x-required" = true))]
    pub address: Written<String>,
    /// Its share.
    #[schemars(example = 2, extend("x-reload" = "next"))]
    pub weight: Written<Number<1>>,
}

impl Default for Backend {
    fn default() -> Backend {
        Backend { address: Written::ABSENT, weight: Written::unless(Number(1)) }
    }
}

/// How a backend is chosen.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Balance {
    LeastSessions,
    RoundRobin,
    RandomTwo,
    Hash,
}

/// TLS towards backends.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(default, expecting = "a table")]
pub struct UpstreamTls {
    /// The name asked for by SNI and verified; by default the backend's host.
    #[schemars(example = &"backend.example.com", extend("x-reload" = "next"))]
    pub server_name: Written<String>,
    /// PEM file of the authorities to trust; by default the system's.
    #[schemars(example = &"certs/ca.pem", extend("x-reload" = "next"))]
    pub roots: Written<String>,
}

/// Passive health: what a backend does to real requests.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Health {
    /// Failures in a row that take a backend out.
    #[schemars(example = 5, extend("x-reload" = "next"))]
    pub failures_max: Written<Number<1>>,
    /// How long it stays out the first time; doubled each time.
    #[schemars(example = &"10s", extend("x-reload" = "next"))]
    pub out: Written<Time>,
    /// The longest it stays out.
    #[schemars(example = &"5m", extend("x-reload" = "next"))]
    pub out_max: Written<Time>,
}

impl Default for Health {
    fn default() -> Health {
        Health { failures_max: Written::unless(Number(3)), out: seconds(5), out_max: seconds(60) }
    }
}

/// Retries on another backend.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Retry {
    /// Backends tried for one request, the first included.
    #[schemars(example = 2, extend("x-reload" = "next"))]
    pub attempts_max: Written<Number<1>>,
    /// Retries allowed, as a share of the requests of the last ten seconds: when everything
    /// fails, retries must not double the load.
    #[schemars(example = &"10%", extend("x-reload" = "next"))]
    pub budget: Written<Percent>,
    /// Retries that are always allowed, so that a quiet pool can retry at all.
    #[schemars(example = &"1/s", extend("x-reload" = "next"))]
    pub budget_min: Written<Rate>,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts_max: Written::unless(Number(3)),
            budget: Written::unless(Percent(20)),
            budget_min: Written::unless(Rate(100)),
        }
    }
}
