//! `[pools.NAME]`: groups of backends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::fault::Fault;
use super::super::plan::address::BackendAddress;
use super::super::plan::balance::Balance;
use super::super::plan::upstream::{Sticky, UpstreamTls};
use super::words::{BalanceWord, First, OutSessions, SameSite};
use super::{Number, OneOrMany, OrOff, OrString, Percent, Rate, Time, seconds};
use crate::report::Report;

table! {
    /// A group of backends.
    PoolTable "Pool", "a table" => Pool, PoolParts {
        /// Its name.
        name: Arc<str>,
        /// Its members, at least one; addresses are unique.
        backends: Vec<Backend>,
        /// How one is chosen.
        balance: Balance,
        /// How a client is sent to the backend it had before, when it is.
        sticky: Option<Sticky>,
        /// Time in which a backend that is new or has returned comes to its whole weight.
        slow_start: Duration,
        /// How sessions move to others when the backends are uneven, when they do.
        rebalance: Option<Rebalance>,
        /// TLS towards the backends.
        tls: Option<UpstreamTls>,
        /// Local addresses to dial from, in turn; the system chooses when empty.
        source_addresses: Vec<IpAddr>,
        /// When a backend counts as failed.
        health: Health,
        /// When another backend is tried.
        retry: Retry,
    };

    /// Its members. A string is an address; a table gives it a weight as well.
    drains backends [required]: OneOrMany<OrString<BackendTable>>,
        as in ["127.0.0.1:58588", "unix:/run/app.sock"];
    /// How a backend is chosen. `least_sessions`: the one with the fewest live WebSockets for
    /// its weight, because they stay where they were put; plain requests go in turn.
    /// `random_two`: two are drawn by weight, and the one with fewer is taken; for many proxies
    /// before the same backends, which would all choose the same one by its fewest.
    /// `round_robin`: in turn, by weight; for sessions that are short and alike.
    /// `hash`: by what `hash` names, the same backend for the same value; for backends that keep
    /// something in memory for a room or a user.
    next balance: BalanceWord = BalanceWord::LeastSessions, as in "random_two";
    /// What `balance = "hash"` goes by: `client` (the IPv4 address, or the first half of the IPv6
    /// address), `header:NAME`, `cookie:NAME`, `query:NAME` (a parameter's value, as it is
    /// written) or `path`. All proxies choose alike, and when a backend comes or goes no sessions
    /// move but those it wins or leaves behind. A request without it goes where the fewest sessions
    /// are.
    next hash: String, as in "query:room";
    /// How far above its fair share of the pool's sessions `balance = "hash"` may take a backend,
    /// once it has 16: further sessions go to their value's next choice. `false`: no bound, for
    /// backends where all sessions of one value must meet, however many they are.
    next hash_excess_max: OrOff<Percent> = OrOff::On(Percent(25)), as in false;
    /// A cookie that brings a client back to its backend, for plain requests and WebSockets alike:
    /// long polling that becomes a WebSocket, as socket.io's, needs it where there are several
    /// backends. An answer that gives a client the cookie says `Cache-Control: private` too, so
    /// that no shared cache gives it to others. Before `balance`, which chooses where there is no
    /// cookie, or where its backend cannot be had.
    each sticky: StickyTable;
    /// Time in which a backend that is new, or has returned, comes to its whole weight. Off by
    /// default.
    next slow_start: Time, as in "30s";
    /// Live WebSockets that each backend may have; further ones go to the others, and are answered
    /// 503 with `Retry-After` when all are full. Unlimited by default. Plain requests do not count.
    next sessions_max: Number<1>, as in 20_000;
    /// Moves sessions to other backends when they are unevenly shared out, as after one was added;
    /// `{}` has every default. Off unless this table is there; `tidegate_rebalance_would_move`
    /// tells what it would come to. Sessions of routes with `hold` only, whose clients do not
    /// notice; with `balance` by `least_sessions` or `random_two`, and without `sticky`.
    each rebalance: RebalanceTable;
    /// TLS towards the backends, always verified. `{}` is enough for a public certificate.
    next tls: UpstreamTlsTable;
    /// Time for a connection to a backend: TCP, and TLS where it is spoken.
    next connect_timeout: Time as Duration = seconds(5), as in "2s";
    /// Time from the request's head to the answer's head, for a WebSocket handshake.
    next handshake_timeout: Time as Duration = seconds(10), as in "5s";
    /// Time from the end of the request to the answer's head, for a plain request. Long polling
    /// answers late on purpose, hence the long default.
    next response_timeout: Time as Duration = seconds(120), as in "30s";
    /// WebSocket handshakes under way to one backend; more wait for `connect_timeout` at most.
    /// It is what protects a backend when all its clients come back at once. One client may have
    /// as many as are left free, half of all when it is alone; clients take turns. While others
    /// wait, a handshake has a quarter of `handshake_timeout`.
    next handshakes_in_flight_max: Number<1> as usize = Number(128), as in 32;
    /// Plain requests under way to one backend, until the last byte of their answers; more go to
    /// others, and are answered 503 with `Retry-After` when all are full. One client may have as
    /// many as are left free.
    next requests_in_flight_max: Number<1> as usize = Number(1024), as in 200;
    /// WebSocket handshakes begun with one backend in a second, evenly spaced; more wait for
    /// `connect_timeout` at most, together with those above. Sessions that come back to an upstream
    /// count like new ones. Unlimited by default, because `handshakes_in_flight_max` goes by
    /// how fast the backend answers; for a backend that answers fast and then has work to do.
    next handshake_rate_max: Rate as Option<u32>, as in "100/s";
    /// Local addresses to dial from, in turn. One address has about 28,000 ports towards one
    /// backend; more sessions need more addresses. The system chooses when there are none.
    next source_addresses: OneOrMany<String>, as in ["10.0.0.2", "10.0.0.3"];
    /// When a backend counts as failed. Never more than half of a pool is out.
    each health: HealthTable = HealthTable::default();
    /// When another backend is tried: only while the client was promised nothing.
    each retry: RetryTable = RetryTable::default();
    /// Time an idle connection for plain requests is kept. Shorter than the 5 s after which
    /// Node.js closes one, so that a request rarely meets a connection that is being closed.
    next keep_alive_timeout: Time as Duration = seconds(4), as in "30s";
    /// Idle connections for plain requests kept per backend and worker.
    next keep_alive_max: Number<0> as usize = Number(32), as in 8;
}

table! {
    /// A member of a pool.
    BackendTable "Backend", "an address, or a table with an `address`" => Backend, BackendParts {
        /// Where it listens.
        address: BackendAddress,
        /// Sessions it may have; unlimited when `None`.
        sessions_max: Option<usize>,
    };

    /// A name or IP address with its port, or `unix:` and the path of a socket. With the pool's
    /// name it is the backend's identity.
    drains address [required]: String, as in "127.0.0.1:58588";
    /// Its share.
    next weight: Number<1> as u32 = Number(1), as in 2;
    /// Whether it is used only when no other is up, or can be had.
    next backup: bool as bool = false, as in true;
    /// Its own `sessions_max`.
    next sessions_max: Number<1>, as in 5_000;
}

table! {
    /// A cookie that brings a client back to its backend.
    StickyTable "Sticky", "a table";

    /// What the cookie is signed with, at least 32 bytes, or a list: the first signs, all
    /// verify, so that one follows another without a client losing its backend. There is no
    /// default: restarts, and other proxies before the same backends, must know the same.
    next secrets [required]: OneOrMany<String>, as in "${STICKY_SECRET}";
    /// The cookie's name; by default `tidegate-` and the pool's name. It is not passed to the
    /// backends.
    next cookie: String, as in "backend";
    /// Whether a browser sends it with what another site's page asks for: `lax`, `strict`, or
    /// `none`, which pages on other sites need and browsers take over TLS only.
    next same_site: SameSite = SameSite::Lax, as in "none";
}

table! {
    /// Sessions that move until the backends are level.
    RebalanceTable "Rebalance", "a table; `{}` has every default" => Rebalance;

    /// How far from its fair share of the pool's sessions, by weight, a backend may be. Once begun,
    /// moving goes on until all are within half of it.
    now threshold: Percent as u32 => threshold_percent = Percent(10), by some, as in "20%";
    /// How long one must have been further before anything is done; it begins anew when backends
    /// come, go or fail.
    now after: Time as Duration = seconds(60), as in "5m";
    /// Sessions asked to move in a minute, as a share of all of the pool's, one by one.
    now per_minute_max: Percent as u32 => percent_per_minute_max = Percent(10), by some, as in "2%";
    /// Sessions that have been where they are for less stay.
    now age_min: Time as Duration = seconds(60), as in "10m";
    /// Which of the others move first: those that have been longest where they are (`oldest`), or
    /// any (`random`).
    now first: First as First = First::Oldest, as in "random";
}

table! {
    /// TLS towards backends.
    UpstreamTlsTable "UpstreamTls", "a table";

    /// The name asked for by SNI and verified; by default the backend's host.
    next server_name: String, as in "backend.example.com";
    /// PEM file of the authorities to trust; by default the system's.
    next ca: String, as in "certs/ca.pem";
}

table! {
    /// Passive health: what a backend does to real requests.
    HealthTable "Health", "a table" => Health;

    /// Failures in a row to reach a backend (refused, unreachable, no TLS, `connect_timeout`) that
    /// take it out. What else goes wrong, a handshake closed without an answer or a 502 on one
    /// path, a client may cause: that takes it out when so many attempts, most of all, of three
    /// clients or more meet it within a minute, and none is answered.
    next failures_max: Number<1> as u32 = Number(3), as in 5;
    /// How long it stays out the first time; doubled each time.
    next eject_time: Time as Duration = seconds(5), as in "10s";
    /// The longest it stays out.
    next eject_time_max: Time as Duration = seconds(60), as in "5m";
    /// What becomes of the live WebSockets of a backend that stays out. `move`: those of routes
    /// with `hold` move to other backends, and their clients do not notice; the others stay,
    /// because what makes new handshakes fail need not hurt them, and pings find those that are
    /// dead. `keep`: all stay. `drain`: as `move`, and the others are let go with 1012. At the pace
    /// of `[drain]`, once for each time it is out, and only while another backend is up.
    now sessions: OutSessions as OutSessions = OutSessions::Move, as in "keep";
    /// How long a backend must have been out for that, with its last trial failed: one that comes
    /// and goes keeps its sessions.
    now sessions_after: Time as Duration = seconds(60), as in "5m";
}

table! {
    /// Retries on another backend.
    RetryTable "Retry", "a table" => Retry;

    /// Backends tried for one request, the first included.
    next attempts_max: Number<1> as u32 = Number(3), as in 2;
    /// Retries allowed, as a share of the requests of the last ten seconds: when everything
    /// fails, retries must not double the load.
    next budget: Percent as u32 => budget_percent = Percent(20), as in "10%";
    /// Retries that are always allowed, so that a quiet pool can retry at all.
    next budget_min: Rate as u32 => budget_min_per_second = Rate(100), as in "1/s";
}

fn some(percent: &Percent) -> Result<u32, Fault> {
    match percent.0 {
        0 => Err(Fault::new("must be more than zero")),
        some => Ok(some),
    }
}

impl Backend {
    /// A backend at this address, with every default.
    pub fn new(address: BackendAddress) -> Backend {
        let parts = BackendParts { address: Some(address), sessions_max: Some(None) };
        let backend = BackendTable::default().lower(&mut Report::default(), parts);
        backend.expect("cannot fail: the parts are there, and every key has a default")
    }
}

impl Pool {
    /// A pool of these backends, with every default.
    pub fn new(name: &str, backends: Vec<Backend>) -> Pool {
        let parts = PoolParts {
            name: Some(name.into()),
            backends: Some(backends),
            balance: Some(Balance::LeastSessions),
            sticky: Some(None),
            slow_start: Some(Duration::ZERO),
            rebalance: Some(None),
            tls: Some(None),
            source_addresses: Some(Vec::new()),
            health: Some(Health::default()),
            retry: Some(Retry::default()),
        };
        let pool = PoolTable::default().lower(&mut Report::default(), parts);
        pool.expect("cannot fail: the parts are there, and every key has a default")
    }

    /// Whether sessions are put where there are few: only then may one be moved for that.
    pub fn goes_by_sessions(&self) -> bool {
        let by_sessions = matches!(self.balance, Balance::LeastSessions | Balance::RandomTwo);
        by_sessions && self.sticky.is_none()
    }
}
