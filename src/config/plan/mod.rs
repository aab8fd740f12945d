//! What a configuration means: every default applied, every name resolved, nothing left to check.
//!
//! Plans compare by value: two files that mean the same give equal plans, and parts that are equal
//! are provably unchanged over a reload.

mod hold;
mod listener;
mod pool;
mod process;
mod route;

pub use hold::{Hold, Queue};
pub use listener::{
    Address, Certificate, Http2, Listener, ListenerIdentity, ListenerLimits, Networks,
    ProxyProtocol, ServerTls, TlsVersion,
};
pub use pool::{
    ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, Backend, BackendAddress, Balance, First, HashBy,
    Health, OutSessions, Pool, Rebalance, Retry, Roots, SameSite, Secret, Sticky, UpstreamTls,
};
pub use process::{Admin, Control, Drain, Limits, Log, LogFormat, Reload, Upgrade};
pub use route::{
    Action, FieldChanges, FieldCondition, FieldMatch, Files, HostPattern, PathPattern, Redirect,
    Respond, Route, Rules, Validation, WebSocketMode,
};

use std::path::PathBuf;
use std::sync::Arc;

/// A whole configuration, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Workers to run; applies at start only.
    pub workers: usize,
    /// Addresses accepted on, in file order; names are unique.
    pub listeners: Vec<Arc<Listener>>,
    /// Groups of backends, in file order; names are unique.
    pub pools: Vec<Arc<Pool>>,
    /// Conditions to actions, in file order; identities are unique.
    pub routes: Vec<Arc<Route>>,
    /// Limits of the whole process.
    pub limits: Limits,
    /// How sessions are let go at a stop.
    pub drain: Drain,
    /// How new configurations are taken.
    pub reload: Reload,
    /// How another process takes over.
    pub upgrade: Upgrade,
    /// The admin listener, when there is one.
    pub admin: Option<Admin>,
    /// The operator's unix socket, when there is one.
    pub control: Option<Control>,
    /// Logs.
    pub log: Log,
    /// Every file that was read to make this plan, certificates included: what a watch looks at.
    pub files: Vec<PathBuf>,
}
