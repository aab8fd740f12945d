//! The relay's core: what happens to each byte, and when a session ends; no I/O, no clock.
//!
//! Events go in (bytes, ends of streams, notes, time), each with the present moment; what is to be
//! done comes out. Whoever drives a core
//!
//! 1. gives it what a side sent ([`Core::pass`]) and sends across what it says,
//! 2. after each event carries out its orders ([`Core::poll_order`]) until there are none,
//! 3. calls [`Core::on_timeout`] at [`Core::timeout`] at the latest,
//! 4. stops at [`Core::end`].
//!
//! Each direction is in a [`lane`], which says what becomes of its frames. What we say to a side
//! ourselves waits in its [`outbox`] for a frame's boundary. A session that can be held outlives
//! its upstream: [`hold`] has that story. The way out is in [`closing`].
//!
//! Frames stay whole: a header is passed on once it was judged, so that between two calls each
//! direction stands at a frame's boundary or in its payload. A control frame is taken whole.

use std::sync::Arc;

use crate::base::clock::{Moment, OVERSLEPT};
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Loss};
use crate::registry::{EndOrder, Note, SessionTraffic};
use crate::wire::frame::Allowed;

mod closing;
mod demand;
mod hold;
mod lane;
mod lifetime;
mod liveness;
mod meter;
mod next_step;
mod order;
mod outbox;
mod pass;
mod pending_ping;
mod pushes;
mod scan;
mod side_state;
mod stats;
mod step_wait;
mod tap;
mod throttle;
mod timers;

pub use demand::{Demand, HoldCause, HoldEnd, HoldState, HoldTerms};
pub(super) use liveness::Sample;
pub(super) use order::{Finish, Flush, Order, UNDECIDED_BYTES_MAX};
pub use stats::{Rtt, SessionStats, SideStats};

use hold::Hold;
use lane::Lane;
use lifetime::Lifetime;
use liveness::PingTimes;
use pushes::Pushes;
use side_state::{CloseState, RecvState, SideState};
use tap::Tapped;
use throttle::Throttle;
use timers::{Timer, Timers};

/// The state of one session between two legs.
#[derive(Debug)]
pub(super) struct Core {
    rules: Arc<Rules>,
    sides: [SideState; 2],
    timers: Timers,
    lifetime: Lifetime,
    throttle: Throttle,
    /// Messages of ours to the client.
    pushes: Pushes,
    /// Who watches its frames.
    tapped: Tapped,
    /// What our pings carry, so that their answers are known.
    secret: u64,
    /// How the session ends; made once.
    end: Option<End>,
    /// How it will, once the note's moment has come.
    ordered_end: Option<End>,
    /// What only sessions have that can be held.
    hold: Option<Box<Hold>>,
}

impl Core {
    /// A session that begins and may last until `expires`; `seed` decides its jitter and pings. It
    /// cannot be held where an unknown extension may interleave messages: their ends are not told.
    pub(super) fn new(
        rules: Arc<Rules>,
        allowed: Allowed,
        hold: Option<HoldTerms>,
        expires: Moment,
        seed: u64,
        now: Moment,
    ) -> Core {
        let mut rng = fastrand::Rng::with_seed(seed);
        let hold = hold.filter(|_| !allowed.opcodes);
        let mut core = Core {
            throttle: Throttle::new(&rules),
            pushes: Pushes::default(),
            tapped: Tapped::default(),
            rules,
            sides: Side::BOTH.map(|side| SideState::new(side, allowed)),
            timers: Timers::default(),
            secret: rng.u64(..),
            lifetime: Lifetime::new(expires, now),
            end: None,
            ordered_end: None,
            hold: hold.map(|terms| Box::new(Hold::new(terms, allowed, now))),
        };
        core.time_life();
        Side::BOTH.into_iter().for_each(|side| core.time_pings(side, &mut rng, now));
        core
    }

    /// A side's stream has ended; what it left undecided is lost with it.
    pub(super) fn on_eof(&mut self, side: Side, how: Loss, now: Moment) {
        self.side_mut(side).ended = true;
        self.lose(End::Lost { side, how }, false, now);
        self.refresh();
    }

    /// Writing to a side has failed. What it sent before may still be there to be read, a Close
    /// among it, so its end is for the reader to find; as long as an answer is waited for.
    pub(super) fn on_write_failed(&mut self, side: Side, now: Moment) {
        if side == Side::Client {
            self.pushes.on_write_failed();
        }
        let state = self.side_mut(side);
        let first = !std::mem::replace(&mut state.write_failed, true);
        state.outbox.clear();
        state.liveness.begin(Moment::NEVER);
        if first && state.close == CloseState::Open && self.end.is_none() {
            self.time_step(side, now);
            if side == Side::Upstream && self.may_be_held(now) {
                // The message it is in the midst of may become whole by what is still read.
                self.part(HoldCause::Lost, now);
            }
        }
        self.refresh();
    }

    /// A note has come; whoever drives the core gives a report.
    pub(super) fn on_note(&mut self, note: Note, now: Moment) {
        match note {
            Note::End(order) => self.on_end_order(Some(order)),
            Note::Words(words) => self.timers.keep_words(words),
            Note::Rules(rules) => {
                let old = std::mem::replace(&mut self.rules, rules);
                self.throttle.renew(&self.rules);
                self.time_life();
                if old.ping_interval != self.rules.ping_interval {
                    // Anew at random: all sessions of a route hear of it at once.
                    let mut rng = fastrand::Rng::with_seed(self.secret);
                    Side::BOTH.into_iter().for_each(|side| self.time_pings(side, &mut rng, now));
                }
            }
            Note::Expires(moment) => {
                self.lifetime.expire_at(moment);
                self.time_life();
            }
            Note::Renew(_) if self.end.is_some() => {}
            Note::Renew(renewal) => {
                let (said, most) = renewal.asked();
                renewal.tell(self.lifetime.renew(said, most));
                self.time_life();
            }
            Note::Report(_) | Note::Due(_) => {}
            Note::Tap(ticket) => {
                let trackers = || self.sides.each_ref().map(|side| side.tracker.clone());
                self.tapped.on_ticket(ticket, trackers);
            }
            Note::Push(_) | Note::NoRoom if self.end.is_some() => {}
            Note::Push(delivery) => self.pushes.queue(delivery),
            Note::NoRoom => self.begin_end(End::NoRoom { side: Side::Client }, now),
            Note::Move(_) | Note::Withdrawn if self.end.is_some() => {}
            Note::Withdrawn => {
                self.timers.withdraw_end();
                self.hold.iter_mut().for_each(|hold| hold.withdraw());
            }
            Note::Move(order) => {
                let listens = self.side(Side::Upstream).takes_frames();
                let instead = match &mut self.hold {
                    Some(hold) => hold.on_order(order, listens, now),
                    // It cannot be held, and so not be moved.
                    None => order.otherwise,
                };
                self.on_end_order(instead);
            }
        }
        self.refresh();
    }

    /// The backend that has taken the session up says when its right ends, `most` at the latest,
    /// where that is later than before.
    pub(super) fn renew(&mut self, said: Moment, most: Moment) {
        self.lifetime.renew(said, most);
        self.time_life();
        self.refresh();
    }

    fn on_end_order(&mut self, order: Option<EndOrder>) {
        let Some(order) = order else { return };
        self.ordered_end = self.timers.order_end(&order).or(self.ordered_end);
    }

    /// The keys of a connection are used up: so is the session's life.
    pub(super) fn on_worn(&mut self, now: Moment) {
        if self.end.is_none() {
            self.timers.hasten(Timer::Lifetime, now);
        }
    }

    /// Does what is due.
    pub(super) fn on_timeout(&mut self, now: Moment) {
        let ending = self.end;
        if now.since(self.timeout()) >= OVERSLEPT {
            self.lifetime.on_overslept(&self.rules, now);
            self.throttle.on_overslept(now);
            self.sides.iter_mut().for_each(|side| side.on_overslept(&self.rules, now));
            self.hold.iter_mut().for_each(|hold| hold.on_overslept(self.rules.pong_timeout, now));
        }
        for side in Side::BOTH {
            if self.side(side).liveness.timeout() <= now {
                self.on_ping_due(side, now);
            }
            if self.side(side).step_timeout() <= now {
                self.on_step_due(side);
            }
        }
        if self.throttle.on_timeout(now) {
            self.begin_end(End::TooSlow, now);
        }
        self.pushes.on_timeout(now);
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Idle if self.lifetime.idle_at(&self.rules) <= now => {
                    self.begin_end(End::Idle, now);
                }
                Timer::Idle => self.timers.set(Timer::Idle, self.lifetime.idle_at(&self.rules)),
                Timer::Lifetime => self.begin_end(self.lifetime.end(now), now),
                Timer::OrderedEnd => self.begin_end(self.ordered_end.unwrap_or(End::Fault), now),
                Timer::Deadline => self.on_deadline(ending, now),
                Timer::Hold => self.on_hold_timeout(now),
            }
        }
        self.refresh();
    }

    /// When [`Core::on_timeout`] is needed next.
    pub(super) fn timeout(&self) -> Moment {
        let first = self.timers.next().min(self.throttle.timeout()).min(self.pushes.timeout());
        self.sides.iter().map(SideState::timeout).fold(first, Moment::min)
    }

    /// Whether bytes from a side are wanted at all; else it is not to be read.
    pub(super) fn wants(&self, from: Side) -> bool {
        let full = self.hold.as_ref().is_some_and(|hold| hold.is_full());
        let paused = self.throttle.paused_until().is_some() && self.end.is_none();
        !self.side(from).ended && !(from == Side::Client && (full || paused))
    }

    /// Whether bytes from a side go across: then they are read only as fast as they can be sent.
    pub(super) fn crosses(&self, from: Side) -> bool {
        self.side(from).lane == Lane::Forward
    }

    /// Whether we answer pings in the place of a side.
    fn answers_for(&self, side: Side) -> bool {
        match side {
            Side::Upstream => self.keeps(),
            Side::Client if self.end.is_some() => false,
            Side::Client => self.hold.as_ref().is_some_and(|hold| hold.swallows()),
        }
    }

    /// The end, when all is done and both transports are gone.
    pub(super) fn end(&self) -> Option<End> {
        self.end.filter(|_| self.sides.iter().all(|side| side.close == CloseState::Dropped))
    }

    /// What ran out while the session was held, if that is how it ended.
    pub(super) fn ran_out(&self) -> Option<HoldEnd> {
        self.hold.as_ref()?.ran_out()
    }

    /// What passed so far.
    pub(super) fn stats(&self) -> SessionStats {
        let [client, upstream] = &self.sides;
        let pushed = self.pushes.sent();
        let cut = client.cut || upstream.cut;
        SessionStats { client: client.stats, upstream: upstream.stats, pushed, cut }
    }

    /// What passed so far, and when that was last.
    pub(super) fn traffic(&self) -> SessionTraffic {
        let last_data = Some(self.lifetime.last_data());
        SessionTraffic { last_data, ..self.stats().traffic() }
    }

    /// Bytes came from a side: whatever they are, it lives.
    pub(super) fn on_heard(&mut self, side: Side) {
        let interval = self.rules.ping_interval.filter(|_| self.end.is_none());
        let state = self.side_mut(side);
        if state.liveness.on_heard(interval) {
            state.outbox.cancel_ping();
        }
    }

    /// The answer to [`Order::Probe`], with the sample of the side across where this one is not
    /// read.
    pub(super) fn on_probed(&mut self, side: Side, sample: Sample, across: Sample, now: Moment) {
        let state = self.side(side);
        if self.end.is_some() || state.close != CloseState::Open || state.write_failed {
            return self.on_step_probed(side, &sample, &across, now);
        }
        let Some(times) = PingTimes::of(&self.rules) else { return };
        let state = self.side_mut(side);
        let unasked = state.outbox.has_ping();
        if state.liveness.on_probed(&sample, &across, unasked, times, now) {
            self.lose(End::Silent { side }, !sample.reading, now);
            self.refresh();
        }
    }

    /// The time of a ping, or of a look at a side that has not answered.
    fn on_ping_due(&mut self, side: Side, now: Moment) {
        let Some(times) = PingTimes::of(&self.rules) else { return };
        let state = self.side_mut(side);
        if state.liveness.on_timeout(times, now) && state.takes_frames() {
            state.outbox.queue_ping();
        }
    }

    /// Begins to ping a side anew.
    fn time_pings(&mut self, side: Side, rng: &mut fastrand::Rng, now: Moment) {
        let interval = self.rules.ping_interval.filter(|_| self.end.is_none());
        self.side_mut(side).begin_pings(interval, rng, now);
    }

    /// What it may send, and how long take nothing.
    pub(super) fn throttle(&mut self) -> &mut Throttle {
        &mut self.throttle
    }

    /// Sets the timers that hold for the session as a whole.
    fn time_life(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.timers.set(Timer::Idle, self.lifetime.idle_at(&self.rules));
        // As good a random number as any.
        let jitter = self.secret as u8;
        self.timers.set(Timer::Lifetime, self.lifetime.ends_at(&self.rules, jitter));
    }

    /// Recomputes what hangs on the stage the session is in.
    fn refresh(&mut self) {
        for side in Side::BOTH {
            self.side_mut(side).lane = self.lane_of(side);
        }
        if let Some(hold) = &self.hold {
            let due = if self.end.is_none() { hold.timeout() } else { Moment::NEVER };
            self.timers.set(Timer::Hold, due);
        }
    }

    /// Whether the session can be held if what its upstream still says is whole.
    fn may_be_held(&self, now: Moment) -> bool {
        let listens = self.end.is_none() && self.side(Side::Client).listens();
        listens && self.hold.as_ref().is_some_and(|hold| hold.can_begin_again(now))
    }

    fn lane_of(&self, from: Side) -> Lane {
        let open = self.side(from).recv == RecvState::Open;
        let crosses = open && self.side(from.other()).takes_frames();
        Lane::of(from, self.hold.as_deref(), crosses, self.end.is_some())
    }

    fn side(&self, side: Side) -> &SideState {
        &self.sides[side as usize]
    }

    fn side_mut(&mut self, side: Side) -> &mut SideState {
        &mut self.sides[side as usize]
    }
}

#[cfg(test)]
pub(super) mod tests;
