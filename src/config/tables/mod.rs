//! What may be written: one declaration per key, with its documentation, its default, an example,
//! what a reload does with it, and what it is in the plan.
//!
//! The reference and the JSON Schema are printed from these tables. The word before a key says
//! what a reload that changes it does: it applies at once, also to live sessions (`now`); to the
//! next connection, request or handshake (`next`); it drains sessions whose part was removed
//! (`drains`); or it waits for a new process (`restart`).

#[macro_use]
mod table;
mod access;
mod acme;
mod api;
mod auth_server;
mod by_kind;
mod discovery;
mod error_pages;
mod file;
mod file_mode;
mod hold;
mod limit;
mod listener;
mod log_filter;
mod pool;
mod probe;
mod process;
mod relay;
mod route;
mod scalar;
mod site;
mod spanned;
mod traces;
mod units;
pub mod words;

pub use access::{
    AccessTable, BasicTable, CertificateMatchTable, ClaimTest, JwtTable, RouteAccess,
    TokenKeysTable, TokenSession,
};
pub use acme::{AcmeNames, AcmeTable, DnsHookTable, ExternalAccountTable};
pub use api::{ApiTable, Push, PushTable};
pub use auth_server::{AuthFailure, ForwardTable};
pub use discovery::{Discovery, DiscoveryParts, DiscoveryTable};
pub use error_pages::ErrorsValue;
pub use file::FileTable;
pub use file_mode::FileMode;
pub use hold::{Hold, HoldParts, HoldTable};
pub use limit::{RateRuleTable, RouteLimitsTable, SessionRuleTable};
pub use listener::{
    CertificateTable, ClientCertificatesTable, Http2, Http2Table, ListenerLimits, ListenerTable,
    ProxyProtocolTable, ServerTls, ServerTlsParts, ServerTlsTable,
};
pub use pool::{
    Backend, BackendParts, BackendTable, Health, HealthParts, HealthTable, Pool, PoolParts,
    PoolTable, Rebalance, RebalanceTable, Retry, StickyTable, UpstreamTlsTable,
};
pub use probe::{Probe, ProbeParts, ProbeTable};
pub use process::{
    AdminTable, ControlTable, Drain, DrainTable, Limits, LimitsTable, Log, LogTable, Reload,
    ReloadTable, Upgrade, UpgradeTable,
};
pub use relay::{RelayParts, RelayTable, Rules};
pub use route::{
    CompressTable, FieldChangesTable, FilesTable, RedirectTable, RespondTable, RewriteTable,
    RouteTable,
};
pub use scalar::{FieldTest, Number, OrOff, QueryLog, TakesWebSockets};
pub use site::SiteTable;
pub use spanned::{Named, ONE_OR_MANY, OR_STRING, OneOrMany, OrString, SPANNED, Spanned};
pub use table::{checked, if_any};
pub use traces::TracesTable;
pub use units::{Pacing, Percent, Rate, Size, Time, Wait, seconds};
