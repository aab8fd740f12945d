//! The processes before this one, as requests to the API reach them.

use std::time::Duration;

use serde_json::Value;

use crate::base::task::LocalBox;

/// The processes before this one, asked about their sessions.
pub trait OlderInstances: Send + Sync {
    /// Whether there are any.
    fn are_there(&self) -> bool;

    /// Whether another process has taken over from this one: it asks, and not this one.
    fn is_replaced(&self) -> bool;

    /// Asks all of them at once, each with so much time. The body is a question
    /// about sessions, in JSON.
    fn ask(&self, body: String, patience: Duration) -> LocalBox<Vec<InstanceReport>>;
}

/// What an older process said.
#[derive(Debug)]
pub struct InstanceReport {
    /// Which.
    pub pid: u32,
    /// Sessions it had when it last said so.
    pub sessions: usize,
    /// Status and JSON of its answer, or why there is none.
    pub answer: Result<(u16, Value), String>,
}
