//! What a scrape is given of things that count for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::upgrade::State;
use crate::base::clock::{self, Moment};
use crate::base::files;
use crate::base::label::Label;
use crate::base::usage::{self, ProcessUsage};
use crate::config::plan::SourceKey;
use crate::discovery::{FoundMembers, SourceState};
use crate::drain::Drains;
use crate::listen::Permits;
use crate::live::{AtStart, Snapshot};
use crate::observe::metrics::{
    CertificateExpiry, CountFact, CpuSeconds, Metrics, ProcessFacts, ScrapeFacts, SourceFacts,
    SystemFacts,
};
use crate::session::App;

/// Who knows.
pub(super) struct FactSources<'a> {
    pub(super) app: &'a App,
    pub(super) permits: &'a Permits,
    pub(super) drains: &'a Drains,
    pub(super) upgrade: &'a State,
    pub(super) metrics: &'a Metrics,
    pub(super) at_start: &'a AtStart,
    pub(super) found: &'a FoundMembers,
}

/// All of it.
pub(super) fn facts(of: &FactSources<'_>) -> ScrapeFacts {
    let snapshot = of.app.live.now();
    let now = clock::now();
    ScrapeFacts {
        process: process(of, &snapshot),
        system: system(of.metrics.process.started),
        certificates: certificates(&snapshot),
        key_sets: snapshot.access.values().filter_map(|rule| rule.key_set_facts()).collect(),
        sources: sources(of.found, now),
        backends: snapshot.pools.values().flat_map(|pool| pool.facts(now)).collect(),
    }
}

fn sources(found: &FoundMembers, now: Moment) -> Vec<([Arc<str>; 2], SourceFacts)> {
    let facts = |(key, state): (SourceKey, SourceState)| {
        let facts = SourceFacts {
            members: state.members.len() as u64,
            missing: state.missing as u64,
            age: state.answered.map(|at| now.since(at).as_secs_f64()),
        };
        ([key.pool, key.source.to_string().into()], facts)
    };
    found.states().into_iter().map(facts).collect()
}

fn process(of: &FactSources<'_>, snapshot: &Snapshot) -> ProcessFacts {
    let loads = of.permits.loads().into_iter().enumerate();
    let left = of.drains.left().into_iter();
    let older = of.upgrade.older().clone();
    ProcessFacts {
        loads: loads.map(|(worker, open)| (worker.to_string(), open as u64)).collect(),
        restart_needed: !of.at_start.differing(&snapshot.plan).is_empty(),
        generation: snapshot.generation,
        number: of.upgrade.number(),
        older: older.len() as u64,
        older_sessions: older.values().filter_map(|older| older.sessions).sum::<usize>() as u64,
        snapshots: snapshot.alive() as u64,
        hold_bytes: of.app.budget.used(),
        connections_max: of.permits.max() as u64,
        // Without `/proc` there is no count.
        files: files::open().unwrap_or(0) as u64,
        files_max: files::limit() as u64,
        http2_bytes: of.permits.http2_bytes() as u64,
        limit_bytes: of.app.buckets.bytes() as u64,
        limit_keys_shared: CountFact(of.app.buckets.shared()),
        drains: left.map(|(reason, left)| (reason.label().to_owned(), left as u64)).collect(),
    }
}

fn system(started: f64) -> SystemFacts {
    let usage = ProcessUsage::now();
    SystemFacts {
        cpu: Some(CpuSeconds(usage::cpu().as_secs_f64())),
        resident: usage.map(|usage| usage.resident),
        virtual_memory: usage.map(|usage| usage.virtual_memory),
        files: files::open().ok().map(|files| files as u64),
        files_max: files::limit() as u64,
        threads: usage.map(|usage| usage.threads),
        started,
    }
}

/// Each file once, however often a listener names it; and each name that was ordered for.
fn certificates(snapshot: &Snapshot) -> Vec<([Arc<str>; 2], CertificateExpiry)> {
    let mut found = BTreeMap::new();
    for listener in snapshot.listeners.values() {
        for certificate in listener.plan.tls.iter().flat_map(|tls| &tls.certificates) {
            let file: Arc<str> = certificate.chain.display().to_string().into();
            let names = [Arc::clone(&listener.plan.name), file];
            let expiry = CertificateExpiry { not_after: certificate.validity.not_after as f64 };
            found.insert(names, expiry);
        }
        for name in listener.plan.tls.iter().flat_map(|tls| &tls.acme) {
            let Some(issued) = snapshot.issued.get(name) else { continue };
            let names = [Arc::clone(&listener.plan.name), format!("acme:{name}").into()];
            let expiry = CertificateExpiry { not_after: issued.validity.not_after as f64 };
            found.insert(names, expiry);
        }
    }
    found.into_iter().collect()
}
