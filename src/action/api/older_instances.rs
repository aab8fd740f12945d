//! The processes before this one, as requests to the API reach them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::Value;

use crate::base::task::LocalBox;

/// The processes before this one, asked about their sessions.
pub trait OlderInstances: Send + Sync {
    /// Whether there are any.
    fn are_there(&self) -> bool;

    /// Whether another process has taken over from this one: it asks, and not this one.
    fn is_replaced(&self) -> bool;

    /// Begins a request that is about their sessions as well; `None` where another process has
    /// taken over, or is about to: it is that one which hears their answers.
    fn enter(&self) -> Option<OpenRequest>;

    /// Asks all of them at once, each with so much time. The body is a question
    /// about sessions, in JSON.
    fn ask(&self, body: String, patience: Duration) -> LocalBox<Vec<InstanceReport>>;
}

/// What an older process said.
#[derive(Debug)]
pub struct InstanceReport {
    /// Which.
    pub pid: u32,
    /// Sessions it had when it last said so; none where it has not said yet.
    pub sessions: Option<usize>,
    /// Status and JSON of its answer, or why there is none.
    pub answer: Result<(u16, Value), String>,
}

/// How many requests are under way; another process does not take over in their midst.
#[derive(Clone, Default)]
pub struct OpenRequests(Arc<AtomicUsize>);

/// A request under way; its drop ends it.
pub struct OpenRequest(OpenRequests);

impl OpenRequests {
    /// One more.
    pub fn enter(&self) -> OpenRequest {
        // In one order with what says that another process takes over: who is counted too late to
        // be waited for sees that it does.
        self.0.fetch_add(1, SeqCst);
        OpenRequest(self.clone())
    }

    /// Whether there is none.
    pub fn are_done(&self) -> bool {
        self.0.load(SeqCst) == 0
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}
