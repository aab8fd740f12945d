//! The scenarios: what is done, by how many, over what.

use std::fmt::Write as _;

/// How clients reach the proxy. The way on to the backend is always plain HTTP/1.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// TCP.
    Plain,
    /// TLS 1.3; each connection a full handshake.
    Tls,
    /// TLS 1.3; each connection resumes a session.
    Resumed,
    /// Streams of HTTP/2 over TLS (RFC 8441).
    H2,
}

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Each has one message under way: the next is sent when the last came back.
    Echo,
    /// Messages from clients to the backend, as fast as they go.
    Up,
    /// The other way.
    Down,
    /// Messages sent by the clock, whether or not earlier ones came back.
    Paced,
    /// Connect, handshake, Close both ways, again and again.
    Connect,
    /// 16 KiB once both ways, then quiet; then all leave.
    Idle,
    /// As quiet, and watched at it.
    Pinged,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What clients do.
    pub kind: Kind,
    /// How they reach the proxy.
    pub over: Over,
    /// How many there are.
    pub clients: usize,
    /// Payload of a message.
    pub size: usize,
}

/// A figure of a scenario.
pub struct Column {
    /// Its key in JSON.
    pub key: &'static str,
    /// Its head in the table.
    pub head: &'static str,
    /// Whether ratios of it are printed; the first such column decides in a glance.
    pub compared: bool,
}

const fn column(key: &'static str, head: &'static str, compared: bool) -> Column {
    Column { key, head, compared }
}

impl Kind {
    /// What is measured, in the order [`crate::measure`] gives it.
    pub fn columns(self) -> &'static [Column] {
        const ECHO: &[Column] =
            &[column("cpu_us", "CPU µs/message", true), column("rate", "echoes/s", false)];
        const BULK: &[Column] =
            &[column("cpu_s_gb", "CPU s/GB", true), column("mb_s", "MB/s", true)];
        const PACED: &[Column] = &[
            column("p99_us", "p99 µs", true),
            column("p50_us", "p50 µs", true),
            column("p999_us", "p99.9 µs", true),
            column("cpu_us", "CPU µs/message", true),
        ];
        const CONNECT: &[Column] =
            &[column("cpu_us", "CPU µs/connect", true), column("rate", "connects/s", false)];
        const IDLE: &[Column] = &[
            column("session_bytes", "B/session", true),
            column("first_mib", "MiB before", false),
            column("most_mib", "MiB at most", false),
            column("left_mib", "MiB after", false),
            column("left_ratio", "after/before", false),
        ];
        const PINGED: &[Column] = &[
            column("cpu_ms_s", "CPU ms/s", false),
            column("cpu_peak_ms_s", "its peak", false),
            column("pings_s", "pings/s", false),
            column("pings_peak_s", "their peak", false),
        ];
        match self {
            Kind::Echo => ECHO,
            Kind::Up | Kind::Down => BULK,
            Kind::Paced => PACED,
            Kind::Connect => CONNECT,
            Kind::Idle => IDLE,
            Kind::Pinged => PINGED,
        }
    }

    /// Whether a round takes minutes.
    pub fn is_long(self) -> bool {
        matches!(self, Kind::Idle | Kind::Pinged)
    }

    /// Where in [`Kind::columns`] a figure is.
    pub fn column(self, key: &str) -> Option<usize> {
        self.columns().iter().position(|column| column.key == key)
    }
}

impl Scenario {
    /// Whether it moves much per session: then proxies with fixed buffers get large ones.
    pub fn is_bulk(&self) -> bool {
        self.size >= 64 * 1024
    }

    /// The bytes of payload a message there and back, or one way, stands for.
    pub fn doc(&self) -> String {
        let mut doc = match self.kind {
            Kind::Echo => "closed loop, each client one message under way".to_owned(),
            Kind::Up => "clients to backend as fast as it goes".to_owned(),
            Kind::Down => "backend to clients as fast as it goes".to_owned(),
            Kind::Paced => format!("open loop, {PACED_PER_SECOND} messages/s in all"),
            Kind::Connect => "connect, handshake, Close both ways, again and again".to_owned(),
            Kind::Idle => "16 KiB both ways, then quiet; then all leave".to_owned(),
            Kind::Pinged => "64 B both ways, then quiet but for pings".to_owned(),
        };
        if !self.kind.is_long() {
            // Writing to a `String` does not fail.
            let _ = write!(doc, "; {} clients", self.clients);
        }
        if self.kind != Kind::Connect {
            let _ = write!(doc, ", {} B", self.size);
        }
        doc
    }
}

/// Messages a second of the open loop, over all clients: well below what any peer can do.
pub const PACED_PER_SECOND: usize = 8_000;

/// Sessions at the same time in the idle scenarios are the command line's.
const IDLE_BYTES: usize = 16 * 1024;

const fn scenario(
    name: &'static str,
    kind: Kind,
    over: Over,
    clients: usize,
    size: usize,
) -> Scenario {
    Scenario { name, kind, over, clients, size }
}

/// What there is.
pub const SCENARIOS: [Scenario; 30] = [
    scenario("plain-64B-1", Kind::Echo, Over::Plain, 1, 64),
    scenario("plain-64B-64", Kind::Echo, Over::Plain, 64, 64),
    scenario("plain-64B-1000", Kind::Echo, Over::Plain, 1_000, 64),
    scenario("plain-4KiB-64", Kind::Echo, Over::Plain, 64, 4_096),
    scenario("plain-1MiB-4", Kind::Echo, Over::Plain, 4, 1 << 20),
    scenario("plain-up", Kind::Up, Over::Plain, 4, 64 * 1024),
    scenario("plain-down", Kind::Down, Over::Plain, 4, 64 * 1024),
    scenario("plain-paced", Kind::Paced, Over::Plain, 64, 64),
    scenario("plain-connect", Kind::Connect, Over::Plain, 16, 0),
    scenario("tls-64B-1", Kind::Echo, Over::Tls, 1, 64),
    scenario("tls-64B-64", Kind::Echo, Over::Tls, 64, 64),
    scenario("tls-64B-1000", Kind::Echo, Over::Tls, 1_000, 64),
    scenario("tls-4KiB-64", Kind::Echo, Over::Tls, 64, 4_096),
    scenario("tls-1MiB-4", Kind::Echo, Over::Tls, 4, 1 << 20),
    scenario("tls-up", Kind::Up, Over::Tls, 4, 64 * 1024),
    scenario("tls-down", Kind::Down, Over::Tls, 4, 64 * 1024),
    scenario("tls-paced", Kind::Paced, Over::Tls, 64, 64),
    scenario("tls-connect", Kind::Connect, Over::Tls, 16, 0),
    scenario("tls-resumed", Kind::Connect, Over::Resumed, 16, 0),
    scenario("h2-64B-64", Kind::Echo, Over::H2, 64, 64),
    scenario("h2-64B-1000", Kind::Echo, Over::H2, 1_000, 64),
    scenario("h2-4KiB-64", Kind::Echo, Over::H2, 64, 4_096),
    scenario("h2-up", Kind::Up, Over::H2, 4, 64 * 1024),
    scenario("h2-down", Kind::Down, Over::H2, 4, 64 * 1024),
    scenario("h2-paced", Kind::Paced, Over::H2, 64, 64),
    scenario("plain-idle", Kind::Idle, Over::Plain, 0, IDLE_BYTES),
    scenario("tls-idle", Kind::Idle, Over::Tls, 0, IDLE_BYTES),
    scenario("h2-idle", Kind::Idle, Over::H2, 0, IDLE_BYTES),
    scenario("plain-pinged", Kind::Pinged, Over::Plain, 0, 64),
    scenario("tls-pinged", Kind::Pinged, Over::Tls, 0, 64),
];
