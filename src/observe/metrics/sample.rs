//! How one sample is written: its name, its labels and its value.

use std::fmt::Write as _;

use super::metric::{Metric, MetricKind};

/// A sample of one metric while it is written: its labels so far.
#[derive(Debug)]
pub struct SampleWriter<'p> {
    text: &'p mut String,
    metric: &'static Metric,
    labels: String,
    /// How many of the metric's labels have a value.
    depth: usize,
}

impl<'p> SampleWriter<'p> {
    /// Of a metric whose first labels have these values.
    pub(super) fn new(
        text: &'p mut String,
        metric: &'static Metric,
        labels: &[&str],
    ) -> SampleWriter<'p> {
        let mut sample = SampleWriter { text, metric, labels: String::new(), depth: 0 };
        labels.iter().for_each(|label| sample.push(label));
        sample
    }

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

pub(super) fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail: it grows.
    let _ = text.write_fmt(what);
}
