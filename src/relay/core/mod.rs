//! The relay's core: what happens to each byte, and when a session ends; no I/O, no clock.
//!
//! Events go in (bytes, ends of streams, notes, time), each with the present moment; what is to be
//! done comes out. Whoever drives a core
//!
//! 1. gives it what a side sent ([`Core::pass`]) and sends across what it says,
//! 2. after each event carries out its orders ([`Core::order`]) until there are none,
//! 3. calls [`Core::tick`] at [`Core::next`] at the latest,
//! 4. stops at [`Core::over`].
//!
//! A session that can be held outlives its upstream: [`hold`] has that story.
//!
//! Frames stay whole: a header is passed on once it was judged, so that between two calls each
//! direction stands at a frame's boundary or in its payload. A Close, and a Pong that may be ours,
//! are taken whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Loss};
use crate::registry::{EndOrder, Note};
use crate::wire::control::ControlFrame;
use crate::wire::frame::{Allowed, CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Tracker};

mod alive;
mod away;
mod closing;
mod demand;
mod hold;
mod holding;
mod kept;
mod leaving;
mod pass;
mod pending_ping;
mod replay;
mod stats;
mod timers;

pub(super) use alive::Sample;
pub use demand::{Demand, HoldCause, HoldEnd, HoldState, HoldTerms};
pub use stats::{Rtt, SessionStats, SideStats};

use alive::Alive;
use closing::CloseState;
use hold::Hold;
use timers::{Timer, Timers};

/// Bytes a core may leave to be presented again with more behind them: a control frame but for its
/// last byte, or less.
pub(super) const UNDECIDED_BYTES_MAX: usize = HEADER_BYTES_MAX + CONTROL_BYTES_MAX;

/// Time to say a Close when its moment and its deadline have come at once.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug)]
pub(super) enum Order {
    /// This frame goes to the side, behind all that went before.
    Send(Side, ControlFrame),
    /// When all that goes to the side is sent: half-close, then tell [`Core::finished`].
    Finish(Side),
    /// Close the side's transport now; with a reset where bytes are lost by it, or when told so.
    Drop {
        /// Which.
        side: Side,
        /// Whether nothing is to linger for it.
        reset: bool,
    },
    /// Tell [`Core::probed`] how the side's sending goes.
    Probe(Side),
    /// It took the side so long to answer a ping.
    Answered(Side, Duration),
    /// These bytes go to the upstream, behind all that went before.
    Flush {
        /// Whole frames, but for the last.
        bytes: Vec<u8>,
        /// Messages that end in them, if they were kept and not sent before.
        kept: Option<u64>,
    },
    /// It was asked to move, and stays where it is.
    Stays,
    /// The upstream is away from now on.
    Away(HoldCause),
    /// It no longer is.
    Back {
        /// How that came to its end.
        result: HoldEnd,
        /// How long it took.
        lasted: Duration,
        /// The client's messages whose rest was left out.
        discarded: u64,
    },
}

/// What comes from a side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RecvState {
    /// Frames.
    Open,
    /// Its Close came; what follows means nothing (RFC 6455 §5.5.1).
    Closed,
    /// It broke a rule; what follows cannot be trusted.
    Faulted,
}

/// All that is known of one side.
#[derive(Debug)]
struct Half {
    /// Follows what comes from it.
    tracker: Tracker,
    heard: RecvState,
    /// Its stream has ended.
    ended: bool,
    /// Writing to it has failed.
    write_failed: bool,
    way: CloseState,
    alive: Alive,
    stats: SideStats,
}

/// The state of one session between two legs.
#[derive(Debug)]
pub(super) struct Core {
    rules: Arc<Rules>,
    sides: [Half; 2],
    timers: Timers,
    opened: Moment,
    /// When a part of a data message last passed.
    last_data: Moment,
    /// What our pings carry, so that their answers are known.
    secret: u64,
    /// How the session ends; made once.
    end: Option<End>,
    /// How it will, once the note's moment has come.
    let_go: Option<End>,
    /// A frame to a side was cut in the middle.
    cut: bool,
    /// What only sessions have that can be held.
    hold: Option<Box<Hold>>,
    /// Share of the jitter that shortens this session's life, in 1/255.
    lifetime_share: u8,
}

impl Core {
    /// A session that begins; `seed` decides its jitter and its pings. Where an extension that is
    /// not known may interleave messages, it cannot be held: nobody could say where they end.
    pub(super) fn new(
        rules: Arc<Rules>,
        allowed: Allowed,
        hold: Option<HoldTerms>,
        seed: u64,
        now: Moment,
    ) -> Core {
        let mut rng = fastrand::Rng::with_seed(seed);
        let hold = hold.filter(|_| !allowed.opcodes);
        let mut core = Core {
            rules,
            sides: Side::BOTH.map(|side| Half::new(side, allowed)),
            timers: Timers::default(),
            opened: now,
            last_data: now,
            secret: rng.u64(..),
            end: None,
            let_go: None,
            cut: false,
            hold: hold.map(|terms| Box::new(Hold::new(terms, allowed))),
            lifetime_share: rng.u8(..),
        };
        core.time_life();
        core.time_pings(&mut rng, now);
        core
    }

    /// A side's stream has ended; what it left undecided is lost with it.
    pub(super) fn ended(&mut self, side: Side, how: Loss, now: Moment) {
        self.half(side).ended = true;
        self.lose(End::Lost { side, how }, now);
    }

    /// Writing to a side has failed. What it sent before may still be there to be read, a Close
    /// among it, so its end is for the reader to find; within `close_timeout`.
    pub(super) fn write_failed(&mut self, side: Side, now: Moment) {
        let first = !std::mem::replace(&mut self.half(side).write_failed, true);
        if first && self.end.is_none() {
            self.timers.set(Timer::step(side), now.after(self.rules.close_timeout));
            if side == Side::Upstream {
                self.part_from_deaf(now);
            }
        }
    }

    /// A note has come.
    pub(super) fn note(&mut self, note: Note, now: Moment) {
        match note {
            Note::End(let_go) => self.let_go(&let_go),
            Note::Rules(rules) => {
                let old = std::mem::replace(&mut self.rules, rules);
                self.time_life();
                if old.ping_interval != self.rules.ping_interval {
                    // Anew at random: all sessions of a route hear of it at once.
                    self.time_pings(&mut fastrand::Rng::with_seed(self.secret), now);
                }
            }
            Note::Move(order) => self.ask_to_move(order, now),
        }
    }

    fn let_go(&mut self, order: &EndOrder) {
        if order.at < self.timers.get(Timer::LetGo) {
            self.let_go = Some(order.end());
            self.timers.set(Timer::LetGo, order.at);
        }
        self.timers.hasten(Timer::Deadline, order.deadline);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Moment) {
        let ending = self.end;
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Idle => self.check_idle(now),
                Timer::Lifetime => self.begin_end(End::Lifetime, now),
                Timer::LetGo => self.begin_end(self.let_go.unwrap_or(End::Fault), now),
                Timer::Deadline => match ending {
                    Some(end) => self.run_out(end, now),
                    None => {
                        // The process slept past both moments: a Close is said all the same.
                        self.begin_end(self.let_go.unwrap_or(End::Fault), now);
                        self.timers.set(Timer::Deadline, now.after(LAST_WORDS));
                    }
                },
                Timer::AliveClient => self.check_alive(Side::Client, now),
                Timer::AliveUpstream => self.check_alive(Side::Upstream, now),
                Timer::StepClient => self.step_out(Side::Client, now),
                Timer::StepUpstream => self.step_out(Side::Upstream, now),
                Timer::Hold => self.check_hold(now),
            }
        }
    }

    /// When [`Core::tick`] is needed next.
    pub(super) fn next(&self) -> Moment {
        self.timers.next()
    }

    /// Whether bytes from a side are wanted at all; else it is not to be read.
    pub(super) fn wants(&self, from: Side) -> bool {
        let full = |hold: &Hold| from == Side::Client && hold.is_full();
        !self.at(from).ended && !self.hold.as_ref().is_some_and(|hold| full(hold))
    }

    /// Whether bytes from a side go across: then they are read only as fast as they can be sent.
    pub(super) fn crosses(&self, from: Side) -> bool {
        self.at(from).heard == RecvState::Open
            && self.at(from.other()).takes_frames()
            && (from == Side::Upstream || self.passes())
    }

    /// The end, when all is done and both transports are gone.
    pub(super) fn over(&self) -> Option<End> {
        let gone = self.sides.iter().all(|half| half.way == CloseState::Gone);
        if gone { self.end } else { None }
    }

    /// What passed so far.
    pub(super) fn stats(&self) -> SessionStats {
        let [client, upstream] = &self.sides;
        SessionStats { client: client.stats, upstream: upstream.stats, cut: self.cut }
    }

    fn check_idle(&mut self, now: Moment) {
        let Some(timeout) = self.rules.idle_timeout else { return };
        let due = self.last_data.after(timeout);
        if due <= now {
            self.begin_end(End::Idle, now);
        } else {
            // A message only stored its moment.
            self.timers.set(Timer::Idle, due);
        }
    }

    /// Sets the timers that hold for the session as a whole.
    fn time_life(&mut self) {
        if self.end.is_some() {
            return;
        }
        let idle = self.rules.idle_timeout.map(|timeout| self.last_data.after(timeout));
        self.timers.set(Timer::Idle, idle.unwrap_or(Moment::NEVER));
        let lifetime = self.rules.max_lifetime.map(|most| {
            let percent = f64::from(self.rules.max_lifetime_jitter_percent.min(100)) / 100.0;
            let shorter = percent * f64::from(self.lifetime_share) / 255.0;
            self.opened.after(most.mul_f64(1.0 - shorter))
        });
        self.timers.set(Timer::Lifetime, lifetime.unwrap_or(Moment::NEVER));
    }

    fn at(&self, side: Side) -> &Half {
        &self.sides[side as usize]
    }

    fn half(&mut self, side: Side) -> &mut Half {
        &mut self.sides[side as usize]
    }

    /// Whether what went to a side so far ends at a frame's boundary.
    fn at_boundary_to(&self, side: Side) -> bool {
        let apart = match side {
            Side::Client => self.is_swallowing(),
            Side::Upstream => self.stands_apart(),
        };
        apart || self.at(side.other()).tracker.at_frame_boundary()
    }
}

impl Half {
    fn new(side: Side, allowed: Allowed) -> Half {
        Half {
            tracker: Tracker::new(side, allowed),
            heard: RecvState::Open,
            ended: false,
            write_failed: false,
            way: CloseState::Open,
            alive: Alive::new(0),
            stats: SideStats::default(),
        }
    }
}

#[cfg(test)]
mod tests;
