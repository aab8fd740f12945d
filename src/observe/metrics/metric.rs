//! What a metric is declared as.

/// How a metric's samples are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// Only grows; its sample's name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum, count and buckets.
    Histogram,
    /// Always 1, told by its labels; its sample's name ends in `_info`.
    Info,
}

/// A metric's declaration.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without a counter's `_total`.
    pub name: &'static str,
    /// What it tells, without a final stop.
    pub help: &'static str,
    /// How its samples are read.
    pub kind: MetricKind,
    /// The names of its group's labels, in order.
    pub owner_labels: &'static [&'static str],
    /// The names of its own labels, which come after those.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// The names of all its labels, in order.
    pub fn all_labels(&self) -> impl Iterator<Item = &'static str> {
        self.owner_labels.iter().chain(self.labels).copied()
    }
}
