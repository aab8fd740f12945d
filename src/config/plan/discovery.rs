//! Backends that are found elsewhere: where, and what a plan is with those that were found.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::tables::{Backend, Discovery, Pool};
use super::Plan;
use super::address::BackendAddress;

/// Where backends are found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MemberSource {
    /// Every address of a name (A and AAAA, RFC 1035 §3.4.1, RFC 3596 §2.2), with this port.
    Dns {
        /// The name.
        name: Arc<str>,
        /// The port.
        port: u16,
    },
    /// Every target of a service (SRV, RFC 2782).
    Srv {
        /// The service's name.
        name: Arc<str>,
    },
    /// Every line of a file.
    File(PathBuf),
}

impl fmt::Display for MemberSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberSource::Dns { name, port } => write!(f, "dns:{name}:{port}"),
            MemberSource::Srv { name } => write!(f, "srv:{name}"),
            MemberSource::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A source, and the pool whose members it has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceKey {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Where they are found.
    pub source: MemberSource,
}

/// Members of a pool that are found, and what holds for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberGroup {
    /// Where they are found.
    pub source: MemberSource,
    /// Each one's share of new work; times what its record says.
    pub weight: u32,
    /// Whether each is a backup; its record may say so, too.
    pub backup: bool,
    /// Sessions that each may have.
    pub sessions_max: Option<usize>,
}

/// One that was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FoundMember {
    /// Where it listens.
    pub address: BackendAddress,
    /// What its record says of its share.
    pub weight: u32,
    /// Whether it is for when no other is up.
    pub backup: bool,
}

/// As in a line of a file of backends.
impl fmt::Display for FoundMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} weight={}", self.address, self.weight)?;
        if self.backup { f.write_str(" backup") } else { Ok(()) }
    }
}

/// Who was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemberTable(pub BTreeMap<SourceKey, Arc<[FoundMember]>>);

impl Plan {
    /// Its sources, each with how it is followed.
    pub fn sources(&self) -> impl Iterator<Item = (SourceKey, &Discovery)> {
        self.pools.iter().flat_map(|pool| {
            let key = |group: &MemberGroup| SourceKey {
                pool: Arc::clone(&pool.name),
                source: group.source.clone(),
            };
            pool.sources.iter().map(move |group| (key(group), &pool.discovery))
        })
    }

    /// This plan with the members that were found in place of those that it has. An address that a
    /// pool has already is no second backend; of two sources the one counts that has it for work,
    /// and not as a backup.
    pub fn with_members(&self, table: &MemberTable) -> Plan {
        let pool = |pool: &Arc<Pool>| match pool.sources.is_empty() {
            true => Arc::clone(pool),
            false => Arc::new(with_members(pool, table)),
        };
        Plan { pools: self.pools.iter().map(pool).collect(), ..self.clone() }
    }
}

fn with_members(pool: &Pool, table: &MemberTable) -> Pool {
    let fixed = pool.backends.iter().filter(|backend| !backend.is_found);
    let mut backends: Vec<Backend> = fixed.cloned().collect();
    for group in &pool.sources {
        let key = SourceKey { pool: Arc::clone(&pool.name), source: group.source.clone() };
        for found in table.0.get(&key).into_iter().flat_map(|found| found.iter()) {
            let backend = Backend {
                weight: group.weight.saturating_mul(found.weight.max(1)),
                backup: group.backup || found.backup,
                sessions_max: group.sessions_max,
                is_found: true,
                ..Backend::new(found.address.clone())
            };
            match backends.iter_mut().find(|one| one.address == backend.address) {
                None => backends.push(backend),
                Some(known) if known.is_found && known.backup && !backend.backup => {
                    *known = backend;
                }
                Some(_) => {}
            }
        }
    }
    Pool { backends, ..pool.clone() }
}
