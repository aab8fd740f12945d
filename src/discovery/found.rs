//! What was found, for all to see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::base::clock::Moment;
use crate::base::lock::lock;
use crate::config::plan::{FoundMember, MemberTable, SourceKey};

/// What was found. It is written by the tasks that ask, and read by everybody.
#[derive(Debug, Default)]
pub struct FoundMembers {
    sources: Mutex<BTreeMap<SourceKey, SourceState>>,
    version: watch::Sender<FoundVersion>,
}

/// How often what was found has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FoundVersion {
    /// Sources that came, and changes of their members.
    changes: u64,
    /// Changes that gave members to a source that had none: clients wait for those.
    filled: u64,
}

/// What there is to see of a source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceState {
    /// Who its members are.
    pub members: Arc<[FoundMember]>,
    /// Those that its last answer did not have.
    pub missing: usize,
    /// When it last answered.
    pub answered: Option<Moment>,
    /// Why it did not, the last time; or why its answer is not believed.
    pub error: Option<Arc<str>>,
}

impl FoundMembers {
    /// Who the members are.
    pub fn table(&self) -> MemberTable {
        let sources = lock(&self.sources);
        let row =
            |(key, state): (&SourceKey, &SourceState)| (key.clone(), Arc::clone(&state.members));
        MemberTable(sources.iter().map(row).collect())
    }

    /// All sources.
    pub fn states(&self) -> Vec<(SourceKey, SourceState)> {
        let sources = lock(&self.sources);
        sources.iter().map(|(key, state)| (key.clone(), state.clone())).collect()
    }

    /// How often it has changed.
    pub fn version(&self) -> FoundVersion {
        *self.version.borrow()
    }

    /// Waits until it has changed since this version.
    pub async fn changed(&self, since: FoundVersion) {
        // The sender lives in `self`.
        let _ = self.version.subscribe().wait_for(|version| *version != since).await;
    }

    /// Waits until a source has members that had none in this version.
    pub async fn filled(&self, since: FoundVersion) {
        // As above.
        let _ = self.version.subscribe().wait_for(|version| version.filled != since.filled).await;
    }

    /// Waits until all of these sources have been asked once, whatever came of it.
    pub async fn asked(&self, keys: &[SourceKey]) {
        let are_there = |_: &FoundVersion| {
            let sources = lock(&self.sources);
            keys.iter().all(|key| sources.contains_key(key))
        };
        // As above.
        let _ = self.version.subscribe().wait_for(are_there).await;
    }

    /// Puts how a source stands.
    pub fn put(&self, key: &SourceKey, state: SourceState) {
        let members = Arc::clone(&state.members);
        let before = lock(&self.sources).insert(key.clone(), state);
        let had_none = before.as_ref().is_none_or(|before| before.members.is_empty());
        if before.is_none_or(|before| before.members != members) {
            self.version.send_modify(|version| {
                version.changes += 1;
                version.filled += u64::from(had_none && !members.is_empty());
            });
        }
    }

    /// How a source stands.
    pub(super) fn state(&self, key: &SourceKey) -> SourceState {
        lock(&self.sources).get(key).cloned().unwrap_or_default()
    }

    /// Forgets the others.
    pub(super) fn retain(&self, is_kept: impl Fn(&SourceKey) -> bool) {
        lock(&self.sources).retain(|key, _| is_kept(key));
    }
}
