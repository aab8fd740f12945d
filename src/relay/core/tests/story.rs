//! A core that can be held, and both its sides, for stories told step by step.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::{Core, Demand, Finish, HoldState, HoldTerms, Order, Sample};
use super::peer::{frame, parse};
use super::rules;
use crate::base::clock::Moment;
use crate::base::network::ClientNetwork;
use crate::base::quota::{ClientQuota, Quota};
use crate::base::side::Side::{self, Upstream};
use crate::config::plan::{Hold, Resumption, Rules};
use crate::end::Loss;
use crate::registry::Note;
use crate::wire::frame::Allowed;

pub const START: Moment = Moment::from_millis(1_000_000);

pub fn after(seconds: f64) -> Moment {
    START.after(Duration::from_secs_f64(seconds))
}

pub fn hold() -> Hold {
    Hold {
        timeout: Duration::from_secs(30),
        buffer_bytes_max: 1_000,
        full_timeout: Duration::from_secs(10),
        message_age_max: Duration::from_secs(20),
        lost_codes: vec![1001, 1012, 1013],
        replay_first: 0,
        replay_bytes_max: 1_000,
        swallow_first: 0,
        swallow_timeout: Duration::from_secs(3),
        proof_time: Duration::from_secs(5),
        resumptions_per_minute_max: 20,
        head_bytes_max: 1 << 14,
        resume: Resumption::Always,
    }
}

/// A core, what it sent to each side, and the budget it keeps messages within.
pub struct Story {
    pub core: Core,
    pub rng: Rng,
    pub budget: Arc<ClientQuota>,
    to: [Vec<u8>; 2],
    pub dropped: [bool; 2],
    /// Whether the relay reads both sides.
    pub reading: bool,
}

impl Story {
    pub fn new(hold: Hold) -> Story {
        Story::with(hold, Allowed::NOTHING, 1_000_000)
    }

    pub fn with(hold: Hold, allowed: Allowed, budget: u64) -> Story {
        let budget = Quota::new(budget).of(ClientNetwork::Unshared);
        let terms = HoldTerms { hold: Arc::new(hold), budget: Arc::clone(&budget), head_bytes: 0 };
        let rules = Rules { close_timeout: Duration::from_secs(5), ..rules() };
        let core = Core::new(Arc::new(rules), allowed, Some(terms), Moment::NEVER, 7, START);
        Story {
            core,
            rng: Rng::with_seed(1),
            budget,
            to: Default::default(),
            dropped: [false; 2],
            reading: true,
        }
    }

    pub fn frame(&mut self, from: Side, first: u8, payload: &[u8]) -> Vec<u8> {
        frame(&mut self.rng, from, first, payload)
    }

    /// A side sends bytes; all that goes across is sent at once.
    pub fn send(&mut self, from: Side, bytes: &[u8], now: Moment) {
        let mut at = 0;
        loop {
            let passage = self.core.pass(from, &bytes[at..], now);
            self.to[from.other() as usize].extend(&bytes[at..at + passage.forward]);
            at += passage.used;
            if !passage.again {
                return;
            }
            self.obey(now);
        }
    }

    /// It sends a message, which is given back as it was on the wire.
    pub fn say(&mut self, from: Side, text: &str, now: Moment) -> Vec<u8> {
        let bytes = self.frame(from, 0x81, text.as_bytes());
        self.send(from, &bytes, now);
        bytes
    }

    pub fn obey(&mut self, now: Moment) {
        while let Some(order) = self.core.poll_order(now) {
            match order {
                Order::Send { to, frame, .. } => {
                    self.to[to as usize].extend(&*frame);
                    self.core.on_flushed(to);
                }
                Order::Flush(flush) => {
                    self.to[Upstream as usize].extend(flush.bytes);
                    self.core.on_flushed(Upstream);
                }
                Order::Push(message) => {
                    self.to[Side::Client as usize].extend(&**message.frame());
                    self.core.on_flushed(Side::Client);
                }
                Order::Drop { side, .. } => {
                    self.dropped[side as usize] = true;
                    self.core.on_unsent(&[], &[], now);
                }
                Order::Probe(side) => {
                    let sample = Sample { reading: self.reading, ..Sample::default() };
                    self.core.on_probed(side, sample, Sample::default(), now);
                }
                Order::Finish(side, how) => {
                    self.core.on_finished(side, how == Finish::Both, now);
                }
                _ => {}
            }
        }
    }

    pub fn tick(&mut self, now: Moment) {
        self.core.on_timeout(now);
        self.obey(now);
    }

    /// Does what is due, each in its time, up to this moment.
    pub fn live(&mut self, until: Moment) {
        while self.core.timeout() < until {
            self.tick(self.core.timeout());
        }
        self.tick(until);
    }

    pub fn lose(&mut self, now: Moment) {
        self.core.on_eof(Upstream, Loss::Eof, now);
        self.obey(now);
    }

    pub fn attach(&mut self, now: Moment) {
        assert!(self.core.attach(now));
        self.dropped[Upstream as usize] = false;
        self.obey(now);
    }

    pub fn note(&mut self, note: Note, now: Moment) {
        self.core.on_note(note, now);
        self.obey(now);
    }

    /// What was sent to a side since this was asked last.
    pub fn got(&mut self, side: Side) -> Vec<u8> {
        std::mem::take(&mut self.to[side as usize])
    }

    /// The frames sent to a side, by their first byte and payload.
    pub fn frames(&mut self, side: Side) -> Vec<(u8, Vec<u8>)> {
        let got = self.got(side);
        let mut at = 0;
        let mut frames = Vec::new();
        while let Some((length, first, _, payload)) = parse(&got[at..]) {
            frames.push((first, payload));
            at += length;
        }
        frames
    }

    pub fn away(&self) -> Option<HoldState> {
        match self.core.demand() {
            Some(Demand::Upstream(away)) => Some(away),
            _ => None,
        }
    }
}

/// A Close frame's first byte and code.
pub fn code(frame: &(u8, Vec<u8>)) -> (u8, u16) {
    (frame.0, u16::from_be_bytes([frame.1[0], frame.1[1]]))
}
