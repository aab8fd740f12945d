//! A session's whole world: two peers, a core, whoever drives it, and a clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::{Core, Finish, Order, Sample};
use super::lives::Held;
use super::peer::{Kind, Peer, frame, parse};
use super::{PUSHED, push_message};
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan::{Hold, Rules};
use crate::end::{End, Reason};
use crate::registry::{Delivery, EndOrder, MoveOrder, Note};
use crate::wire::frame::Allowed;

/// What the one who drives keeps for a side.
#[derive(Default)]
pub struct Line {
    /// To be sent to it.
    pub tail: Vec<u8>,
    /// What of that was sent since there was none.
    pub gone: Vec<u8>,
    /// When it last became less, or began.
    moved: Moment,
    sent: u64,
    /// Read from it and presented again.
    held: Vec<u8>,
    undecided: bool,
    /// How it is ended when all is sent.
    finish: Option<Finish>,
    end_told: bool,
}

pub struct World {
    pub rng: Rng,
    pub now: Moment,
    pub core: Core,
    pub rules: Arc<Rules>,
    pub peers: [Peer; 2],
    pub lines: [Line; 2],
    /// What there is to a session that can be held.
    pub held: Option<Held>,
    /// The first end seen, and when.
    pub end: Option<(End, Moment)>,
    pub secret: u64,
    /// When the right to the session ends.
    pub expires: Moment,
}

impl World {
    pub fn new(seed: u64, rules: Rules, hold: Option<Hold>) -> World {
        let mut rng = Rng::with_seed(seed);
        let now = Moment::from_millis(rng.u64(..1_000_000));
        let rules = Arc::new(rules);
        let held = hold.map(|hold| Held::new(hold, &mut rng));
        let terms = held.as_ref().map(|held| held.terms.clone());
        let expires = match rng.u8(..4) {
            0 => now.after(Duration::from_secs(rng.u64(20..1_000))),
            _ => Moment::NEVER,
        };
        let core =
            Core::new(Arc::clone(&rules), Allowed::NOTHING, terms, expires, rng.u64(..), now);
        let secret = core.secret;
        let peers = Side::BOTH.map(|side| Peer::new(side, &mut rng));
        let lines = [Line::default(), Line::default()];
        World { rng, now, core, rules, peers, lines, held, end: None, secret, expires }
    }

    pub fn is_ours(&self) -> impl Fn(&[u8]) -> bool + use<> {
        let secret = self.secret;
        move |payload| match <[u8; 8]>::try_from(payload) {
            Ok(payload) => (1..100_000).contains(&(u64::from_be_bytes(payload) ^ secret)),
            Err(_) => false,
        }
    }

    /// One thing happens, and all that follows from it.
    pub fn step(&mut self) {
        if self.held.is_some() && self.rng.u8(..16) == 0 {
            self.upset();
        }
        match self.rng.u8(..24) {
            0..10 => {
                let side = self.any_side();
                if self.peers[side as usize].may_send() {
                    self.peers[side as usize].chat(&mut self.rng);
                }
            }
            10..20 => self.now = self.now.after(Duration::from_millis(self.rng.u64(..3_000))),
            20 => {
                // Nobody waits for an upstream through such a pause.
                let most = if self.held.is_some() { 5 } else { 120 };
                self.now = self.now.after(Duration::from_secs(self.rng.u64(..most)));
            }
            21 => self.now = self.now.max(self.core.timeout().min(self.now.after(HOUR))),
            22 if self.held.is_none() || self.rng.u8(..4) == 0 => self.mischief(),
            22 => {}
            _ => self.note(),
        }
        self.settle();
        self.help();
        self.settle();
    }

    fn mischief(&mut self) {
        let side = self.any_side();
        let code = self.rng.choice([1000, 1001, 3000, 4999]).unwrap_or(1000);
        let dice = self.rng.u8(..12);
        let peer = &mut self.peers[side as usize];
        match dice {
            0 if peer.hung_up.is_none() => peer.hang_up(&mut self.rng),
            1 | 2 if peer.may_send() => peer.close(&mut self.rng, code),
            3 if peer.may_send() => peer.offend(&mut self.rng),
            _ => {}
        }
    }

    fn note(&mut self) {
        let note = match self.rng.u8(..20) {
            0 => {
                let at = self.now.after(Duration::from_secs(self.rng.u64(..20)));
                let deadline = at.after(Duration::from_secs(self.rng.u64(..30)));
                Note::End(EndOrder { reason: Reason::Stop, at, deadline, code: None })
            }
            1..4 => Note::Move(MoveOrder { at: self.now, otherwise: None }),
            4..12 => {
                let payload = [PUSHED, &vec![7; self.rng.usize(..300)]].concat();
                let message = push_message(&payload, &mut self.rng, self.now);
                let by = self.now.after(Duration::from_secs(self.rng.u64(..30)));
                Note::Push(Delivery::alone(&message, by))
            }
            _ => {
                let mut rules = (*self.rules).clone();
                rules.ping_interval = Some(Duration::from_secs(self.rng.u64(5..60)));
                Note::Rules(Arc::new(rules))
            }
        };
        self.core.on_note(note, self.now);
    }

    fn any_side(&mut self) -> Side {
        if self.rng.bool() { Side::Client } else { Side::Upstream }
    }

    /// Reads, writes and obeys until nothing moves, as the relay does: it reads before it ticks.
    pub fn settle(&mut self) {
        loop {
            let mut moved = self.obey();
            for side in Side::BOTH {
                moved |= self.write(side);
                moved |= self.read(side);
            }
            if !moved && self.core.timeout() <= self.now {
                self.core.on_timeout(self.now);
                moved = true;
            }
            self.check();
            if !moved {
                let armed = self.core.timeout() != Moment::NEVER;
                assert!(armed || self.core.end().is_some(), "nothing will ever happen again");
                self.check_hold();
                return;
            }
        }
    }

    /// What a part of what waits for a side goes to it.
    fn write(&mut self, side: Side) -> bool {
        let (line, peer) = (&mut self.lines[side as usize], &mut self.peers[side as usize]);
        let room = peer.appetite.saturating_sub(peer.got.len());
        let most = line.tail.len().min(room);
        if most > 0 && side == Side::Upstream && self.fails(side) {
            return true;
        }
        let (line, peer) = (&mut self.lines[side as usize], &mut self.peers[side as usize]);
        if most > 0 {
            let bytes = self.rng.usize(1..=most);
            line.gone.extend(&line.tail[..bytes]);
            peer.got.extend(line.tail.drain(..bytes));
            line.moved = self.now;
            line.sent += bytes as u64;
        }
        if line.tail.is_empty() {
            line.gone.clear();
            self.core.on_flushed(side);
        }
        let (line, peer) = (&mut self.lines[side as usize], &mut self.peers[side as usize]);
        let finish = line.finish.filter(|_| line.tail.is_empty() && !peer.finished);
        let finishes = finish.is_some();
        if finishes {
            peer.finished = true;
            let dropped = finish == Some(Finish::Both);
            self.core.on_finished(side, dropped && self.rng.u8(..4) > 0, self.now);
        }
        let is_ours = self.is_ours();
        self.peers[side as usize].look(&mut self.rng, is_ours);
        most > 0 || finishes
    }

    /// A part of what a side sent is read, if it is to be.
    fn read(&mut self, from: Side) -> bool {
        if !self.may_read(from) || self.peers[from as usize].dropped {
            return false;
        }
        let peer = &mut self.peers[from as usize];
        let line = &mut self.lines[from as usize];
        let left = peer.sent.len() - peer.taken;
        let mut bytes = std::mem::take(&mut line.held);
        if line.undecided || bytes.is_empty() {
            if left == 0 {
                line.held = bytes;
                let Some(how) = peer.hung_up.filter(|_| !line.end_told) else { return false };
                line.end_told = true;
                self.core.on_eof(from, how, self.now);
                return true;
            }
            let most = if self.rng.u8(..4) == 0 { 3 } else { 16_384 };
            let count = self.rng.usize(1..=left.min(most));
            bytes.extend(&peer.sent[peer.taken..peer.taken + count]);
            peer.taken += count;
            self.core.on_heard(from);
        }
        self.present(from, &bytes);
        true
    }

    fn present(&mut self, from: Side, bytes: &[u8]) {
        let mut at = 0;
        loop {
            let passage = self.core.pass(from, &bytes[at..], self.now);
            assert!(passage.forward <= passage.used && at + passage.used <= bytes.len());
            if passage.forward > 0 {
                self.send(from.other(), &bytes[at..at + passage.forward]);
            }
            at += passage.used;
            if !passage.again {
                break;
            }
            self.obey();
        }
        let line = &mut self.lines[from as usize];
        line.held.extend(&bytes[at..]);
        line.undecided = self.core.wants(from);
        assert!(!line.undecided || line.held.len() <= super::super::UNDECIDED_BYTES_MAX);
    }

    fn may_read(&self, from: Side) -> bool {
        let clear = |side| self.lines[side as usize].tail.is_empty();
        self.core.wants(from) && (!self.core.crosses(from) || clear(from.other()))
    }

    /// Sends some of it at once, as a socket does, and leaves the rest.
    fn send(&mut self, to: Side, bytes: &[u8]) {
        let (line, peer) = (&mut self.lines[to as usize], &mut self.peers[to as usize]);
        assert!(!peer.dropped, "bytes for one who is gone");
        let waited = !line.tail.is_empty();
        let room = peer.appetite.saturating_sub(peer.got.len()).min(bytes.len());
        let at_once = if waited || self.rng.bool() { 0 } else { self.rng.usize(..=room) };
        peer.got.extend(&bytes[..at_once]);
        line.sent += at_once as u64;
        line.tail.extend(&bytes[at_once..]);
        if !waited {
            line.moved = self.now;
        }
        if to == Side::Upstream && !waited && at_once < bytes.len() {
            self.core.on_spilled(&bytes[..at_once], self.now);
        }
    }

    fn sample(&self, side: Side) -> Sample {
        let line = &self.lines[side as usize];
        let waiting = !line.tail.is_empty();
        Sample {
            sent: line.sent,
            unacknowledged: 0,
            in_flight: 0,
            waiting,
            stuck_since: if waiting { line.moved } else { Moment::NEVER },
            reading: self.may_read(side),
        }
    }

    fn obey(&mut self) -> bool {
        let mut any = false;
        while let Some(order) = self.core.poll_order(self.now) {
            any = true;
            match order {
                Order::Send { to, frame, .. } => self.send(to, &frame),
                Order::Push(message) => self.send(Side::Client, message.frame()),
                Order::Finish(side, how) => self.lines[side as usize].finish = Some(how),
                Order::Drop { side, .. } => {
                    self.peers[side as usize].dropped = true;
                    if side == Side::Upstream {
                        let line = &mut self.lines[side as usize];
                        self.core.on_unsent(&line.gone, &line.tail, self.now);
                        if self.held.is_some() {
                            (line.tail, line.gone) = (Vec::new(), Vec::new());
                        }
                    }
                }
                Order::Probe(side) => {
                    let (sample, across) = (self.sample(side), self.sample(side.other()));
                    self.core.on_probed(side, sample, across, self.now);
                }
                Order::Answered(..) | Order::Stays | Order::Keeps => {}
                Order::Flush(flush) => {
                    let tail = &mut self.lines[Side::Upstream as usize].tail;
                    if tail.is_empty() {
                        self.core.on_spilled(&[], self.now);
                    }
                    tail.extend(flush.bytes);
                }
                Order::HoldBegan(_) => self.held().away += 1,
                Order::HoldEnded { .. } => self.held().back += 1,
            }
        }
        any
    }

    /// What holds after every step.
    fn check(&mut self) {
        let end = self.core.end;
        if let (Some((first, _)), Some(end)) = (self.end, end) {
            assert_eq!(first, end, "a second end");
        }
        if let (None, Some(end)) = (self.end, end) {
            self.end = Some((end, self.now));
        }
    }

    /// What a side got, frame by frame, but for what the relay said itself; and whether a Close
    /// came, behind which there may be nothing.
    pub fn relayed_to(&self, side: Side) -> Vec<u8> {
        let got = [&self.peers[side as usize].got[..], &self.lines[side as usize].tail].concat();
        self.relayed(side, &got)
    }

    /// What of these bytes to a side the other side said.
    pub fn relayed(&self, side: Side, got: &[u8]) -> Vec<u8> {
        let (mut at, mut relayed, mut closed, mut is_open) = (0, Vec::new(), false, false);
        let is_ours = self.is_ours();
        while let Some((length, first, masked, payload)) = parse(&got[at..]) {
            assert!(!closed, "a frame behind a Close to the {side}");
            assert_eq!(masked, side == Side::Upstream, "a mask where it must be, nowhere else");
            closed |= first == 0x88;
            let is_pushed = side == Side::Client && payload.starts_with(PUSHED);
            assert!(!(is_pushed && is_open), "a message inside another");
            if first & 0x08 == 0 {
                is_open = first & 0x80 == 0;
            }
            if !is_pushed && first != 0x88 && !(first == 0x89 && is_ours(&payload)) {
                relayed.extend(&got[at..at + length]);
            }
            at += length;
        }
        assert!(!closed || at == got.len(), "bytes behind a Close to the {side}");
        relayed.extend(&got[at..]);
        relayed
    }

    /// What a side sent that may go across: nothing of it from a fault or a Close on.
    pub fn to_relay_from(&self, side: Side) -> Vec<u8> {
        let peer = &self.peers[side as usize];
        let (mut at, mut plain) = (0, Vec::new());
        for (end, kind) in &peer.frames {
            match kind {
                Kind::Plain => plain.extend(&peer.sent[at..*end]),
                Kind::Answer => {}
                Kind::Close | Kind::Bad => return plain,
            }
            at = *end;
        }
        // A frame it broke off in.
        plain.extend(&peer.sent[at..]);
        plain
    }
}

pub const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_tests_own_frames_are_read_as_they_are_written() {
    let mut rng = Rng::with_seed(1);
    for (side, length) in [(Side::Client, 0), (Side::Upstream, 126), (Side::Client, 70_000)] {
        let payload = vec![b'x'; length];
        let bytes = frame(&mut rng, side, 0x82, &payload);
        let whole = (bytes.len(), 0x82, side == Side::Client, payload);
        assert_eq!(parse(&bytes), Some(whole));
        assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
    }
}
