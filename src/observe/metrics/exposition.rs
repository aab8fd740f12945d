//! How metrics are written: as OpenMetrics text, or as Prometheus' older text format.

use super::instrument::{Instrument, Owner};
use super::metric::{Metric, MetricKind};
use super::sample::{SampleWriter, put};

/// A text format for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exposition {
    /// OpenMetrics 1.0.0, which Prometheus asks for first.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which every collector reads.
    Prometheus,
}

impl Exposition {
    /// The `Content-Type` of a page in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A page of metrics while it is written.
#[derive(Debug)]
pub struct Page {
    text: String,
    format: Exposition,
}

impl Page {
    /// An empty page.
    pub(super) fn new(format: Exposition) -> Page {
        Page { text: String::new(), format }
    }

    /// The page, complete.
    pub(super) fn finish(mut self) -> String {
        if self.format == Exposition::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Writes one metric with the samples of all its owners.
    pub(super) fn family<G, T: Instrument>(
        &mut self,
        metric: &'static Metric,
        owners: &[Owner<'_, G>],
        field: impl Fn(&G) -> &T,
    ) {
        let (name, kind) = match (self.format, metric.kind) {
            (_, MetricKind::Gauge) => (metric.name.to_owned(), "gauge"),
            (_, MetricKind::Histogram) => (metric.name.to_owned(), "histogram"),
            (Exposition::OpenMetrics, MetricKind::Counter) => (metric.name.to_owned(), "counter"),
            (Exposition::OpenMetrics, MetricKind::Info) => (metric.name.to_owned(), "info"),
            (Exposition::Prometheus, MetricKind::Counter) => {
                (format!("{}_total", metric.name), "counter")
            }
            (Exposition::Prometheus, MetricKind::Info) => {
                (format!("{}_info", metric.name), "gauge")
            }
        };
        let help = metric.help;
        put(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for owner in owners {
            let shards: Vec<&T> = owner.shards.iter().map(|group| field(group)).collect();
            let mut sample = SampleWriter::new(&mut self.text, metric, &owner.labels);
            T::write(&shards, &mut sample);
        }
    }
}
