//! What concerns the whole process.

use std::net::SocketAddr;
use std::path::PathBuf;

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
