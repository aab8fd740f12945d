//! How metrics are written: as OpenMetrics text, or as Prometheus' older text format.

use std::fmt::Write as _;

use super::instrument::{Instrument, Metric, MetricKind, Owner};

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
            let mut sample =
                SampleWriter { text: &mut self.text, metric, labels: String::new(), depth: 0 };
            for label in &owner.labels {
                sample.push(label);
            }
            T::write(&shards, &mut sample);
        }
    }
}

/// A sample of one metric while it is written: its labels so far.
#[derive(Debug)]
pub struct SampleWriter<'p> {
    text: &'p mut String,
    metric: &'static Metric,
    labels: String,
    /// How many of the metric's labels have a value.
    depth: usize,
}

impl SampleWriter<'_> {
    /// Writes samples whose next label has this value.
    pub(super) fn labelled(&mut self, value: &str, write: impl FnOnce(&mut Self)) {
        let (length, depth) = (self.labels.len(), self.depth);
        self.push(value);
        write(self);
        self.labels.truncate(length);
        self.depth = depth;
    }

    /// Writes a counter's value.
    pub(super) fn count(&mut self, value: u64) {
        self.line("_total", None, value);
    }

    /// Writes a counter's value in seconds.
    pub(super) fn total_seconds(&mut self, value: f64) {
        self.line("_total", None, format_args!("{value:?}"));
    }

    /// Writes a gauge's value, or an info's.
    pub(super) fn gauge(&mut self, value: i64) {
        let ending = if self.metric.kind == MetricKind::Info { "_info" } else { "" };
        self.line(ending, None, value);
    }

    /// Writes a gauge's value in seconds.
    pub(super) fn seconds(&mut self, value: f64) {
        self.line("", None, format_args!("{value:?}"));
    }

    /// Writes a histogram: counts by upper bound, each without those below, and the sum.
    pub(super) fn histogram(&mut self, buckets: impl Iterator<Item = (f64, u64)>, sum: f64) {
        let mut count = 0;
        for (bound, more) in buckets {
            count += more;
            self.line("_bucket", Some(bound), count);
        }
        self.line("_sum", None, format_args!("{sum:?}"));
        self.line("_count", None, count);
    }

    fn push(&mut self, value: &str) {
        let name = self.metric.all_labels().nth(self.depth);
        debug_assert!(name.is_some(), "{} has no label for {value}", self.metric.name);
        let comma = if self.labels.is_empty() { "" } else { "," };
        put(&mut self.labels, format_args!("{comma}{}=\"", name.unwrap_or("unnamed")));
        for character in value.chars() {
            match character {
                '\\' => self.labels.push_str("\\\\"),
                '"' => self.labels.push_str("\\\""),
                '\n' => self.labels.push_str("\\n"),
                other => self.labels.push(other),
            }
        }
        self.labels.push('"');
        self.depth += 1;
    }

    fn line(&mut self, ending: &str, bound: Option<f64>, value: impl std::fmt::Display) {
        let name = self.metric.name;
        debug_assert_eq!(
            self.metric.all_labels().count(),
            self.depth,
            "{name} has labels without a value"
        );
        let bound = match bound {
            Some(bound) if bound.is_infinite() => "le=\"+Inf\"".to_owned(),
            Some(bound) => format!("le=\"{bound:?}\""),
            None => String::new(),
        };
        let comma = if bound.is_empty() || self.labels.is_empty() { "" } else { "," };
        let (labels, open, close) = match bound.is_empty() && self.labels.is_empty() {
            true => ("", "", ""),
            false => (&*self.labels, "{", "}"),
        };
        put(self.text, format_args!("{name}{ending}{open}{bound}{comma}{labels}{close} {value}\n"));
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail: it grows.
    let _ = text.write_fmt(what);
}
