//! A gauge that is raised for a while.

use std::sync::Arc;

use super::catalogue::ListenerMetrics;
use super::gauge::Gauge;

/// One of a listener's gauges, raised by one until this is dropped.
#[derive(Debug)]
pub struct GaugeGuard {
    metrics: Arc<ListenerMetrics>,
    gauge: fn(&ListenerMetrics) -> &Gauge,
}

impl ListenerMetrics {
    /// Raises a gauge by one for as long as the guard is kept.
    pub fn raised(self: &Arc<Self>, gauge: fn(&ListenerMetrics) -> &Gauge) -> GaugeGuard {
        gauge(self).inc();
        GaugeGuard { metrics: Arc::clone(self), gauge }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).dec();
    }
}
