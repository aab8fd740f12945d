//! Histograms of durations.

use std::marker::PhantomData;
use std::time::Duration;

use super::counter::LocalCounter;
use super::instrument::Instrument;
use super::metric::MetricKind;
use super::sample::SampleWriter;

/// How many buckets have an upper bound.
const BOUNDS: usize = 16;

/// The upper bounds of a histogram's buckets, in seconds.
pub trait Bounds {
    /// The bounds, rising.
    const SECONDS: [f64; BOUNDS];
}

/// Bounds for what a client or a peer waits for: fine where a connection is quick, and fine enough
/// up to a minute to tell timeouts apart.
#[derive(Debug)]
pub enum LatencyBounds {}

impl Bounds for LatencyBounds {
    const SECONDS: [f64; BOUNDS] =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 20., 30., 60.];
}

/// Bounds for how long sessions last.
#[derive(Debug)]
pub enum LifetimeBounds {}

impl Bounds for LifetimeBounds {
    const SECONDS: [f64; BOUNDS] = [
        0.1, 1., 5., 15., 30., 60., 120., 300., 900., 1800., 3600., 14_400., 43_200., 86_400.,
        259_200., 604_800.,
    ];
}

/// A histogram with a single writer.
#[derive(Debug)]
pub struct Histogram<B> {
    counts: [LocalCounter; BOUNDS + 1],
    micros: LocalCounter,
    bounds: PhantomData<fn(B)>,
}

impl<B> Default for Histogram<B> {
    fn default() -> Histogram<B> {
        Histogram {
            counts: Default::default(),
            micros: LocalCounter::default(),
            bounds: PhantomData,
        }
    }
}

impl<B: Bounds> Histogram<B> {
    /// Counts one duration; only the histogram's one writer may.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = B::SECONDS.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(BOUNDS)].add(1);
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

impl<B: Bounds> Instrument for Histogram<B> {
    const KIND: MetricKind = MetricKind::Histogram;

    fn write(shards: &[&Self], sample: &mut SampleWriter<'_>) {
        let bounds = B::SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets = bounds.enumerate().map(|(index, bound)| {
            (bound, shards.iter().map(|histogram| histogram.counts[index].get()).sum())
        });
        let micros: u64 = shards.iter().map(|histogram| histogram.micros.get()).sum();
        sample.histogram(buckets, micros as f64 / 1e6);
    }
}
