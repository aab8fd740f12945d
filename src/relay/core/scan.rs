//! Headers judged, payload untouched (RFC 6455 §5): one run over bytes that were presented.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan::Validation;
use crate::end::End;
use crate::wire::control::{close_code_is_valid, parse_close};
use crate::wire::frame::{
    CONTROL_BYTES_MAX, FrameEvent, FrameHeader, Opcode, Tracker, Violation, unmask,
};

use super::Core;
use super::lane::Lane;
use super::side_state::{CloseState, RecvState};
use super::throttle::{self, Admission};

/// What becomes of bytes that were presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::relay) struct Passage {
    /// So many go across.
    pub(in crate::relay) forward: usize,
    /// So many are done with, those included.
    pub(in crate::relay) used: usize,
    /// The rest is to be presented again: at once when set, after orders were carried out; else
    /// with more bytes behind it.
    pub(in crate::relay) again: bool,
    /// The stream's end follows at once behind what goes across.
    pub(in crate::relay) last: bool,
    /// Data messages that became complete.
    pub(in crate::relay) messages: u32,
    /// Frames against RFC 6455.
    pub(in crate::relay) violations: u32,
}

/// What a frame's header, and the payload of a control frame, lead to.
enum Verdict {
    /// Its header goes on, which is so long, and then its payload.
    Pass(usize),
    /// It cannot be told yet.
    Wait,
    /// So many bytes, a frame, stay here.
    Stay(usize),
    /// So many bytes, a Close, go across, and nothing after them.
    PassClose(usize),
    /// Neither it nor anything after it goes across.
    Refuse(End),
}

/// One run over presented bytes, in one lane.
pub(super) struct Scan<'a> {
    core: &'a mut Core,
    from: Side,
    lane: Lane,
    now: Moment,
    /// What became of the bytes so far.
    pub(super) passage: Passage,
}

impl<'a> Scan<'a> {
    /// A run that has seen nothing.
    pub(super) fn new(core: &'a mut Core, from: Side, lane: Lane, now: Moment) -> Scan<'a> {
        Scan { core, from, lane, now, passage: Passage::default() }
    }

    /// Goes as far as it can.
    pub(super) fn run(&mut self, bytes: &[u8]) {
        let mut at = 0;
        let again = loop {
            let rest = &bytes[at..];
            if !self.tracker().at_frame_boundary() {
                let control = self.tracker().frame().is_some_and(Opcode::is_control);
                let (used, admission) = self.payload(rest);
                let ends = self.tracker().at_frame_boundary();
                if control && self.lane == Lane::Keep {
                    return self.settle(at, at + used, used > 0 || ends);
                }
                at += used;
                if admission == Admission::TooFast {
                    return self.refuse(End::TooFast, at, bytes.len());
                }
                if !ends {
                    break false;
                }
                if self.core.side(self.from).lane != self.lane {
                    break true;
                }
                continue;
            }
            if self.core.wants_boundary_to(self.from.other()) {
                break true;
            }
            if rest.is_empty() || !self.core.wants(self.from) {
                break false;
            }
            let boundary = self.tracker().clone();
            let verdict = self.frame(rest);
            if let Verdict::Pass(header) = verdict {
                let control = self.tracker().frame().is_some_and(Opcode::is_control);
                if control && self.lane == Lane::Keep {
                    return self.settle(at, at + header, true);
                }
                at += header;
                continue;
            }
            // What does not go on, or goes on whole, leaves the boundary where it was.
            self.core.side_mut(self.from).tracker = boundary;
            return match verdict {
                Verdict::Pass(_) | Verdict::Wait => self.settle(at, at, false),
                Verdict::Stay(frame) => self.settle(at, at + frame, true),
                Verdict::PassClose(frame) => self.settle(at + frame, at + frame, true),
                Verdict::Refuse(end) => self.refuse(end, at, bytes.len()),
            };
        };
        self.settle(at, at, again);
    }

    /// Nothing behind `forward` goes on, of all bytes that are there and of those to come.
    fn refuse(&mut self, end: End, forward: usize, all: usize) {
        self.core.side_mut(self.from).recv = RecvState::Faulted;
        self.core.begin_end(end, self.now);
        self.core.refresh();
        self.settle(forward, all, false);
    }

    /// Bytes up to `forward` go on, and those up to `used` are done with.
    fn settle(&mut self, forward: usize, used: usize, again: bool) {
        let forward = if self.lane.carries() { forward } else { 0 };
        self.passage = Passage { forward, used, again, ..self.passage };
    }

    fn tracker(&self) -> &Tracker {
        &self.core.side(self.from).tracker
    }

    /// Payload, up to the frame's end: how much there is, and whether there is too much of it.
    fn payload(&mut self, rest: &[u8]) -> (usize, Admission) {
        let tracker = &mut self.core.side_mut(self.from).tracker;
        let data = tracker.frame().is_some_and(|opcode| !opcode.is_control());
        let step = tracker.step(rest);
        if data {
            let whole = step.event.is_some() && tracker.at_message_boundary();
            self.core.lifetime.on_data(self.now);
            if whole {
                self.on_message();
            }
        }
        if data && self.from == Side::Client && self.core.end.is_none() {
            let admission = self.core.throttle.on_payload(step.used, &self.core.rules, self.now);
            return (step.used, admission);
        }
        (step.used, Admission::Pass)
    }

    /// A data message is whole.
    fn on_message(&mut self) {
        match (self.lane, self.from, &mut self.core.hold) {
            (Lane::Forward | Lane::Keep, ..) => self.passage.messages += 1,
            (Lane::Discard, _, Some(hold)) => hold.on_discarded(),
            (Lane::Swallow, Side::Upstream, Some(hold)) => hold.on_swallowed(),
            _ => {}
        }
        if !self.lane.carries() {
            self.core.refresh();
        }
    }

    /// The frame that begins with `rest`.
    fn frame(&mut self, rest: &[u8]) -> Verdict {
        let step = self.core.side_mut(self.from).tracker.step(rest);
        let Some(FrameEvent::Header { header, violation }) = step.event else {
            return Verdict::Wait;
        };
        if let Some(what) = violation
            && let Some(end) = self.violated(what)
        {
            return Verdict::Refuse(end);
        }
        if header.opcode.is_control() {
            return self.control(&header, step.used, &rest[step.used..]);
        }
        if let Some(limit) = throttle::too_big(&header, &self.core.rules) {
            return Verdict::Refuse(End::TooBig { by: self.from, limit });
        }
        if self.from == Side::Client && self.core.end.is_none() {
            match self.core.throttle.admit(&header, step.used, &self.core.rules, self.now) {
                Admission::Pass => {}
                Admission::Pause => return Verdict::Wait,
                Admission::TooFast => return Verdict::Refuse(End::TooFast),
            }
        }
        self.core.lifetime.on_data(self.now);
        Verdict::Pass(step.used)
    }

    /// A control frame, which is opened (§5.5). A longer one is there only where violations pass,
    /// and then as any frame.
    fn control(&mut self, header: &FrameHeader, head: usize, behind: &[u8]) -> Verdict {
        if header.length > CONTROL_BYTES_MAX as u64 {
            return Verdict::Pass(head);
        }
        let length = header.length as usize;
        let Some(behind) = behind.get(..length) else { return Verdict::Wait };
        let counts = self.from == Side::Client && header.opcode != Opcode::Close;
        if counts && self.core.end.is_none() {
            let (throttle, rules) = (&mut self.core.throttle, &self.core.rules);
            if throttle.on_control(head + length, rules, self.now) == Admission::TooFast {
                return Verdict::Refuse(End::TooFast);
            }
        }
        let mut opened = [0; CONTROL_BYTES_MAX];
        let payload = &mut opened[..length];
        payload.copy_from_slice(behind);
        unmask(payload, header.mask.unwrap_or_default(), 0);
        match header.opcode {
            Opcode::Close => return self.close(payload, head + length),
            Opcode::Ping => self.core.on_ping(self.from, payload),
            Opcode::Pong if self.core.on_pong(self.from, payload, self.now) => {
                return Verdict::Stay(head + length);
            }
            _ => {}
        }
        match self.lane {
            Lane::Forward => Verdict::Pass(head),
            Lane::Keep | Lane::Discard | Lane::Swallow => Verdict::Stay(head + length),
        }
    }

    /// A whole Close (§5.5.1), `frame` bytes long.
    fn close(&mut self, payload: &[u8], frame: usize) -> Verdict {
        let (from, to) = (self.from, self.from.other());
        let (code, _) = parse_close(payload);
        // The reason is text, and text is not checked here.
        let wrong = payload.len() == 1 || payload.len() > 1 && !close_code_is_valid(code);
        if wrong && let Some(end) = self.violated(Violation::ClosePayload) {
            return Verdict::Refuse(end);
        }
        let side = self.core.side_mut(from);
        side.recv = RecvState::Closed;
        side.stats.on_close(code);
        if from == Side::Upstream && self.core.is_going(code, self.now) {
            self.core.refresh();
            return Verdict::Stay(frame);
        }
        self.core.begin_end(End::Closed { by: from, code }, self.now);
        // Where we closed first, the side across gets our Close, not this answer to it; and where
        // this answers a Close of ours, the side across gets its own code.
        let first = matches!(self.core.end, Some(End::Closed { by, .. }) if by == from);
        let said_move = self.core.hold.as_ref().is_some_and(|hold| hold.said_move());
        let answers = matches!(self.core.end, Some(End::Closed { by, .. }) if by == to)
            && !(from == Side::Upstream && said_move);
        let across = self.core.side_mut(to);
        let verdict =
            if (first || answers) && across.close == CloseState::Open && self.lane == Lane::Forward
            {
                across.stats.on_close_sent(code);
                self.passage.last = self.core.is_last_to(to);
                self.core.go(to, CloseState::Sent, self.now);
                Verdict::PassClose(frame)
            } else {
                across.owes_close |= first;
                Verdict::Stay(frame)
            };
        self.core.refresh();
        verdict
    }

    /// Counts a violation, as far as the rules care; the end it leads to, if they are strict.
    fn violated(&mut self, what: Violation) -> Option<End> {
        let validation = self.core.rules.validation;
        if validation == Validation::Off {
            return None;
        }
        let stats = &mut self.core.side_mut(self.from).stats;
        stats.violations = stats.violations.saturating_add(1);
        stats.violation.get_or_insert(what);
        self.passage.violations += 1;
        (validation == Validation::Strict).then_some(End::Violation { by: self.from, what })
    }

    /// What follows a Close or a fault is dropped; after a Close it is one more violation.
    pub(super) fn after_close(&mut self, bytes: &[u8]) {
        self.passage.used = bytes.len();
        let side = self.core.side_mut(self.from);
        if side.recv == RecvState::Closed && !bytes.is_empty() {
            side.recv = RecvState::Faulted;
            // The end is made already: there is nothing more to refuse.
            let _ = self.violated(Violation::AfterClose);
        }
    }
}
