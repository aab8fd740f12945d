//! Counters: numbers that only grow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

use super::instrument::Instrument;
use super::metric::MetricKind;
use super::sample::SampleWriter;
use crate::base::label::Label;
use crate::base::lock::lock;
use crate::observe::log::Dropped;

/// A counter that several threads write, for what happens once per connection or less often.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts so many.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for Counter {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.count(shards.iter().map(|counter| counter.get()).sum());
    }
}

/// A counter with a single writer: a plain load and store, no bus lock on a message's path.
#[derive(Debug, Default)]
pub struct LocalCounter(AtomicU64);

impl LocalCounter {
    /// Adds; only the counter's one writer may.
    pub fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for LocalCounter {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.count(shards.iter().map(|counter| counter.get()).sum());
    }
}

/// A count of seconds that the system keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuSeconds(pub f64);

impl Instrument for CpuSeconds {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.total_seconds(shards.iter().map(|seconds| seconds.0).sum());
    }
}

/// One count for each label, for what happens seldom: it takes a lock.
#[derive(Debug, Default)]
pub struct LabelledCounter(Mutex<BTreeMap<&'static str, u64>>);

impl LabelledCounter {
    /// Counts one.
    pub fn count(&self, label: impl Label) {
        *lock(&self.0).entry(label.label()).or_default() += 1;
    }

    /// How often a label was counted.
    pub fn get(&self, label: &str) -> u64 {
        lock(&self.0).get(label).copied().unwrap_or(0)
    }
}

impl Instrument for LabelledCounter {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        let mut sum = BTreeMap::new();
        for counter in shards {
            for (label, count) in &*lock(&counter.0) {
                *sum.entry(*label).or_insert(0) += *count;
            }
        }
        for (label, count) in sum {
            sample.labelled(label, |sample| sample.count(count));
        }
    }
}

/// One count for each backend and reason.
#[derive(Debug, Default)]
pub struct BackendCounter(Mutex<BTreeMap<(String, &'static str), u64>>);

impl BackendCounter {
    /// Counts one for `backend`, its address as text.
    pub fn count(&self, backend: impl ToString, reason: impl Label) {
        *lock(&self.0).entry((backend.to_string(), reason.label())).or_default() += 1;
    }
}

impl Instrument for BackendCounter {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        for counter in shards {
            let counts = lock(&counter.0).clone();
            for ((backend, reason), count) in counts {
                sample.labelled(&backend, |sample| {
                    sample.labelled(reason, |sample| sample.count(count));
                });
            }
        }
    }
}

/// The lines that the process's log dropped, once it has one.
/// A count that a scrape is given, of what counts for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountFact(pub u64);

impl Instrument for CountFact {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.count(shards.iter().map(|count| count.0).sum());
    }
}

impl Instrument for OnceLock<Dropped> {
    const KIND: MetricKind = MetricKind::Counter;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        let dropped = shards.iter().filter_map(|log| log.get());
        sample.count(dropped.map(Dropped::lines).sum());
    }
}
