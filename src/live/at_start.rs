//! The keys that apply at the start only, as they were then.

use crate::config::plan::{Log, LogFormat, Plan};

/// Their values at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AtStart {
    workers: usize,
    log_format: LogFormat,
    log_queue_bytes_max: usize,
}

impl AtStart {
    /// Those of this plan.
    pub fn of(plan: &Plan) -> AtStart {
        let Log { format, queue_bytes_max, .. } = plan.log;
        AtStart { workers: plan.workers, log_format: format, log_queue_bytes_max: queue_bytes_max }
    }

    /// The keys that a plan has other values of.
    pub fn differing(&self, plan: &Plan) -> Vec<&'static str> {
        let now = AtStart::of(plan);
        let keys = [
            ("workers", self.workers == now.workers),
            ("log.format", self.log_format == now.log_format),
            ("log.queue_bytes_max", self.log_queue_bytes_max == now.log_queue_bytes_max),
        ];
        keys.into_iter().filter(|(_, is_same)| !is_same).map(|(key, _)| key).collect()
    }
}
