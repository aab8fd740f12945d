//! What concerns the whole process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Limits of the whole process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Client connections open at once.
    pub connections_max: usize,
    /// Client connections open at once from one IP address; unlimited when `None` (NAT).
    pub connections_per_address_max: Option<usize>,
    /// Bytes that all sessions together keep while their upstreams are away.
    pub hold_bytes_max: u64,
}

/// How sessions are let go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drain {
    /// At a stop, from the signal until closing begins; `/readyz` fails at once, accepting goes on.
    pub delay: Duration,
    /// Closes are spread over this time at least.
    pub window: Duration,
    /// The hard end of a stop, counted from the signal.
    pub timeout: Duration,
    /// Closes per second at most.
    pub rate_max: u32,
}

/// How new configurations are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reload {
    /// Whether the files are watched.
    pub watch: bool,
    /// How long the files must be quiet before a watch reloads.
    pub quiet: Duration,
    /// A reload that would end more than this share of the live sessions, in percent, is refused.
    pub drain_max_percent: u32,
}

/// How another process takes over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upgrade {
    /// Whether the old process stays with its sessions; otherwise it lets them go.
    pub keep: bool,
    /// How long the new process may take to be ready.
    pub timeout: Duration,
    /// How long the old process stays with what it kept.
    pub keep_timeout: Duration,
    /// Older processes that may still live when another upgrade begins.
    pub older_max: usize,
}

/// The admin listener: metrics and health.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
}

/// The operator's unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Its path; made with mode 0600.
    pub socket: PathBuf,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Logs; written to standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `info,tidegate::pool=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
    /// Whether requests and sessions are logged.
    pub access: bool,
    /// Lines that may wait to be written before more are dropped and counted.
    pub queue_max: usize,
}
