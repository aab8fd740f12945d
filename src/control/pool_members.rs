//! Who is asked for members of pools, and what of that is in force.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::upgrade::FoundRow;
use crate::base::clock::{self, Moment};
use crate::config::plan::{MemberSource, MemberTable, Plan, SourceKey};
use crate::discovery::{FoundMembers, FoundVersion, SourceTasks};

/// The least time between two changes of members: each is a whole snapshot.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// How long a configuration waits for the first answers of its sources before it comes into force.
const FIRST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(3);

/// Who asks for members of pools, and which of those that were found are in force.
#[derive(Default)]
pub(super) struct PoolMembers {
    sources: SourceTasks,
    found: Arc<FoundMembers>,
    version: FoundVersion,
    /// When the last change came into force; none has yet.
    since: Option<Moment>,
}

impl PoolMembers {
    /// Asks the sources of the first plan. Files have answered when this returns. A process that
    /// takes over begins with what the one before has found, and waits for names that this one did
    /// not know; another never waits for name servers, which may be behind itself.
    pub(super) async fn start(plan: &Plan, before: Option<&[FoundRow]>) -> PoolMembers {
        let mut members = PoolMembers::default();
        for row in before.into_iter().flatten() {
            row.put(plan, &members.found);
        }
        members.sources.follow(plan, &members.found);
        let is_file = |key: &SourceKey| matches!(key.source, MemberSource::File(_));
        let keys = plan.sources().map(|(key, _)| key);
        members.asked(keys.filter(|key| before.is_some() || is_file(key)).collect()).await;
        members.version = members.found.version();
        members
    }

    /// What was found.
    pub(super) fn found(&self) -> &Arc<FoundMembers> {
        &self.found
    }

    /// Asks the sources of this plan and no others.
    pub(super) fn follow(&mut self, plan: &Plan) {
        self.sources.follow(plan, &self.found);
    }

    /// Asks the sources of a plan that may come into force, and waits for those that are new.
    pub(super) async fn first_answers(&mut self, plan: &Plan) {
        self.sources.ask_also(plan, &self.found);
        self.asked(plan.sources().map(|(key, _)| key).collect()).await;
    }

    async fn asked(&self, keys: Vec<SourceKey>) {
        // Whatever is silent is waited for no longer.
        let _ = timeout(FIRST_ANSWERS_TIMEOUT, self.found.asked(&keys)).await;
    }

    /// What was found; it counts as in force.
    pub(super) fn take(&mut self) -> MemberTable {
        self.version = self.found.version();
        self.found.table()
    }

    /// Keeps in mind when members have changed.
    pub(super) fn note_change(&mut self, now: Moment) {
        self.since = Some(now);
    }

    /// Waits until something else was found, and the last change is long enough ago; a pool that
    /// was empty waits for nothing.
    pub(super) async fn changed(&self) {
        self.found.changed(self.version).await;
        if let Some(since) = self.since {
            let pause = since.after(CHANGE_PAUSE).since(clock::now());
            let _ = timeout(pause, self.found.filled(self.version)).await;
        }
    }
}
