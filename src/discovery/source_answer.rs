//! What a source says.

use std::time::Duration;

use crate::config::plan::FoundMember;

/// Members of one source at most.
pub(super) const MEMBERS_MAX: usize = 1024;

/// What a source said.
#[derive(Debug)]
pub(super) enum SourceAnswer {
    /// Its members, perhaps none, and how long that holds.
    Members {
        /// Who they are.
        members: Vec<FoundMember>,
        /// By the records' TTL.
        ttl: Duration,
    },
    /// Nothing that can be used: why.
    Failed(String),
}
