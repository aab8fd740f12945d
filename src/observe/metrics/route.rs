//! A route's metrics: cells that one worker each writes, and totals that all write.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;

use super::counter::LocalCounter;
use super::{RouteCells, RouteTotals};
use crate::base::label::Label;
use crate::base::side::Side;
use crate::base::worker;

impl RouteCells {
    /// Counts what `side` sent.
    pub fn relayed(&self, side: Side, messages: u64, bytes: u64) {
        self.messages[side].add(messages);
        self.bytes[side].add(bytes);
    }

    /// Counts a request answered with `status`.
    pub fn request(&self, status: StatusCode) {
        self.requests[status.into()].add(1);
    }

    /// Counts how long the head of an answer took that opened no session.
    pub fn answered(&self, is_handshake: bool, took: Duration) {
        let histogram = if is_handshake { &self.handshake } else { &self.request };
        histogram.observe(took);
    }
}

/// A route's metrics. Sessions share them: they outlive a reload with them.
#[derive(Debug)]
pub struct RouteMetrics {
    name: Arc<str>,
    /// By worker; the last is for threads that are no worker, which only tests have.
    workers: Box<[OnceLock<Box<RouteCells>>]>,
    /// What several workers write.
    pub totals: RouteTotals,
}

impl RouteMetrics {
    pub(super) fn new(name: Arc<str>, workers: usize) -> RouteMetrics {
        let workers = (0..=workers).map(|_| OnceLock::new()).collect();
        RouteMetrics { name, workers, totals: RouteTotals::default() }
    }

    /// The route's identity.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// This worker's cells.
    pub fn here(&self) -> &RouteCells {
        let last = self.workers.len() - 1;
        let index = worker::index().map_or(last, |index| usize::from(index).min(last));
        self.workers[index].get_or_init(Box::default)
    }

    /// Counts a session's start.
    pub fn session_opened(&self, handshake: Duration) {
        let cells = self.here();
        cells.opened.add(1);
        cells.live.inc();
        cells.handshake.observe(handshake);
    }

    /// Counts a session's end, on the worker that it began on.
    pub fn session_ended(&self, end: impl Label, lasted: Duration) {
        let cells = self.here();
        cells.live.dec();
        cells.session.observe(lasted);
        self.totals.ended.count(end);
    }

    /// Counts a session that is held from now on, by why its upstream went.
    pub fn hold_began(&self, why: impl Label) {
        self.here().held.inc();
        self.totals.holds.count(why);
    }

    /// Counts the end of a hold, and the client's messages that were cut by it.
    pub fn hold_ended(&self, result: impl Label, lasted: Duration, cut: u64) {
        let cells = self.here();
        cells.held.dec();
        cells.hold.observe(lasted);
        cells.cut.add(cut);
        self.totals.holds_ended.count(result);
    }

    /// Sessions held while their upstream is away.
    pub fn held(&self) -> u64 {
        let held: i64 = self.each().map(|cells| cells.held.get()).sum();
        held.try_into().unwrap_or(0)
    }

    /// Sessions live.
    pub fn live(&self) -> u64 {
        let live: i64 = self.each().map(|cells| cells.live.get()).sum();
        live.try_into().unwrap_or(0)
    }

    /// Adds one counter up over the workers.
    pub fn sum(&self, counter: impl Fn(&RouteCells) -> &LocalCounter) -> u64 {
        self.each().map(|cells| counter(cells).get()).sum()
    }

    /// The workers' cells that were ever used.
    pub fn each(&self) -> impl Iterator<Item = &RouteCells> {
        self.workers.iter().filter_map(|cells| cells.get().map(Box::as_ref))
    }
}
