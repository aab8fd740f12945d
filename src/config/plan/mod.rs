//! What a configuration means: every default applied, every name resolved, nothing left to check.
//!
//! Plans compare by value: two files that mean the same give equal plans, and parts that are equal
//! are provably unchanged over a reload.

// The tables name these files one by one: what they declare is named here.
mod access;
mod acme;
pub(super) mod address;
pub(super) mod balance;
pub(super) mod certificate;
mod changes;
mod discovery;
mod limits;
mod listener;
mod page;
mod path_change;
pub(super) mod probe;
mod process;
mod request_key;
mod route;
mod traces;
pub(super) mod upstream;

pub use super::tables::words::{
    AddressFamily, ApiRight, CompressedPush, First, FullPush, LogFormat, OutSessions, ProxyVersion,
    RelayExcess, RequestIdSource, Resumption, SameSite, SessionExcess, TlsVersion, UpgradeSessions,
    Validation,
};
pub use super::tables::{
    Backend, Discovery, Drain, FileMode, Health, Hold, Http2, Limits, ListenerLimits, Log, Pacing,
    Pool, Probe, Push, QueryLog, Rebalance, Reload, Retry, Rules, ServerTls, TokenSession, Upgrade,
};
pub use access::{
    AccessDemand, AccessRule, AccessTest, AddressLists, AuthServer, Basic, CertificateMatch,
    ClaimMatch, Jwt, KeysUrl, RevokedTokens, TokenKeySource, TokenKeys, TokenPlace,
};
pub use acme::{Acme, CaDirectory, DnsHook, ExternalAccount};
pub use address::{Address, BackendAddress, Networks};
pub use balance::Balance;
pub use certificate::{Certificate, ClientCertificates, DevelopmentCertificate, covers};
pub use changes::{FieldChanges, FieldTemplates, FieldValue, RouteChanges};
pub use discovery::{FoundMember, MemberGroup, MemberSource, MemberTable, SourceKey};
pub use limits::{RateRule, RouteLimits, SessionRule};
pub use listener::{Listener, ListenerIdentity, ProxyProtocol};
pub use page::{Compress, ErrorPages, StoredPage};
pub use path_change::{PathChange, PathRewrite, RewritePart};
pub use probe::{ProbeCheck, ProbeRequest, TextMatch};
pub use process::{ADMIN_OPERATORS, Admin, Control};
pub use request_key::RequestKey;
pub use route::{
    Action, Api, FieldCondition, FieldMatch, Files, HostPattern, Origins, PassingTrailers,
    PathPattern, PoolTarget, Queue, Redirect, Respond, Route, RouteLabels, WebSocketMode,
};
pub use traces::{SampleShare, Traces};
pub use upstream::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, Roots, Secret, Sticky, UpstreamTls};

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
    /// Rules of who may pass, in file order; names are unique.
    pub access: Vec<Arc<AccessRule>>,
    /// Conditions to actions, in file order; identities are unique.
    pub routes: Vec<Arc<Route>>,
    /// How certificates are ordered, where any are.
    pub acme: Option<Acme>,
    /// Limits of the whole process.
    pub limits: Limits,
    /// How sessions are drained at a stop.
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
    /// Where traces are sent, when they are.
    pub traces: Option<Traces>,
    /// Every file that the configuration names, certificates included, and every pattern of files
    /// (a `*` in a name): what a watch looks at.
    pub files: Vec<PathBuf>,
}
