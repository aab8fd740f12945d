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
    /// A cookie that brings a client back to its backend, for plain requests and WebSockets alike:
    /// long polling that becomes a WebSocket, as socket.io's, needs it where there are several
    /// backends. An answer that gives a client the cookie says `Cache-Control: private` too, so
    /// that no shared cache gives it to others. Before `balance`, which chooses where there is no
    /// cookie, or where its backend cannot be had.
    pub sticky: Written<Sticky>,
    /// Time in which a backend that is new, or has returned, comes to its whole weight. Off by
    /// default.
    #[schemars(example = &"30s", extend("x-reload" = "next"))]
    pub slow_start: Written<Time>,
    /// Live WebSockets that each backend may have; further ones go to the others, and are answered
    /// 503 with `Retry-After` when all are full. Unlimited by default. Plain requests do not count.
    #[schemars(example = 20_000, extend("x-reload" = "next"))]
    pub sessions_max: Written<Number<1>>,
    /// Moves sessions to other backends when they are unevenly shared out, as after one was added;
    /// `{}` has every default. Off unless this table is there; `tidegate_rebalance_would_move`
    /// tells what it would come to. Sessions of routes with `hold` only, whose clients do not
    /// notice; with `balance` by `least_sessions` or `random_two`, and without `sticky`.
    pub rebalance: Written<Rebalance>,
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
    /// WebSocket handshakes begun with one backend in a second, evenly spaced; more wait for
    /// `connect_timeout` at most, together with those above. Sessions that come back to an upstream
    /// count like new ones. Unlimited by default, because `handshakes_in_flight_max` goes by
    /// how fast the backend answers; for a backend that answers fast and then has work to do.
    #[schemars(example = &"100/s", extend("x-reload" = "next"))]
    pub handshake_rate_max: Written<Rate>,
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
            sticky: Written::ABSENT,
            slow_start: Written::ABSENT,
            rebalance: Written::ABSENT,
            sessions_max: Written::ABSENT,
            tls: Written::ABSENT,
            connect_timeout: seconds(5),
            handshake_timeout: seconds(10),
            response_timeout: seconds(120),
            handshakes_in_flight_max: Written::unless(Number(128)),
            handshake_rate_max: Written::ABSENT,
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
#[serde(default, expecting = "an address, or a table with an `address`")]
pub struct Backend {
    /// A name or IP address with its port, or `unix:` and the path of a socket. With the pool's
    /// name it is the backend's identity.
    #[schemars(example = &"127.0.0.1:58588", extend("x-reload" = "drains", "x-required" = true))]
    pub address: Written<String>,
    /// Its share.
    #[schemars(example = 2, extend("x-reload" = "next"))]
    pub weight: Written<Number<1>>,
    /// Whether it is used only when no other is up, or can be had.
    #[schemars(example = true, extend("x-reload" = "next"))]
    pub backup: Written<bool>,
    /// Its own `sessions_max`.
    #[schemars(example = 5_000, extend("x-reload" = "next"))]
    pub sessions_max: Written<Number<1>>,
}

impl Default for Backend {
    fn default() -> Backend {
        Backend {
            address: Written::ABSENT,
            weight: Written::unless(Number(1)),
            backup: Written::unless(false),
            sessions_max: Written::ABSENT,
        }
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

/// A cookie that brings a client back to its backend.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table")]
pub struct Sticky {
    /// What the cookie is signed with, at least 32 bytes, or a list: the first signs, all
    /// verify, so that one follows another without a client losing its backend. There is no
    /// default: restarts, and other proxies before the same backends, must know the same.
    #[schemars(example = &"${STICKY_SECRET}", extend("x-reload" = "next", "x-required" = true))]
    pub secrets: Written<Many<String>>,
    /// The cookie's name; by default `tidegate-` and the pool's name. It is not passed to the
    /// backends.
    #[schemars(example = &"backend", extend("x-reload" = "next"))]
    pub cookie: Written<String>,
    /// Whether a browser sends it with what another site's page asks for: `lax`, `strict`, or
    /// `none`, which pages on other sites need and browsers take over TLS only.
    #[schemars(example = &"none", extend("x-reload" = "next"))]
    pub same_site: Written<SameSite>,
}

impl Default for Sticky {
    fn default() -> Sticky {
        Sticky {
            secrets: Written::ABSENT,
            cookie: Written::ABSENT,
            same_site: Written::unless(SameSite::Lax),
        }
    }
}

/// Sessions that move until the backends are level.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, expecting = "a table; `{}` has every default")]
pub struct Rebalance {
    /// How far from its fair share of the pool's sessions, by weight, a backend may be. Once begun,
    /// moving goes on until all are within half of it.
    #[schemars(example = &"20%", extend("x-reload" = "now"))]
    pub threshold: Written<Percent>,
    /// How long one must have been further before anything is done; it begins anew when backends
    /// come, go or fail.
    #[schemars(example = &"5m", extend("x-reload" = "now"))]
    pub after: Written<Time>,
    /// Sessions asked to move in a minute, as a share of all of the pool's, one by one.
    #[schemars(example = &"2%", extend("x-reload" = "now"))]
    pub per_minute_max: Written<Percent>,
    /// Sessions that have been where they are for less stay.
    #[schemars(example = &"10m", extend("x-reload" = "now"))]
    pub age_min: Written<Time>,
    /// Which of the others move first: those that have been longest where they are (`oldest`), or
    /// any (`random`).
    #[schemars(example = &"random", extend("x-reload" = "now"))]
    pub first: Written<First>,
}

impl Default for Rebalance {
    fn default() -> Rebalance {
        Rebalance {
            threshold: Written::unless(Percent(10)),
            after: seconds(60),
            per_minute_max: Written::unless(Percent(10)),
            age_min: seconds(60),
            first: Written::unless(First::Oldest),
        }
    }
}

/// Which sessions move first.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum First {
    Oldest,
    Random,
}

/// When a browser sends a cookie.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SameSite {
    Lax,
    Strict,
    None,
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
    /// What becomes of the live WebSockets of a backend that stays out. `move`: those of routes
    /// with `hold` move to other backends, and their clients do not notice; the others stay,
    /// because what makes new handshakes fail need not hurt them, and pings find those that are
    /// dead. `keep`: all stay. `drain`: as `move`, and the others are let go with 1012. At the pace
    /// of `[drain]`, once for each time it is out, and only while another backend is up.
    #[schemars(example = &"keep", extend("x-reload" = "now"))]
    pub sessions: Written<OutSessions>,
    /// How long a backend must have been out for that, with its last trial failed: one that comes
    /// and goes keeps its sessions.
    #[schemars(example = &"5m", extend("x-reload" = "now"))]
    pub sessions_after: Written<Time>,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            failures_max: Written::unless(Number(3)),
            out: seconds(5),
            out_max: seconds(60),
            sessions: Written::unless(OutSessions::Move),
            sessions_after: seconds(60),
        }
    }
}

/// What becomes of the sessions of a backend that stays out.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OutSessions {
    Move,
    Keep,
    Drain,
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
