//! The relay: one future per session, which does the core's reading and writing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::clock::{self, Moment};
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::End;
use crate::observe::metrics::RouteCells;
use crate::registry::Seat;
use crate::wire::frame::Allowed;

use super::buffer::{self, READ_BYTES};
use super::core::{Core, Order, Sample, State, Tally};
use super::leg::{Leg, Read};

/// Reads of one side in one poll; then the worker's other sessions have their turn.
const READS_PER_POLL_MAX: u32 = 16;

/// What a session is held to.
pub struct Terms {
    /// The route's rules.
    pub rules: Arc<Rules>,
    /// What the negotiated extensions allow.
    pub allowed: Allowed,
    /// Its place among the worker's sessions.
    pub seat: Seat,
    /// Where its messages are counted.
    pub cells: Arc<RouteCells>,
}

/// How a relay ended.
pub enum Outcome {
    /// The session is over, both transports are closed.
    Ended(End, Tally),
    /// It stopped between two messages and can go on elsewhere.
    Parted(Box<Parts>),
}

/// A session that stopped: all that is needed to go on with it.
pub struct Parts {
    /// The client's connection, with what is not sent and not judged yet.
    pub client: Leg,
    /// The upstream's.
    pub upstream: Leg,
    /// The frames' and pings' state.
    pub state: State,
    /// Its place among the worker's sessions.
    pub seat: Seat,
}

/// A session at work. Resolves when it is over, or when it parted.
pub struct Relay {
    core: Core,
    /// The client's and the upstream's; none when it is closed.
    legs: [Option<Leg>; 2],
    cells: Arc<RouteCells>,
    seat: Option<Seat>,
    /// When the seat was told to wake us.
    armed: Moment,
}

impl Relay {
    /// A relay between two fresh legs.
    pub fn new(client: Leg, upstream: Leg, terms: Terms, now: Moment) -> Relay {
        let Terms { rules, allowed, seat, cells } = terms;
        let core = Core::new(rules, allowed, fastrand::u64(..), now);
        Relay::with(core, client, upstream, seat, cells)
    }

    /// A relay that goes on where another parted; the upstream may be a new one.
    pub fn resume(parts: Parts, rules: Arc<Rules>, cells: Arc<RouteCells>, now: Moment) -> Relay {
        let Parts { client, upstream, state, seat } = parts;
        let core = Core::resume(state, rules, fastrand::u64(..), now);
        Relay::with(core, client, upstream, seat, cells)
    }

    fn with(core: Core, client: Leg, upstream: Leg, seat: Seat, cells: Arc<RouteCells>) -> Relay {
        let legs = [Some(client), Some(upstream)];
        Relay { core, legs, cells, seat: Some(seat), armed: Moment::NEVER }
    }

    /// Reads, writes and obeys until nothing moves; then whether the turn was cut short.
    fn turn(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        buffer::lend(|buffer| {
            let mut reads = [READS_PER_POLL_MAX; 2];
            loop {
                for from in Side::BOTH {
                    self.flow(from, &mut reads[from as usize], cx, buffer, now);
                }
                if self.core.next() <= now {
                    self.core.tick(now);
                }
                if reads.contains(&0) {
                    self.obey(cx, now);
                    return true;
                }
                if !self.obey(cx, now) {
                    return false;
                }
            }
        })
    }

    /// Brings what `from` sends across, as far as it goes.
    fn flow(
        &mut self,
        from: Side,
        reads: &mut u32,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        now: Moment,
    ) {
        while *reads > 0 {
            self.drain(from.other(), cx, now);
            if !self.may_read(from) {
                return;
            }
            let Some(leg) = &mut self.legs[from as usize] else { return };
            if let Some(held) = leg.take_held() {
                self.present(from, &held, cx, now);
                continue;
            }
            let Poll::Ready(read) = leg.poll_read(cx, buffer, READ_BYTES) else { return };
            *reads -= 1;
            match read {
                Read::Bytes(bytes) => {
                    self.core.heard_from(from);
                    self.present(from, &buffer[..bytes], cx, now);
                }
                Read::End(how) => self.core.ended(from, how, now),
            }
        }
    }

    /// Lets the core decide on bytes, and sends across what it lets pass.
    fn present(&mut self, from: Side, bytes: &[u8], cx: &mut Context<'_>, now: Moment) {
        let mut at = 0;
        loop {
            let passage = self.core.pass(from, &bytes[at..], now);
            let cells = self.cells.here();
            if passage.violations > 0 {
                cells.violations[from as usize].add(u64::from(passage.violations));
            }
            if passage.forward > 0 {
                cells.relayed(from, u64::from(passage.messages), passage.forward as u64);
                self.send(from.other(), &bytes[at..at + passage.forward], cx, now);
            }
            at += passage.used;
            if !passage.again {
                break;
            }
            self.obey(cx, now);
        }
        if let Some(leg) = &mut self.legs[from as usize] {
            // What is not wanted now is presented again as it is when it is.
            leg.hold(&bytes[at..], self.core.wants(from));
        }
    }

    /// Carries out the core's orders; whether there were any.
    fn obey(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut any = false;
        while let Some(order) = self.core.order(now) {
            any = true;
            match order {
                Order::Send(to, frame) => self.send(to, &frame, cx, now),
                Order::Finish(side) => {
                    if let Some(leg) = &mut self.legs[side as usize] {
                        leg.finish();
                    }
                    self.drain(side, cx, now);
                }
                Order::Drop { side, reset } => {
                    if let Some(leg) = self.legs[side as usize].take() {
                        leg.close(reset);
                    }
                }
                Order::Probe(side) => {
                    let sample = self.sample(side);
                    self.core.probed(side, sample, now);
                }
                Order::Answered(side, took) => self.cells.here().ping[side as usize].observe(took),
            }
        }
        any
    }

    fn send(&mut self, to: Side, bytes: &[u8], cx: &mut Context<'_>, now: Moment) {
        let Some(leg) = &mut self.legs[to as usize] else { return };
        if leg.send(cx, bytes).is_err() {
            leg.give_up();
            self.core.deaf(to, now);
        }
    }

    /// Sends what could not be sent before.
    fn drain(&mut self, to: Side, cx: &mut Context<'_>, now: Moment) {
        let Some(leg) = &mut self.legs[to as usize] else { return };
        let finished = leg.is_finished();
        match leg.poll_drain(cx) {
            Poll::Ready(Ok(())) if leg.is_finished() && !finished => self.core.finished(to),
            Poll::Ready(Err(_)) => {
                leg.give_up();
                self.core.deaf(to, now);
            }
            _ => {}
        }
    }

    /// Whether bytes are wanted from a side, and there is room for them across.
    fn may_read(&self, from: Side) -> bool {
        let room = || self.legs[from.other() as usize].as_ref().is_none_or(Leg::is_clear);
        self.core.wants(from) && (!self.core.crosses(from) || room())
    }

    fn sample(&self, side: Side) -> Sample {
        let Some(leg) = &self.legs[side as usize] else { return Sample::default() };
        Sample {
            sent: leg.sent(),
            unacknowledged: leg.unacknowledged(),
            waiting: !leg.is_clear(),
            reading: self.may_read(side),
        }
    }

    /// Asks to be woken when the core has something to do, unless that was asked already.
    fn arm(&mut self, now: Moment) {
        if self.armed <= now {
            self.armed = Moment::NEVER;
        }
        let next = self.core.next();
        if next < self.armed
            && let Some(seat) = &self.seat
        {
            seat.wake_at(next);
            self.armed = next;
        }
    }

    fn part(&mut self) -> Option<Parts> {
        let state = self.core.state();
        let [client, upstream] = &mut self.legs;
        let (client, upstream) = (client.take()?, upstream.take()?);
        Some(Parts { client, upstream, state, seat: self.seat.take()? })
    }

    fn ended(&self, end: End) -> Outcome {
        let tally = self.core.tally();
        for (side, of) in [(Side::Client, &tally.client), (Side::Upstream, &tally.upstream)] {
            // Once per session, never on a message's way.
            if let Some(violation) = of.violation {
                let count = of.violations;
                tracing::info!(%side, ?violation, count, "frames against RFC 6455");
            }
        }
        Outcome::Ended(end, tally)
    }
}

impl Future for Relay {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let now = clock::now();
        while let Some(Poll::Ready(note)) = this.seat.as_ref().map(|seat| seat.poll_note(cx)) {
            this.core.note(note, now);
        }
        if this.turn(cx, now) {
            cx.waker().wake_by_ref();
        }
        if let Some(end) = this.core.over() {
            return Poll::Ready(this.ended(end));
        }
        if this.core.parted()
            && let Some(parts) = this.part()
        {
            return Poll::Ready(Outcome::Parted(Box::new(parts)));
        }
        this.arm(now);
        Poll::Pending
    }
}
