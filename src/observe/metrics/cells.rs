//! Where counts are kept: cells written by one worker each, and cold counts by word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::Level;
use crate::base::side::Side;
use crate::base::worker;

/// A count with a single writer: a plain load and store, no bus lock on a message's way.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds; only the cell's one writer may.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of handshakes' and pings' buckets, in seconds.
pub const SHORT: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 5., 30.];
/// Upper bounds of sessions' buckets, in seconds.
pub const LONG: [f64; 12] =
    [0.1, 1., 5., 15., 60., 300., 900., 3600., 14_400., 43_200., 86_400., 604_800.];

const BUCKETS: usize = SHORT.len() + 1;

/// A histogram with a single writer.
#[derive(Debug)]
pub struct Times {
    bounds: &'static [f64; BUCKETS - 1],
    counts: [Cell; BUCKETS],
    micros: Cell,
}

impl Times {
    const fn new(bounds: &'static [f64; BUCKETS - 1]) -> Times {
        let counts = [const { Cell(AtomicU64::new(0)) }; BUCKETS];
        Times { bounds, counts, micros: Cell(AtomicU64::new(0)) }
    }

    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(BUCKETS - 1)].add(1);
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Histograms of several workers added up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimesSum {
    pub(super) buckets: [(f64, u64); BUCKETS],
    pub(super) seconds: f64,
}

impl TimesSum {
    pub(super) fn of<'a>(bounds: &[f64], times: impl Iterator<Item = &'a Times>) -> TimesSum {
        let mut buckets = [(f64::INFINITY, 0); BUCKETS];
        for (bucket, bound) in buckets.iter_mut().zip(bounds) {
            bucket.0 = *bound;
        }
        let mut seconds = 0.;
        for one in times {
            for (bucket, count) in buckets.iter_mut().zip(&one.counts) {
                bucket.1 += count.get();
            }
            seconds += one.micros.get() as f64 / 1e6;
        }
        TimesSum { buckets, seconds }
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// Classes of status: `1xx` to `5xx`.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One route's counts on one worker. A cache line is shared with no other worker.
#[derive(Debug)]
#[repr(align(128))]
pub struct Cells {
    /// Data messages by the side that sent them.
    pub messages: [Cell; 2],
    /// Bytes by the side that sent them.
    pub bytes: [Cell; 2],
    /// Invalid frames by the side that sent them.
    pub violations: [Cell; 2],
    /// Sessions opened.
    pub opened: Cell,
    /// Sessions ended; those opened and not ended are live.
    pub ended: Cell,
    /// Requests by class of status.
    pub requests: [Cell; CLASSES.len()],
    /// From a WebSocket handshake's head to its answer.
    pub handshake: Times,
    /// Lives of sessions.
    pub session: Times,
    /// From our ping to the side's pong.
    pub ping: [Times; 2],
    /// Times an upstream went away and its session was held.
    pub went_away: Cell,
    /// Times such an absence came to its end; those begun and not ended are now.
    pub came_back: Cell,
    /// How long they took.
    pub away: Times,
    /// Client's messages whose rest was left out, because their upstream was lost with their
    /// beginning.
    pub cut: Cell,
}

impl Cells {
    fn new() -> Cells {
        Cells {
            messages: Default::default(),
            bytes: Default::default(),
            violations: Default::default(),
            opened: Cell::default(),
            ended: Cell::default(),
            requests: Default::default(),
            handshake: Times::new(&SHORT),
            session: Times::new(&LONG),
            ping: [const { Times::new(&SHORT) }; 2],
            went_away: Cell::default(),
            came_back: Cell::default(),
            away: Times::new(&SHORT),
            cut: Cell::default(),
        }
    }

    /// Counts what `side` sent.
    pub fn relayed(&self, side: Side, messages: u64, bytes: u64) {
        self.messages[side as usize].add(messages);
        self.bytes[side as usize].add(bytes);
    }

    /// Counts a request answered with `status`.
    pub fn request(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len());
        self.requests[class - 1].add(1);
    }
}

/// A route's counts on all workers. Sessions share it: it outlives a reload with them.
#[derive(Debug)]
pub struct RouteCells {
    name: Arc<str>,
    /// By worker; the last is for threads that are no worker, which only tests have.
    workers: Box<[OnceLock<Box<Cells>>]>,
    /// Ends by their words.
    pub ended: Words,
    /// WebSocket handshakes that failed, by reason.
    pub handshakes_failed: Words,
    /// Why upstreams went away from sessions that were held.
    pub holds: Words,
    /// How that came to its end.
    pub holds_ended: Words,
    /// WebSocket handshakes that wait for a backend.
    pub queued: Level,
}

impl RouteCells {
    pub(super) fn new(name: Arc<str>, workers: usize) -> RouteCells {
        let workers = (0..=workers).map(|_| OnceLock::new()).collect();
        let (ended, handshakes_failed, holds, holds_ended) = Default::default();
        let queued = Level::default();
        RouteCells { name, workers, ended, handshakes_failed, holds, holds_ended, queued }
    }

    /// The route's identity.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// This worker's cells.
    pub fn here(&self) -> &Cells {
        let last = self.workers.len() - 1;
        let index = worker::index().map_or(last, |index| usize::from(index).min(last));
        self.workers[index].get_or_init(|| Box::new(Cells::new()))
    }

    /// Counts a session's start.
    pub fn session_opened(&self, handshake: Duration) {
        let cells = self.here();
        cells.opened.add(1);
        cells.handshake.observe(handshake);
    }

    /// Counts a session's end by its word.
    pub fn session_ended(&self, word: &'static str, lasted: Duration) {
        let cells = self.here();
        cells.ended.add(1);
        cells.session.observe(lasted);
        self.ended.count(word);
    }

    /// Counts an upstream that went away, by why.
    pub fn went_away(&self, why: &'static str) {
        self.here().went_away.add(1);
        self.holds.count(why);
    }

    /// Counts the end of that by its word; and the client's messages that were cut by it.
    pub fn came_back(&self, word: &'static str, lasted: Duration, cut: u64) {
        let cells = self.here();
        cells.came_back.add(1);
        cells.away.observe(lasted);
        cells.cut.add(cut);
        self.holds_ended.count(word);
    }

    /// Sessions whose upstream is away.
    pub fn held(&self) -> u64 {
        // The ends first, as below.
        let ended = self.sum(|cells| &cells.came_back);
        self.sum(|cells| &cells.went_away).saturating_sub(ended)
    }

    /// Sessions opened and not ended.
    pub fn live(&self) -> u64 {
        // The ends first: a session that ends in between must not make the difference negative.
        let ended = self.sum(|cells| &cells.ended);
        self.sum(|cells| &cells.opened).saturating_sub(ended)
    }

    /// Adds one count up over the workers.
    pub fn sum(&self, cell: impl Fn(&Cells) -> &Cell) -> u64 {
        self.each().map(|cells| cell(cells).get()).sum()
    }

    pub(super) fn times(&self, bounds: &[f64], times: impl Fn(&Cells) -> &Times) -> TimesSum {
        TimesSum::of(bounds, self.each().map(times))
    }

    /// The workers' cells that were ever used.
    pub fn each(&self) -> impl Iterator<Item = &Cells> {
        self.workers.iter().filter_map(|cells| cells.get().map(Box::as_ref))
    }
}

/// Counts by word, for what happens seldom: it takes a lock.
#[derive(Debug, Default)]
pub struct Words(Mutex<BTreeMap<&'static str, u64>>);

impl Words {
    /// Counts one.
    pub fn count(&self, word: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
    }

    /// How often a word was counted.
    pub fn get(&self, word: &str) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(word).copied().unwrap_or(0)
    }

    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(word, count)| (*word, *count)).collect()
    }
}
