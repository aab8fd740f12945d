//! `[pools.NAME]`: groups of backends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::fault::Fault;
use super::super::plan::MemberGroup;
use super::super::plan::address::BackendAddress;
use super::super::plan::balance::Balance;
use super::super::plan::upstream::{Sticky, UpstreamTls};
use super::discovery::{Discovery, DiscoveryTable};
use super::probe::{Probe, ProbeTable};
use super::words::{BalanceWord, First, OutSessions, ProxyVersion, SameSite};
use super::{Number, OneOrMany, OrOff, OrString, Percent, Rate, Time, seconds};
use crate::report::Report;

table! {
    /// A group of backends.
    PoolTable "Pool", "a table" => Pool, PoolParts {
        /// Its name.
        name: Arc<str>,
        /// Its members; addresses are unique. There is one at least where it has no sources.
        backends: Vec<Backend>,
        /// Where more of its members are found.
        sources: Vec<MemberGroup>,
        /// How they are.
        discovery: Discovery,
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

    /// The members. A string is an address; a table gives a weight and more. `dns:NAME:PORT` is
    /// every address of a name (A and AAAA), `srv:NAME` every target of a service (SRV: its
    /// priority makes backups, its weight is one), `file:PATH` every line of a file: an address,
    /// and perhaps `weight=2` or `backup`. What they say is followed, see `discovery`.
    drains backends [required]: OneOrMany<OrString<BackendTable>>,
        as in ["127.0.0.1:58588", "unix:/run/app.sock"];
    /// How members are found by `dns:`, `srv:` and `file:`.
    each discovery: DiscoveryTable;
    /// How a backend is chosen. `least_sessions`: the one with the fewest live WebSockets for its
    /// weight, because they stay where they were put; plain requests go in turn. `random_two`: the
    /// one with fewer of two that are drawn by weight; for many proxies before the same backends,
    /// which would otherwise all choose the same one. `round_robin`: in turn, by weight; for
    /// sessions that are short and alike. `hash`: the same backend for the same value of `hash`;
    /// for backends that keep a room or a user in memory.
    next balance: BalanceWord = BalanceWord::LeastSessions, as in "random_two";
    /// What `balance = "hash"` hashes: `client`, `header:NAME`, `cookie:NAME`, `query:NAME`,
    /// `claim:NAME`, `label:NAME`, `client_cert:sha256`, `path` or `host` (see
    /// [keys](#what-tells-requests-apart)). All proxies choose alike. When a backend comes or goes,
    /// only the values that it wins or leaves move. A request without the value goes where the
    /// fewest sessions are.
    next hash: String, as in "query:room";
    /// How far `balance = "hash"` may load a backend above its fair share of the pool's sessions,
    /// once it has 16 (bounded loads). Further sessions go to the next choice of their value.
    /// `false`: no bound, where all sessions of one value must meet.
    next hash_excess_max: OrOff<Percent> = OrOff::On(Percent(25)), as in false;
    /// A cookie that leads a client back to its backend, for plain requests and WebSockets alike.
    /// Long polling that becomes a WebSocket, as in socket.io, needs it with several backends. It
    /// goes before `balance`, which chooses where there is no cookie or its backend cannot be had.
    /// An answer that sets the cookie says `Cache-Control: private`, so that no shared cache gives
    /// it to others.
    each sticky: StickyTable;
    /// The time in which a backend that is new, or has recovered, comes to its whole weight. Off by
    /// default.
    next slow_start: Time, as in "30s";
    /// Live WebSockets that each backend may have. Further ones go to other backends; when all are
    /// full they are answered 503 with `Retry-After`. One client may have another while it has
    /// fewer than eight times what is free: eight ninths of all when it is alone, and all where
    /// that is eight or fewer. A session that lives and comes back needs a free place only.
    /// Unlimited by default. Plain requests do not count.
    next sessions_max: Number<1>, as in 20_000;
    /// Sessions move to other backends when the pool is uneven, for example after a backend was
    /// added; `{}` has every default. It is off unless this table is there;
    /// `tidegate_rebalance_would_move` counts what it would move. Only sessions of routes with
    /// `hold` move, and only where the new backend takes them up, so that their clients do not
    /// notice. Needs `balance` `least_sessions` or `random_two`, and no `sticky`.
    each rebalance: RebalanceTable;
    /// TLS towards the backends, always verified; `{}` is enough for a public certificate. It is
    /// off unless this table is there.
    next tls: UpstreamTlsTable;
    /// The PROXY header that each connection to a backend begins with, before TLS: `v1` or `v2`. It
    /// tells the client's address, after `trusted_proxies`, and the listener's. A connection is one
    /// client's then, so none is kept for the next request. A session that goes on at another
    /// backend (`hold`) tells the same client. Off by default.
    next proxy_protocol: ProxyVersion as Option<ProxyVersion>, as in "v2";
    /// The time for a connection to a backend: TCP, and TLS where it is used.
    next connect_timeout: Time as Duration = seconds(5), as in "2s";
    /// The time from the request's head to the answer's head, for a WebSocket handshake.
    next handshake_timeout: Time as Duration = seconds(10), as in "5s";
    /// The time from the end of the request to the answer's head, for a plain request. The default
    /// is long because long polling answers late on purpose.
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
    /// backend; more sessions need more addresses. By default the system chooses.
    next source_addresses: OneOrMany<String>, as in ["10.0.0.2", "10.0.0.3"];
    /// When a backend is ejected: it then gets no new work for a time. Never more than half of a
    /// pool is ejected.
    each health: HealthTable = HealthTable::default();
    /// When another backend is tried: only while nothing was sent to the client.
    each retry: RetryTable = RetryTable::default();
    /// The time an idle connection for plain requests is kept. The default is below the 5 s after
    /// which Node.js closes one, so that a request rarely meets a connection that is being closed.
    next keep_alive_timeout: Time as Duration = seconds(4), as in "30s";
    /// Idle connections for plain requests that are kept per backend and worker.
    next keep_alive_max: Number<0> as usize = Number(32), as in 8;
}

table! {
    /// A member of a pool.
    BackendTable "Backend", "an address, or a table with an `address`" => Backend, BackendParts {
        /// Where it listens.
        address: BackendAddress,
        /// Sessions it may have; unlimited when `None`.
        sessions_max: Option<usize>,
        /// Whether a source has it, and not the file.
        is_found: bool,
    };

    /// A name or IP address with a port, or `unix:` and the path of a socket. With the pool's name
    /// it is the backend's identity over reloads. A name is one backend, looked up at each
    /// connection; with `dns:` before it each of its addresses is one.
    drains address [required]: String, as in "127.0.0.1:58588";
    /// The backend's share of new sessions and requests.
    next weight: Number<1> as u32 = Number(1), as in 2;
    /// Whether the backend is used only when no other is up or can be had.
    next backup: bool as bool = false, as in true;
    /// The backend's own `sessions_max`.
    next sessions_max: Number<1>, as in 5_000;
}

table! {
    /// A cookie that brings a client back to its backend.
    StickyTable "Sticky", "a table";

    /// Secrets that sign the cookie, at least 32 bytes each. The first signs, all verify, so that a
    /// new secret can be introduced without a client losing its backend. There is no default:
    /// restarts, and other proxies before the same backends, need the same secrets.
    next secrets [required]: OneOrMany<String>, as in "${STICKY_SECRET}";
    /// The cookie's name; `tidegate-` and the pool's name by default. The cookie is not passed to
    /// the backends.
    next cookie: String, as in "backend";
    /// Whether a browser sends the cookie with requests that another site's page makes: `lax`,
    /// `strict`, or `none`, which pages on other sites need and browsers take over TLS only.
    next same_site: SameSite = SameSite::Lax, as in "none";
}

table! {
    /// Sessions move until the backends are level.
    RebalanceTable "Rebalance", "a table; `{}` has every default" => Rebalance;

    /// How far a backend may be from its fair share of the pool's sessions, by weight. Once begun,
    /// moving goes on until all backends are within half of it.
    now threshold: Percent as u32 => threshold_percent = Percent(10), by some, as in "20%";
    /// How long a backend must have been beyond `threshold` before sessions move. The time begins
    /// anew when backends come, go or fail.
    now after: Time as Duration = seconds(60), as in "5m";
    /// Sessions that are asked to move in a minute, as a share of the pool's, one by one.
    now per_minute_max: Percent as u32 => percent_per_minute_max = Percent(10), by some, as in "2%";
    /// Sessions that have been on their backend for less time stay.
    now age_min: Time as Duration = seconds(60), as in "10m";
    /// Which sessions move first: those that have been on their backend longest (`oldest`), or any
    /// (`random`).
    now first: First as First = First::Oldest, as in "random";
}

table! {
    /// TLS towards backends.
    UpstreamTlsTable "UpstreamTls", "a table";

    /// The name that is asked for by SNI and verified; the backend's host by default.
    next server_name: String, as in "backend.example.com";
    /// The PEM file of the authorities to trust; the system's by default. A backend that shows one
    /// of the file's certificates itself is trusted, too: a self-signed one is its own root. It is
    /// pinned, which `check` and the log say; it must be in its time, and for `server_name` where
    /// it has names.
    next ca: String, as in "certs/ca.pem";
}

table! {
    /// Passive health: how a backend answers real requests. With `probe` it is also asked by us.
    HealthTable "Health", "a table" => Health, HealthParts {
        /// What backends are asked again and again, when they are.
        probe: Option<Probe>,
    };

    /// Failures in a row that eject a backend.
    next failures_max: Number<1> as u32 = Number(3), as in 5;
    /// How long an ejected backend gets no new work the first time. The time doubles with each
    /// ejection.
    next eject_time: Time as Duration = seconds(5), as in "10s";
    /// The longest time a backend is ejected for.
    next eject_time_max: Time as Duration = seconds(60), as in "5m";
    /// What happens to the live WebSockets of a backend that stays ejected. `move`: those of routes
    /// with `hold` move to other backends that take them up, and their clients do not notice; the
    /// others stay, because what makes new handshakes fail need not hurt them, and pings find dead
    /// ones. `keep`: all stay. `drain`: as `move`, and the others are closed with 1012. This
    /// happens at the pace of `[drain]`, once for each ejection, and only while another backend is
    /// up.
    now sessions: OutSessions as OutSessions = OutSessions::Move, as in "keep";
    /// How long a backend must have been ejected for that, with its last trial failed. A backend
    /// that comes and goes keeps its sessions.
    now sessions_after: Time as Duration = seconds(60), as in "5m";
    /// Probes: whether a backend can do its work, asked again and again. Off by default.
    each probe: ProbeTable;
}

table! {
    /// Retries on another backend.
    RetryTable "Retry", "a table" => Retry;

    /// Backends that are tried for one request, the first included.
    next attempts_max: Number<1> as u32 = Number(3), as in 2;
    /// Retries allowed, as a share of the requests of the last ten seconds. When everything fails,
    /// retries must not double the load.
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

impl Default for Health {
    /// What holds where nothing is written.
    fn default() -> Health {
        let health = HealthTable::default();
        let health = health.lower(&mut Report::default(), HealthParts { probe: Some(None) });
        health.expect("cannot fail: the part is there, and every key has a default")
    }
}

impl Backend {
    /// A backend at this address, with every default.
    pub fn new(address: BackendAddress) -> Backend {
        let parts = BackendParts {
            address: Some(address),
            sessions_max: Some(None),
            is_found: Some(false),
        };
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
            sources: Some(Vec::new()),
            discovery: Some(Discovery::default()),
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
