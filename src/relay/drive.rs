//! The relay: one future per session, which does the core's reading and writing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::clock::{self, Moment};
use crate::base::side::Side;
use crate::end::End;
use crate::observe::metrics::RouteMetrics;
use crate::registry::{self, DueReport, Note, Seat};

use super::buffer;
use super::core::{Core, Demand, Finish, Flush, HoldEnd, Order, Sample, SessionStats};
use super::leg::{Leg, Read};
use super::send_queue::SendQueue;
use super::terms::Terms;

/// Reads of one side in one poll; then the worker's other sessions have their turn.
const READS_PER_POLL_MAX: u8 = 16;

/// A session at work. Resolves when it is over: both transports are closed.
///
/// After each `Pending` whoever polls it asks [`Relay::demand`]. What it then does to it
/// shows when the relay is polled again, which is to be at once.
pub struct Relay {
    core: Core,
    /// The client's and the upstream's; none when it is closed.
    legs: [Option<Leg>; 2],
    cells: Arc<RouteMetrics>,
    seat: Seat,
    /// When the seat was asked to wake us.
    armed: Moment,
    /// This turn changed something that a side may have waited for.
    moved: bool,
    /// It has resolved.
    over: bool,
    /// Reads of each side that are left to this poll.
    reads: [u8; 2],
    /// What it was asked to report.
    report: DueReport,
}

impl Relay {
    /// A relay between two fresh legs.
    pub fn new(client: Leg, upstream: Leg, terms: Terms, now: Moment) -> Relay {
        let Terms { rules, allowed, seat, cells, hold, expires, shared } = terms;
        let mut core = Core::new(rules, allowed, hold, expires, fastrand::u64(..), now);
        shared.into_iter().for_each(|shared| core.throttle().share(shared));
        let legs = [Some(client), Some(upstream)];
        let (armed, report) = (Moment::NEVER, DueReport::default());
        Relay { core, legs, cells, seat, armed, moved: false, over: false, reads: [0; 2], report }
    }

    /// Its place among the worker's sessions.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Where its messages are counted.
    pub fn cells(&self) -> &RouteMetrics {
        &self.cells
    }

    /// Whether it has resolved: both transports are closed.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What the session needs; `None` while it needs nothing.
    pub fn demand(&self) -> Option<Demand> {
        self.core.demand()
    }

    /// Gives the session another upstream, for [`Demand::Upstream`]: it is sent what is to be
    /// replayed, then what was kept, then what comes. A leg that is not wanted any more is closed.
    pub fn attach(&mut self, leg: Leg, now: Moment) {
        if self.core.attach(now) {
            self.legs[Side::Upstream as usize] = Some(leg);
        }
    }

    /// The new upstream says when the right to the session ends: later by `most` at the latest.
    pub fn renew(&mut self, said: Moment, most: Moment) {
        self.core.renew(said, most);
    }

    /// A dial for [`Demand::Upstream`] failed, and another follows.
    pub fn tried(&mut self) {
        self.core.on_dial_failed();
    }

    /// No other upstream will come: the session ends.
    pub fn give_up(&mut self, now: Moment) {
        self.core.give_up(now);
    }

    /// What ran out while the session was held, if that is how it ended.
    pub fn ran_out(&self) -> Option<HoldEnd> {
        self.core.ran_out()
    }

    /// Leaves the upstream, for [`Demand::Target`]; [`Demand::Upstream`] follows. It stays where
    /// the client's message is not whole within `close_timeout`.
    pub fn leave(&mut self, now: Moment) {
        self.core.leave(now);
    }

    /// Stays, for [`Demand::Target`]: no other takes it up. If it was to move or end, it ends.
    pub fn stay(&mut self) {
        self.core.stay();
    }

    /// Whether it is on its way away from its upstream: the other one is still needed.
    pub fn is_leaving(&self) -> bool {
        self.core.is_leaving()
    }

    /// What the session was asked to report, and what passed until now; asked for once.
    pub fn take_report(&mut self) -> Option<(DueReport, SessionStats)> {
        let report = std::mem::take(&mut self.report);
        report.is_due().then(|| (report, self.core.stats()))
    }

    /// Reads, writes and obeys until nothing moves, since what one side does may be what the other
    /// waited for; then whether the turn was cut short.
    fn turn(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        buffer::lend(|buffer| {
            self.reads = [READS_PER_POLL_MAX; 2];
            loop {
                self.moved = false;
                for from in Side::BOTH {
                    self.flow(from, cx, buffer, now);
                }
                if self.core.timeout() <= now {
                    self.core.on_timeout(now);
                    self.moved = true;
                }
                self.obey(cx, now);
                if self.reads.contains(&0) {
                    return true;
                }
                if !self.moved {
                    return false;
                }
            }
        })
    }

    /// Brings what `from` sends across, as far as it goes.
    fn flow(&mut self, from: Side, cx: &mut Context<'_>, buffer: &mut [u8], now: Moment) {
        while self.reads[from as usize] > 0 {
            self.drain(from.other(), cx, now);
            if !self.may_read(from) {
                return;
            }
            let Some(leg) = &mut self.legs[from as usize] else { return };
            if let Some(mut held) = leg.take_held() {
                held.advance(self.present(from, held.bytes(), cx, now));
                self.hold(from, held);
                continue;
            }
            let Poll::Ready(read) = leg.poll_read(cx, buffer) else { return };
            self.reads[from as usize] -= 1;
            match read {
                Read::Bytes(bytes) => {
                    self.core.on_heard(from);
                    let used = self.present(from, &buffer[..bytes], cx, now);
                    self.hold(from, SendQueue::copied(&buffer[used..bytes]));
                }
                Read::End(how) => {
                    self.core.on_eof(from, how, now);
                    self.moved = true;
                }
            }
        }
    }

    /// Lets the core decide on bytes, and sends across what it lets pass; how many are done with.
    fn present(&mut self, from: Side, bytes: &[u8], cx: &mut Context<'_>, now: Moment) -> usize {
        let mut at = 0;
        loop {
            let passage = self.core.pass(from, &bytes[at..], now);
            let cells = self.cells.here();
            if passage.violations > 0 {
                cells.violations[from].add(u64::from(passage.violations));
            }
            if passage.forward > 0 {
                cells.relayed(from, u64::from(passage.messages), passage.forward as u64);
                let across = &bytes[at..at + passage.forward];
                self.send(from.other(), across, passage.last, cx, now);
            }
            at += passage.used;
            if !passage.again {
                return at;
            }
            self.obey(cx, now);
        }
    }

    /// Keeps what is not done with of what a side sent.
    fn hold(&mut self, from: Side, rest: SendQueue) {
        let stuck = self.legs[from.other() as usize].as_ref().is_none_or(|leg| !leg.is_clear());
        let wants = self.core.wants(from);
        if let Some(leg) = &mut self.legs[from as usize] {
            if stuck || !wants {
                leg.cool();
            }
            // What is not wanted now is presented again as it is when it is.
            leg.hold(rest, wants);
        }
    }

    /// Carries out the core's orders.
    fn obey(&mut self, cx: &mut Context<'_>, now: Moment) {
        while let Some(order) = self.core.poll_order(now) {
            self.moved = true;
            match order {
                Order::Send { to, frame, last } => self.send(to, &frame, last, cx, now),
                Order::Push(message) => {
                    self.cells.here().pushed.add(1);
                    self.send(Side::Client, message.frame(), false, cx, now);
                    // The next goes once this one is written.
                    self.drain(Side::Client, cx, now);
                }
                Order::Finish(side, how) => {
                    if let Some(leg) = &mut self.legs[side as usize] {
                        leg.finish(how);
                    }
                    self.drain(side, cx, now);
                }
                Order::Drop { side, reset } => {
                    if let Some(leg) = self.legs[side as usize].take() {
                        if side == Side::Upstream {
                            let (written, unsent) = leg.tail();
                            self.core.on_unsent(written, unsent, now);
                        }
                        leg.close(cx, reset);
                    }
                }
                Order::Probe(side) => {
                    let sample = self.sample(side, now);
                    let across = match sample.reading {
                        true => Sample::default(),
                        false => self.sample(side.other(), now),
                    };
                    self.core.on_probed(side, sample, across, now);
                }
                Order::Answered(side, took) => self.cells.here().ping[side].observe(took),
                Order::Flush(flush) => self.flush(flush, cx, now),
                Order::Stays => self.seat.stays(now),
                Order::Keeps => {}
                Order::HoldBegan(why) => self.cells.hold_began(why),
                Order::HoldEnded { result, lasted, discarded } => {
                    self.cells.hold_ended(result, lasted, discarded);
                }
            }
        }
    }

    fn send(&mut self, to: Side, bytes: &[u8], last: bool, cx: &mut Context<'_>, now: Moment) {
        let Some(leg) = &mut self.legs[to as usize] else { return };
        let waited = leg.tail().1.len();
        let sent = leg.send(cx, bytes, last, now);
        let waits = leg.tail().1.len();
        if waited == 0 && waits > 0 && to == Side::Upstream {
            self.core.on_spilled(&bytes[..bytes.len() - waits], now);
        }
        if sent.is_err() {
            self.on_write_failed(to, now);
        }
    }

    /// Sends what was kept, or recorded.
    fn flush(&mut self, flush: Flush, cx: &mut Context<'_>, now: Moment) {
        let Flush { bytes, fresh } = flush;
        if let Some((messages, bytes)) = fresh {
            self.cells.here().relayed(Side::Client, messages, bytes);
        }
        let Some(leg) = &mut self.legs[Side::Upstream as usize] else { return };
        if leg.tail().1.is_empty() {
            self.core.on_spilled(&[], now);
        }
        leg.queue(bytes, now);
        self.drain(Side::Upstream, cx, now);
    }

    /// Sends what could not be sent before.
    fn drain(&mut self, to: Side, cx: &mut Context<'_>, now: Moment) {
        let Some(leg) = &mut self.legs[to as usize] else { return };
        let (clear, finished) = (leg.is_clear(), leg.finished());
        match leg.poll_drain(cx, now) {
            Poll::Ready(Ok(())) => {
                let finish = leg.finished().filter(|_| finished.is_none());
                self.moved |= !clear || finish.is_some();
                if let Some(how) = finish {
                    self.core.on_finished(to, how == Finish::Both, now);
                }
                self.core.on_flushed(to);
            }
            Poll::Ready(Err(_)) => self.on_write_failed(to, now),
            Poll::Pending => {}
        }
    }

    /// Nothing more can be sent to a side.
    fn on_write_failed(&mut self, to: Side, now: Moment) {
        self.moved = true;
        self.core.on_write_failed(to, now);
        let Some(leg) = &mut self.legs[to as usize] else { return };
        if to == Side::Upstream {
            let (written, unsent) = leg.tail();
            self.core.on_unsent(written, unsent, now);
        }
        leg.on_failed();
    }

    /// Whether bytes are wanted from a side, and there is room for them across.
    pub(super) fn may_read(&self, from: Side) -> bool {
        let clear = |side| self.legs[side as usize].as_ref().is_none_or(Leg::is_clear);
        self.core.wants(from) && (!self.core.crosses(from) || clear(from.other()))
    }

    fn sample(&self, side: Side, now: Moment) -> Sample {
        let Some(leg) = &self.legs[side as usize] else { return Sample::default() };
        // Not where more of it may be there than was read by now.
        leg.sample(self.may_read(side) && self.reads[side as usize] > 0, now)
    }

    /// Asks to be woken when the core has something to do, unless that was asked already.
    fn arm(&mut self, now: Moment) {
        if self.armed <= now {
            self.armed = Moment::NEVER;
        }
        let next = self.core.timeout();
        if next < self.armed {
            match self.core.throttle().paused_until() {
                Some(until) if until == next => self.seat.wake_near(next, now),
                _ => self.seat.wake_at(next),
            }
            self.armed = next;
        }
    }

    /// One poll, at this moment.
    pub(super) fn poll_at(
        &mut self,
        cx: &mut Context<'_>,
        now: Moment,
    ) -> Poll<(End, SessionStats)> {
        while let Poll::Ready(note) = self.seat.poll_note(cx) {
            match note {
                Note::Report(report) => report.tell(self.seat.id(), self.core.traffic()),
                Note::Due(report) => self.report = self.report.merge(report),
                note => self.core.on_note(note, now),
            }
        }
        if self.legs.iter().flatten().any(Leg::is_worn) {
            self.core.on_worn(now);
        }
        if self.core.keeps() {
            // What was kept goes before what is read now.
            self.obey(cx, now);
        }
        if self.turn(cx, now) {
            cx.waker().wake_by_ref();
        }
        let waits = self.legs[Side::Client as usize].as_ref().and_then(Leg::waits_since);
        self.core.throttle().on_waiting(waits, now);
        if let Some(end) = self.core.end() {
            self.over = true;
            return Poll::Ready(self.ended(end));
        }
        self.arm(now);
        Poll::Pending
    }

    fn ended(&self, end: End) -> (End, SessionStats) {
        let stats = self.core.stats();
        stats.log_violations(self.seat.id());
        (end, stats)
    }
}

impl Future for Relay {
    type Output = (End, SessionStats);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(End, SessionStats)> {
        let now = clock::now();
        registry::keep_pace(now);
        self.get_mut().poll_at(cx, now)
    }
}

#[cfg(test)]
mod inside;
