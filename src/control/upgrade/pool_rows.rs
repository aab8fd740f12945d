//! What one process hands to the next of its pools.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock;
use crate::config::plan::{Plan, SourceKey};
use crate::discovery::{FoundMembers, SourceState, parse_members};
use crate::pool::RebalanceState;

/// A backend that an operator's command keeps work from.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(in crate::control) struct DisabledBackend {
    /// Its pool's name.
    pub(in crate::control) pool: String,
    /// Its address.
    pub(in crate::control) backend: String,
}

/// How far the levelling of a pool has come.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(in crate::control) struct RebalanceRow {
    /// Its name.
    pub(in crate::control) pool: String,
    /// The addresses of the backends that should have sessions.
    members: Vec<String>,
    /// For how long it has been uneven.
    uneven_ms: Option<u64>,
    levelling: bool,
}

impl From<(Arc<str>, RebalanceState)> for RebalanceRow {
    fn from((pool, state): (Arc<str>, RebalanceState)) -> RebalanceRow {
        let RebalanceState { members, uneven, is_levelling } = state;
        RebalanceRow {
            pool: pool.to_string(),
            members: members.iter().map(|member| member.to_string()).collect(),
            uneven_ms: uneven.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            levelling: is_levelling,
        }
    }
}

impl From<&RebalanceRow> for RebalanceState {
    fn from(row: &RebalanceRow) -> RebalanceState {
        RebalanceState {
            members: row.members.iter().map(|member| (&**member).into()).collect(),
            uneven: row.uneven_ms.map(Duration::from_millis),
            is_levelling: row.levelling,
        }
    }
}

/// Members that were found by one source: whoever was asked may be away when the new process asks.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(in crate::control) struct FoundRow {
    /// The pool's name.
    pool: String,
    /// As in `backends`.
    source: String,
    /// One a line, as in a file of backends.
    members: String,
    /// How old its last answer is; `None` where it has not answered.
    age_ms: Option<u64>,
}

impl FoundRow {
    /// Bytes of all of them in a line at most: the sources of the others are asked anew.
    const BYTES_MAX: usize = 512 << 10;

    /// All that was found, as far as there is room for it.
    pub(super) fn of(found: &FoundMembers) -> Vec<FoundRow> {
        let now = clock::now();
        let row = |(SourceKey { pool, source }, state): (SourceKey, SourceState)| {
            let age = state.answered.map(|at| now.since(at).as_millis());
            FoundRow {
                pool: pool.to_string(),
                source: source.to_string(),
                members: state.members.iter().map(|member| format!("{member}\n")).collect(),
                age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
            }
        };
        let mut bytes = 0;
        let fits = |row: &FoundRow| {
            bytes += serde_json::to_string(row).unwrap_or_default().len();
            let fits = bytes <= FoundRow::BYTES_MAX;
            if !fits {
                tracing::warn!(pool = row.pool, source = row.source, "members not handed over");
            }
            fits
        };
        found.states().into_iter().map(row).filter(fits).collect()
    }

    /// Puts it where it is a source of this plan.
    pub(in crate::control) fn put(&self, plan: &Plan, found: &FoundMembers) {
        let is_this =
            |key: &SourceKey| *key.pool == *self.pool && key.source.to_string() == self.source;
        let Some(key) = plan.sources().map(|(key, _)| key).find(is_this) else { return };
        match parse_members(&self.members, Path::new("")) {
            Ok(members) => {
                let answered =
                    self.age_ms.map(|age| clock::now().before(Duration::from_millis(age)));
                let members = members.into();
                found.put(&key, SourceState { members, answered, ..SourceState::default() });
            }
            // A later version may say more of them: they are asked for.
            Err(error) => tracing::debug!(%error, source = self.source, "members not understood"),
        }
    }
}
