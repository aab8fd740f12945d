//! Why a backend could not be reached, whose fault it was, and whether another may be tried.

use crate::base::label::Label;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What a dial was at when its time was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialStage {
    /// Looking up the backend's name.
    Lookup,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
}

/// Whose fault an error is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The backend's, or the way's to it: it counts against its health.
    Backend,
    /// Our own, such as too few files or ports: it says nothing about the backend.
    Ours,
}

/// Why there is no connection to a backend.
#[derive(Debug)]
pub enum DialError {
    /// Its name could not be looked up, or has no address (`source` is `None`).
    Lookup {
        /// The name.
        host: Arc<str>,
        /// What the system said.
        source: Option<io::Error>,
    },
    /// It did not take the connection.
    Connect {
        /// The address tried last.
        to: String,
        /// What the system said.
        source: io::Error,
    },
    /// No address we may dial from has a free port left for this destination.
    NoLocalPort {
        /// The destination.
        to: SocketAddr,
    },
    /// An address to dial from is not one of this machine's.
    SourceAddress {
        /// The address.
        from: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake failed: the backend is not who it should be, or does not speak TLS.
    Tls {
        /// What went wrong; a [`rustls::Error`] may be inside.
        source: io::Error,
    },
    /// It took longer than `connect_timeout`.
    Timeout {
        /// At what.
        stage: DialStage,
        /// The whole time that was given.
        after: Duration,
    },
}

impl DialError {
    /// Whose fault it is.
    pub fn fault(&self) -> Blame {
        match self {
            DialError::NoLocalPort { .. } | DialError::SourceAddress { .. } => Blame::Ours,
            DialError::Connect { source, .. } if is_ours(source) => Blame::Ours,
            _ => Blame::Backend,
        }
    }

    /// Whether another backend may do better. Where the process is short of files or memory it does
    /// not; a port in use towards one backend is free towards another, and one of the other IP
    /// version has other addresses to be dialled from.
    pub fn retryable(&self) -> bool {
        match self {
            DialError::NoLocalPort { .. } | DialError::SourceAddress { .. } => true,
            other => other.fault() == Blame::Backend,
        }
    }
}

impl Label for DialError {
    fn label(&self) -> &'static str {
        match self {
            DialError::Lookup { .. } => "lookup",
            DialError::Connect { source, .. } if is_ours(source) => "resources",
            DialError::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => "refused",
                io::ErrorKind::NotFound => "not_found",
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
                io::ErrorKind::TimedOut => "timeout",
                _ => "connect",
            },
            DialError::NoLocalPort { .. } => "no_local_port",
            DialError::SourceAddress { .. } => "source_address",
            DialError::Tls { .. } => "tls",
            DialError::Timeout { .. } => "timeout",
        }
    }
}

/// Whether an error tells of this process's or machine's own shortage.
fn is_ours(error: &io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| shortages.contains(&code))
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Lookup { host, source: Some(source) } => {
                write!(f, "`{host}` could not be looked up: {source}")
            }
            DialError::Lookup { host, source: None } => {
                write!(f, "a look-up gave no address for: {host}")
            }
            DialError::Connect { to, source } => write!(f, "no connection to `{to}`: {source}"),
            DialError::NoLocalPort { to } => write!(
                f,
                "no local port is free (name more `source_addresses`) for connections to: {to}"
            ),
            DialError::SourceAddress { from, source } => {
                write!(f, "`source_addresses` names `{from}`, not one of this machine's: {source}")
            }
            DialError::Tls { source } => write!(f, "TLS with the backend failed: {source}"),
            DialError::Timeout { stage, after } => {
                let doing = match stage {
                    DialStage::Lookup => "looking up its name",
                    DialStage::Connect => "connecting",
                    DialStage::Tls => "TLS",
                };
                write!(f, "`connect_timeout` was over while {doing}: {after:?}")
            }
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DialError::Lookup { source, .. } => {
                source.as_ref().map(|source| source as &(dyn std::error::Error + 'static))
            }
            DialError::Connect { source, .. }
            | DialError::SourceAddress { source, .. }
            | DialError::Tls { source } => Some(source),
            DialError::NoLocalPort { .. } | DialError::Timeout { .. } => None,
        }
    }
}
