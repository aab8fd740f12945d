//! What concerns the whole process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::tables::FileMode;
use super::address::Networks;

/// The admin listener: metrics and health.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may ask.
    pub allow: Networks,
    /// Names it is called by beside addresses, `localhost` and names of one label; canonical.
    pub hosts: Vec<Arc<str>>,
    /// Whether there is a page.
    pub page: bool,
    /// Whether some may command from the page: whom the rule [`ADMIN_OPERATORS`] lets pass.
    pub has_operators: bool,
}

/// The name of the access rule for operators of the admin page: no rule that is written has it.
pub const ADMIN_OPERATORS: &str = "(admin.operators)";

/// The operator's unix socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Its path.
    pub socket: PathBuf,
    /// Who may connect.
    pub mode: FileMode,
    /// Bytes of each frame's payload that may be shown; zero where none may.
    pub tail_payload: usize,
}
