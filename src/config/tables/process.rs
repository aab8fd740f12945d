//! What concerns the whole process: `[limits]`, `[drain]`, `[reload]`, `[upgrade]`, `[admin]`,
//! `[control]`, `[log]`.

use std::time::Duration;

use super::super::fault::Fault;
use super::log_filter::log_filter;
use super::words::{LogFormat, RequestIdSource, UpgradeSessions};
use super::{
    FileMode, Number, OneOrMany, OrOff, Percent, QueryLog, Rate, Size, Spanned, Time, Wait, seconds,
};

table! {
    /// Limits of the whole process.
    LimitsTable "Limits", "a table" => Limits;

    /// Client connections open at once, or as many as the open files allow when that is less: half
    /// of them, but for a reserve of 64 and a sixteenth. At the start the limit of open files is
    /// raised as far as the system lets it. When all places are taken, a connection that waits for
    /// its client (for a first byte, or between requests; never a session) makes room: the one that
    /// waits longest of the client that has most. A client is an IPv4 address or the first 64 bits
    /// of an IPv6 address. Metrics: `tidegate_connections_max`, `tidegate_files_open`,
    /// `tidegate_files_max`, `tidegate_connections_evicted_total`.
    next connections_max: Number<1> as usize = Number(1_000_000), as in 100_000;
    /// Client connections open at once from one client: an IPv4 address, or the first 64 bits of an
    /// IPv6 address. Behind one of `trusted_proxies` its clients are counted, by their requests and
    /// sessions, and one with too many is answered 429. Unlimited by default: behind one address
    /// there may be a whole company (NAT).
    next connections_per_address_max: Number<1> as Option<usize>, as in 200;
    /// Client connections open at once that have sent nothing yet, not a byte of a TLS handshake or
    /// of a request. Each costs about 4 KiB. Beyond that the one silent longest of the client that
    /// has most is closed. Metric: `tidegate_connections_evicted_total`.
    next silent_max: Number<1> as usize = Number(16_384), as in 4096;
    /// Bytes of answers and of WebSockets' messages that all connections of HTTP/2 together may
    /// have read from backends and not yet sent. A connection has as much as it leaves free for
    /// others, and 64 KiB in any case; beyond that its backends are not read.
    next http2_buffer_bytes_max: Size as u64 = Size(64 << 20), as in "16MiB";
    /// Memory of all that compresses answers at a time (`compress` of routes), 2 MiB each. A client
    /// has as much as it leaves free for others; an answer that finds none is sent as it is.
    next compress_bytes_max: Size as u64 = Size(64 << 20), as in "16MiB";
    /// Keys that `limits` of routes count at once, rounded up to the next 1,024; each takes 32
    /// bytes as it comes. When there are more, those that are quiet make room, and a key that came
    /// again goes last; one that finds none shares a bucket with others like it, so that it is
    /// neither let in nor kept out. Half of the places at most are for values that clients make up
    /// (`header:`, `cookie:`, `query:`, `label:`, `path`, `host`); such a one that finds none
    /// counts by its client. Metrics: `tidegate_limit_keys_shared_total`, `tidegate_limit_bytes`.
    now keys_max: Number<1> as usize = Number(1_000_000), as in 100_000;
    /// Bytes that the sessions of all routes together may keep while their upstreams are away;
    /// a session that finds no room ends with 1013. Their handshakes count for their lives; one
    /// whose handshake finds no room is not held. One client may have eight times what is free:
    /// eight ninths of all when it is alone.
    now hold_bytes_max: Size as u64 = Size(256 << 20), as in "1GiB";
    /// Bytes of messages that callers of `api` routes and `tidegate push` may have under way
    /// together, each counted once however many clients get it. One that finds no room is answered
    /// 503; one caller has eight ninths at most.
    now push_bytes_max: Size as usize = Size(64 << 20), as in "16MiB";
}

table! {
    /// How sessions are drained.
    DrainTable "Drain", "a table" => Drain;

    /// The time from the signal to stop until closing begins. `/readyz` fails at once, and
    /// connections are accepted meanwhile, because a load balancer must notice first.
    now delay: Wait as Duration = Wait(Duration::from_secs(5)), as in "0s";
    /// The time over which closes are spread at least, so that clients do not reconnect all at
    /// once.
    now window: Wait as Duration = Wait(Duration::from_secs(15)), as in "1m";
    /// The hard end of a stop, counted from the signal; at least `delay` and `window` together. The
    /// default ends within the 30 s that Kubernetes gives. Should something block the process by
    /// then (a mount that does not answer), it ends all the same, within 3 s; after a second signal
    /// within one. It does not bound a drain while the
    /// process goes on running: that takes as long as `window` and `rate_max` ask for, and each
    /// session has 30 s after the last Close was due.
    now timeout: Time as Duration = seconds(25), as in "2m";
    /// Closes in a second at most. More sessions than that lengthen the window: with the default
    /// 100,000 clients reconnect over three minutes and not in one storm. At a stop `timeout` comes
    /// first.
    now rate_max: Rate as u32 = Rate(500), as in "2000/s";
}

table! {
    /// How new configurations are taken.
    ReloadTable "Reload", "a table" => Reload;

    /// Whether the files are watched: all that the configuration names, certificates included,
    /// where links lead, and what is not there yet. SIGHUP reloads in any case.
    now watch: bool as bool = false, as in true;
    /// How long the files must be unchanged before a watch reloads.
    now debounce: Time as Duration = Time(Duration::from_millis(500)), as in "2s";
    /// The share of the live sessions that a reload may end. One that would end more is refused
    /// unless it is forced: half a file, cut between two tables, is valid TOML.
    now drain_max: Percent as u32 => drain_max_percent = Percent(10), as in "50%";
}

table! {
    /// How a new process takes the place of this one (`tidegate upgrade`, SIGUSR2).
    UpgradeTable "Upgrade", "a table" => Upgrade;

    /// What happens to sessions and requests in the old process. `keep`: it stays with them until
    /// they end. `drain`: it drains them as `[drain]` says, but without `delay`: with 1012, spread
    /// over `drain.window`.
    now sessions: UpgradeSessions as UpgradeSessions = UpgradeSessions::Keep, as in "drain";
    /// How long the new process may take to read its configuration and be ready, 100 s at most. One
    /// that takes longer is ended, and the old process goes on.
    now timeout: Time as Duration = seconds(30), by ready_in_time, as in "1m";
    /// How long an old process stays with what it kept. It then drains the rest as `[drain]` says.
    now keep_timeout: Time as Duration = Time(Duration::from_secs(24 * 60 * 60)), as in "7d";
    /// Older processes that may still have sessions when another upgrade begins. With more of them
    /// it is refused. Each has its own memory, and counts what `[limits]` allows for itself.
    now old_processes_max: Number<0> as usize = Number(3), as in 1;
}

table! {
    /// The admin listener.
    AdminTable "Admin", "a table";

    /// Where it listens. It has no password: keep it on loopback or in a private network.
    now address: String = "127.0.0.1:9090".to_owned(), as in "10.0.0.1:9090";
    /// Who may ask: networks or addresses; others are answered 403. By default this machine and
    /// private networks (RFC 1918, RFC 4193, link-local). Whoever probes or scrapes from elsewhere
    /// is to be added: some load balancers probe from public addresses, some clusters use
    /// `100.64.0.0/10`. `["0.0.0.0/0", "::/0"]` is everybody.
    now allow: OneOrMany<String> = networks(&ADMIN_ALLOW), as in ["127.0.0.1", "10.0.0.0/8"];
    /// Names it may be called by (`Host`), beside IP addresses, `localhost`, and names of one label
    /// such as `tidegate`. Others are answered 403: a page of a stranger can have its own name
    /// resolve to this listener, and then read it in an operator's browser (DNS rebinding). Behind
    /// a proxy, list the name that the page has in the browser.
    now hosts: OneOrMany<String>, as in ["metrics.example.com"];
    /// Whether there is a page at `/`: what lives and passes, live, and sessions by label, id or
    /// address, for whoever `allow` lets in. It changes nothing without `operators`.
    now page: bool = false, as in true;
    /// Who may drain, move, enable, kick and push from the page.
    now operators: OperatorsTable;
}

table! {
    /// Operators of the admin page. Each command shows name and password; the listener has no TLS,
    /// so they are safe on loopback, behind SSH, behind a proxy on this machine that speaks TLS, or
    /// in a private network only.
    OperatorsTable "Operators", "a table with `users`";

    /// The file of users, as `htpasswd -B` makes it and as `basic` of `[access]` reads it.
    now users [required]: String, as in "operators.htpasswd";
}

/// This machine, and networks that the internet does not route.
const ADMIN_ALLOW: [&str; 8] = [
    "127.0.0.0/8",
    "::1",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

fn networks(networks: &[&str]) -> OneOrMany<String> {
    let default = |network: &&str| Spanned::by_default((*network).to_owned());
    OneOrMany(networks.iter().map(default).collect())
}

table! {
    /// The operator's unix socket.
    ControlTable "Control", "a table";

    /// The path of the socket. Its directory is made where there is none.
    now socket: String = "/run/tidegate/control.sock".to_owned(), as in "tidegate.sock";
    /// Who may connect, and so give every command: the mode of the socket's file, in octal. By
    /// default only its owner.
    now mode: FileMode = FileMode::PRIVATE, as in "0660";
    /// Bytes of each frame's payload that `tidegate tail --payload` may show, 4KiB at most;
    /// `false`: none. Whoever may connect to the socket can then read what clients and backends
    /// say.
    now tail_payload: OrOff<Size> = OrOff::Off, as in "256B";
}

table! {
    /// Logs.
    LogTable "Log", "a table" => Log;

    /// What is logged: a level, or levels by module, as filters of `tracing` are written.
    now filter: String as String = "info".to_owned(), by log_filter,
        as in "info,tidegate::pool=debug";
    /// How lines look. `auto`: `text` on a terminal, `json` otherwise.
    restart format: LogFormat as LogFormat = LogFormat::Auto, as in "json";
    /// Whether each request has a line, and each session one when it opens and one when it has
    /// ended.
    now access: bool as bool = true, as in false;
    /// How often each live session has a line, `session_live`, with what passed in it so far. The
    /// lines of all sessions are spread over that time; the first comes within it. At least 1s.
    now session_every: OrOff<Time> as Option<Duration> = OrOff::Off, by seldom, as in "10m";
    /// What the log shows of the query of a request's target. `names`: the names of its parameters,
    /// and `…` for their values, because queries often carry tokens. `drop`: nothing. `keep`: all
    /// of it. A list: the values of these parameters, and `…` for those of others.
    now query: QueryLog as QueryLog = QueryLog::Names, as in ["room"];
    /// Whether the `X-Request-Id` that a request comes with is taken. `trusted`: one of the
    /// listener's `trusted_proxies`. `always`: any client's. `never`: none. It must be one line of
    /// 1 to 128 letters, digits and `-_.:/+=@~`; else, and where it is not taken, the request gets
    /// a new one: 20 characters that cannot be guessed. The id is `request_id` in the access log,
    /// and goes to the backend and to the client, in the place of what either of them says. A
    /// route's `request_headers` and `response_headers` may remove it.
    now request_id: RequestIdSource as RequestIdSource = RequestIdSource::Trusted, as in "never";
    /// Bytes of lines that may wait to be written; more lines are dropped and counted, because no
    /// session waits for a log. At least 64KiB.
    restart queue_bytes_max: Size as usize = Size(8 << 20), by log_queue, as in "1MiB";
}

/// The smallest `log.queue_bytes_max`: a burst of some hundred lines fits.
const LOG_QUEUE_BYTES_MIN: u64 = 64 << 10;

fn log_queue(size: &Size) -> Result<usize, Fault> {
    if size.0 < LOG_QUEUE_BYTES_MIN {
        return Err(Fault::new(format!("must be at least `64KiB`, not: `{size}`")));
    }
    Ok(usize::try_from(size.0).unwrap_or(usize::MAX))
}

/// The shortest `log.session_every`.
const SESSION_EVERY_MIN: Duration = Duration::from_secs(1);

fn seldom(every: &OrOff<Time>) -> Result<Option<Duration>, Fault> {
    match every.on().map(|every| every.0) {
        Some(every) if every < SESSION_EVERY_MIN => {
            Err(Fault::new(format!("must be at least `1s`, or false, not: `{}`", Time(every))))
        }
        every => Ok(every),
    }
}

/// Workers at most: as many as are started.
pub(super) const WORKERS_MAX: u32 = crate::base::worker::Workers::COUNT_MAX as u32;

/// The longest `upgrade.timeout`: who asked waits on the operator's socket for as long.
const UPGRADE_TIMEOUT_MAX: Time = seconds(100);

fn ready_in_time(time: &Time) -> Result<Duration, Fault> {
    let most = UPGRADE_TIMEOUT_MAX;
    let said = || Fault::new(format!("must be at most {most}, not: `{time}`"));
    if time.0 <= most.0 { Ok(time.0) } else { Err(said()) }
}
