//! Metrics: what is counted, by route, listener, pool and process.
//!
//! Every metric is declared in [`catalogue`], and only there: what counts holds its group and never
//! looks it up; a scrape adds the workers' cells up.

pub mod catalogue;
mod counter;
mod exposition;
mod gauge;
mod gauge_guard;
mod group;
mod histogram;
mod instrument;
mod labels;
mod metric;
mod route;
mod sample;

pub use catalogue::{
    AccessMetrics, BackendFacts, BackendMetrics, CertificateExpiry, HttpVersion, KeySetFacts,
    ListenerMetrics, PoolMetrics, ProcessFacts, ProcessMetrics, ResetBy, RouteCells, RouteTotals,
    SourceFacts, SystemFacts,
};
pub use counter::{BackendCounter, CountFact, Counter, CpuSeconds, LabelledCounter, LocalCounter};
pub use exposition::Exposition;
pub use gauge::{Gauge, LocalGauge};
pub use gauge_guard::GaugeGuard;
pub use group::MetricGroup;
pub use histogram::Histogram;
pub use instrument::Instrument;
pub use metric::{Metric, MetricKind};
pub use route::RouteMetrics;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::log::Dropped;
use crate::base::clock;
use crate::base::lock::lock;
use exposition::Page;
use instrument::Owner;

type ByName<T> = Mutex<BTreeMap<Arc<str>, Arc<T>>>;

/// Everything that is counted in one process (one supervisor: tests run several).
#[derive(Debug)]
pub struct Metrics {
    workers: usize,
    routes: ByName<RouteMetrics>,
    listeners: ByName<ListenerMetrics>,
    pools: ByName<PoolMetrics>,
    access: ByName<AccessMetrics>,
    /// Metrics of the whole process.
    pub process: ProcessMetrics,
}

/// Facts that a scrape is given, of things that count for themselves.
#[derive(Clone, Debug, Default)]
pub struct ScrapeFacts {
    /// Of the process.
    pub process: ProcessFacts,
    /// Of the process, by the system.
    pub system: SystemFacts,
    /// Of certificates, each by its listener's name and its file.
    pub certificates: Vec<([Arc<str>; 2], CertificateExpiry)>,
    /// Of sets of keys that are fetched, each by its rule's name.
    pub key_sets: Vec<(Arc<str>, KeySetFacts)>,
    /// Of where members are found, each by the pool's name and the source as text.
    pub sources: Vec<([Arc<str>; 2], SourceFacts)>,
    /// Of backends, each by its pool's name and its address as text; and what they answered.
    pub backends: Vec<([Arc<str>; 2], BackendFacts, Arc<BackendMetrics>)>,
}

impl Metrics {
    /// Metrics for a process with so many workers.
    pub fn new(workers: usize) -> Arc<Metrics> {
        let since_1970 = clock::since_1970();
        let process = ProcessMetrics {
            started: since_1970.as_secs_f64(),
            workers: workers as u64,
            ..ProcessMetrics::default()
        };
        process.reload_taken(since_1970.as_secs());
        let (routes, listeners, pools, access) = Default::default();
        Arc::new(Metrics { workers, routes, listeners, pools, access, process })
    }

    /// The metrics of a route, by its identity; the same ones for as long as somebody holds them.
    pub fn route(&self, identity: &Arc<str>) -> Arc<RouteMetrics> {
        let new = || Arc::new(RouteMetrics::new(Arc::clone(identity), self.workers));
        Arc::clone(lock(&self.routes).entry(Arc::clone(identity)).or_insert_with(new))
    }

    /// The metrics of a listener, by its name.
    pub fn listener(&self, name: &Arc<str>) -> Arc<ListenerMetrics> {
        Arc::clone(lock(&self.listeners).entry(Arc::clone(name)).or_default())
    }

    /// The metrics of a pool, by its name.
    pub fn pool(&self, name: &Arc<str>) -> Arc<PoolMetrics> {
        Arc::clone(lock(&self.pools).entry(Arc::clone(name)).or_default())
    }

    /// The metrics of an access rule, by its name.
    pub fn access(&self, name: &Arc<str>) -> Arc<AccessMetrics> {
        Arc::clone(lock(&self.access).entry(Arc::clone(name)).or_default())
    }

    /// Counts the lines this log drops.
    pub fn watch_log(&self, dropped: Dropped) {
        // A second log of the same process is the same log.
        let _ = self.process.log_dropped.set(dropped);
    }

    /// Forgets routes, listeners, pools and access rules that are held no longer: call it now and
    /// then, or a thousand reloads that rename a route keep a thousand routes in memory.
    pub fn forget_unused(&self) {
        lock(&self.routes).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.listeners).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.pools).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.access).retain(|_, metrics| Arc::strong_count(metrics) > 1);
    }

    /// Sessions live, by the routes' counts.
    pub fn sessions(&self) -> u64 {
        lock(&self.routes).values().map(|route| route.live()).sum()
    }

    /// Every metric, as text.
    pub fn render(&self, facts: &ScrapeFacts, format: Exposition) -> String {
        let mut page = Page::new(format);
        MetricGroup::write(&[Owner { labels: vec![], shards: vec![&self.process] }], &mut page);
        MetricGroup::write(&[Owner { labels: vec![], shards: vec![&facts.process] }], &mut page);
        MetricGroup::write(&[Owner { labels: vec![], shards: vec![&facts.system] }], &mut page);
        // Tables are cloned first, so that no worker waits for a long page to be written.
        let listeners = lock(&self.listeners).clone();
        MetricGroup::write(&owners(&listeners, |metrics| vec![&**metrics]), &mut page);
        let certificates = facts.certificates.iter().map(|([listener, file], facts)| Owner {
            labels: vec![&**listener, &**file],
            shards: vec![facts],
        });
        MetricGroup::write(&certificates.collect::<Vec<_>>(), &mut page);
        let routes = lock(&self.routes).clone();
        MetricGroup::write(&owners(&routes, |route| route.each().collect()), &mut page);
        MetricGroup::write(&owners(&routes, |route| vec![&route.totals]), &mut page);
        let access = lock(&self.access).clone();
        MetricGroup::write(&owners(&access, |metrics| vec![&**metrics]), &mut page);
        let key_sets = facts.key_sets.iter();
        let key_sets =
            key_sets.map(|(rule, facts)| Owner { labels: vec![&**rule], shards: vec![facts] });
        MetricGroup::write(&key_sets.collect::<Vec<_>>(), &mut page);
        let sources = facts.sources.iter().map(|([pool, source], facts)| Owner {
            labels: vec![&**pool, &**source],
            shards: vec![facts],
        });
        MetricGroup::write(&sources.collect::<Vec<_>>(), &mut page);
        let pools = lock(&self.pools).clone();
        MetricGroup::write(&owners(&pools, |metrics| vec![&**metrics]), &mut page);
        let backends = facts.backends.iter().map(|([pool, backend], facts, _)| Owner {
            labels: vec![&**pool, &**backend],
            shards: vec![facts],
        });
        MetricGroup::write(&backends.collect::<Vec<_>>(), &mut page);
        let backends = facts.backends.iter().map(|([pool, backend], _, metrics)| Owner {
            labels: vec![&**pool, &**backend],
            shards: vec![&**metrics],
        });
        MetricGroup::write(&backends.collect::<Vec<_>>(), &mut page);
        page.finish()
    }
}

impl ProcessMetrics {
    /// The configuration that was read at this second since 1970 is in force.
    pub fn reload_taken(&self, second: u64) {
        self.reload_ok.set(1);
        self.reloaded.set(second);
        self.reload_taken.set(second);
    }

    /// The one that was read at this second was refused.
    pub fn reload_refused(&self, second: u64) {
        self.reload_ok.set(0);
        self.reloaded.set(second);
    }
}

/// What is written of a table's entries, each labelled by its name.
fn owners<'a, T, G>(
    table: &'a BTreeMap<Arc<str>, Arc<T>>,
    shards: impl Fn(&'a Arc<T>) -> Vec<&'a G>,
) -> Vec<Owner<'a, G>> {
    let owner = |(name, of): (&'a Arc<str>, _)| Owner { labels: vec![&**name], shards: shards(of) };
    table.iter().map(owner).collect()
}

#[cfg(test)]
mod tests;
