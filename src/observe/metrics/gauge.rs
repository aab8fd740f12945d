//! Gauges: numbers that go up and down, and facts that a scrape is given.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::instrument::Instrument;
use super::metric::MetricKind;
use super::sample::SampleWriter;

/// A gauge that several threads write.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Raises it by one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Lowers it by one.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Sets it.
    pub fn set(&self, to: u64) {
        self.0.store(i64::try_from(to).unwrap_or(i64::MAX), Relaxed);
    }

    /// Its present value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.gauge(shards.iter().map(|gauge| gauge.get()).sum());
    }
}

/// A gauge with a single writer: what goes up on a worker comes down on the same one.
#[derive(Debug, Default)]
pub struct LocalGauge(AtomicI64);

impl LocalGauge {
    /// Raises it by one; only the gauge's one writer may.
    pub fn inc(&self) {
        self.0.store(self.get() + 1, Relaxed);
    }

    /// Lowers it by one; only the gauge's one writer may.
    pub fn dec(&self) {
        self.0.store(self.get() - 1, Relaxed);
    }

    /// Its present value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for LocalGauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.gauge(shards.iter().map(|gauge| gauge.get()).sum());
    }
}

/// A plain fact.
impl Instrument for u64 {
    const KIND: MetricKind = MetricKind::Gauge;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        let sum: u64 = shards.iter().copied().sum();
        sample.gauge(i64::try_from(sum).unwrap_or(i64::MAX));
    }
}

/// 1 for yes, 0 for no.
impl Instrument for bool {
    const KIND: MetricKind = MetricKind::Gauge;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.gauge(shards.iter().copied().any(|is| *is).into());
    }
}

/// A number of seconds.
impl Instrument for f64 {
    const KIND: MetricKind = MetricKind::Gauge;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.seconds(shards.iter().copied().sum());
    }
}

/// A fact for each value of a label.
impl<T: Instrument> Instrument for Vec<(String, T)> {
    const KIND: MetricKind = T::KIND;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        for (label, fact) in shards.iter().copied().flatten() {
            sample.labelled(label, |sample| T::write(&[fact], sample));
        }
    }
}

/// The version that runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Version;

impl Instrument for Version {
    const KIND: MetricKind = MetricKind::Info;

    fn write(_: &[&Self], sample: &mut SampleWriter<'_>) {
        sample.labelled(env!("CARGO_PKG_VERSION"), |sample| sample.gauge(1));
    }
}
