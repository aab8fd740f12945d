//! What the servers here know of the process they belong to.

use std::future::Future;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::older::{OlderQuestion, OlderReport};
use super::report::{ReloadRequest, Reloaded, Upgraded};
use crate::acme::NameState;
use crate::action::api::PushRequest;
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::config::plan::SourceKey;
use crate::discovery::SourceState;
use crate::drain::Drains;
use crate::live::Snapshot;
use crate::observe::metrics::Exposition;
use crate::registry::LiveSessions;

/// A process, as its operator and its probes see it; cheap to clone.
pub trait Process: Clone + 'static {
    /// Where it stands.
    fn phase(&self) -> Phase;

    /// What lives in it.
    fn counts(&self) -> impl Future<Output = Counts>;

    /// The snapshot in force.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// The sessions of all its workers.
    fn sessions(&self) -> &LiveSessions;

    /// Its drain engine.
    fn drains(&self) -> &Drains;

    /// What it runs by.
    fn setup(&self) -> ProcessSetup;

    /// How the names stand that certificates are ordered for.
    fn ordered_names(&self) -> Arc<Vec<NameState>>;

    /// Everything it counts, as text.
    fn scrape(&self, format: Exposition) -> String;

    /// Counts a request that the admin listener has refused.
    fn admin_refused(&self, why: impl Label);

    /// Sends sessions a message, those of older processes too: status and report.
    fn push(&self, request: PushRequest) -> impl Future<Output = (StatusCode, Value)>;

    /// Whether processes before this one have not ended.
    fn has_older(&self) -> bool;

    /// Asks all of them at once; those that have not answered in time are said as such.
    fn ask_older(&self, question: OlderQuestion) -> impl Future<Output = Vec<OlderReport>>;

    /// Where members of pools are found, and how that stands.
    fn sources(&self) -> Vec<(SourceKey, SourceState)>;

    /// Reloads its configuration.
    fn reload(&self, request: ReloadRequest) -> impl Future<Output = Reloaded>;

    /// Has another process take over.
    fn upgrade(&self) -> impl Future<Output = Upgraded>;
}

/// What a process runs by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProcessSetup {
    /// Where its configuration comes from.
    pub configuration: String,
    /// When the configuration in force was taken.
    pub taken: Moment,
    /// Threads that carry connections.
    pub workers: usize,
    /// The names of its listeners, and where each is bound.
    pub listeners: Vec<(String, String)>,
}

/// Where a process stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It serves.
    Running,
    /// It serves and says that it soon will not; then it drains what is open.
    Draining,
    /// It has ended.
    Stopped(Stopped),
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stopped {
    /// Whether everything had ended by itself before the hard stop.
    pub drained: bool,
    /// What was left when the workers were stopped.
    pub left: Counts,
}

/// What lives in a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Tasks on the workers; each accept loop is one.
    pub tasks: usize,
    /// WebSocket sessions.
    pub sessions: usize,
    /// Clients' connections, those of sessions included.
    pub connections: usize,
    /// Leases on backends of the configuration in force.
    pub leases: usize,
}
