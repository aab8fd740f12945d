//! Bytes from one side to the other: headers judged, payload untouched (RFC 6455 §5).

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::config::plan::Validation;
use crate::end::{End, SizeLimit};
use crate::wire::control::{close_code_is_valid, parse_close};
use crate::wire::frame::{CONTROL_BYTES_MAX, Event, Header, Opcode, Violation, unmask};

use super::alive::PING_BYTES;
use super::closing::CloseState;
use super::{Core, RecvState};

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
    /// Data messages that became complete.
    pub(in crate::relay) messages: u32,
    /// Frames against RFC 6455.
    pub(in crate::relay) violations: u32,
}

/// What a frame's header, and the payload of some, lead to.
enum Verdict {
    /// Its header goes across, which is so long.
    Pass(usize),
    /// It cannot be told yet.
    Wait,
    /// Its header, which is so long, does not go across, and neither will its payload.
    Omit(usize),
    /// So many bytes, a frame, stay here.
    Swallow(usize),
    /// So many bytes, a Close, go across, and nothing after them.
    PassClose(usize),
    /// Neither it nor anything after it goes across.
    Refuse(End),
}

impl Core {
    /// Decides what becomes of `bytes`, the next that `from` sent.
    pub(in crate::relay) fn pass(&mut self, from: Side, bytes: &[u8], now: Moment) -> Passage {
        let crosses = self.crosses(from);
        let keeps = from == Side::Client && self.keeps();
        if from == Side::Client && crosses {
            self.mark();
        }
        let room = self.room_to_keep(from, bytes.len());
        let mut scan = Scan { core: self, from, now, passage: Passage::default() };
        scan.run(&bytes[..room]);
        let passage = scan.passage;
        if crosses {
            let stats = &mut self.half(from).stats;
            stats.bytes += passage.forward as u64;
            stats.messages += u64::from(passage.messages);
            self.crossed(from, &bytes[..passage.forward], passage.messages);
            return passage;
        }
        if keeps {
            self.keep(bytes, &passage, room < bytes.len() && !passage.again, now);
        }
        // Where the session ended in them, the others need no room any more.
        let again = passage.again || room < bytes.len() && !self.keeps();
        Passage { forward: 0, messages: 0, again, ..passage }
    }
}

/// One run over presented bytes.
struct Scan<'a> {
    core: &'a mut Core,
    from: Side,
    now: Moment,
    passage: Passage,
}

impl Scan<'_> {
    fn run(&mut self, bytes: &[u8]) {
        let from = self.from;
        if self.core.at(from).heard != RecvState::Open {
            self.passage.used = bytes.len();
            return self.after_close(bytes);
        }
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if !self.core.at(from).tracker.at_frame_boundary() {
                let left_out = self.core.leaves_out(from);
                let used = self.payload(rest, left_out);
                if left_out {
                    return self.leave_out(at, used);
                }
                at += used;
                if self.core.at(from).tracker.at_frame_boundary() {
                    continue;
                }
                break;
            }
            if self.core.wants_boundary_to(from.other()) {
                self.passage.again = true;
                break;
            }
            if rest.is_empty() || !self.core.wants(from) {
                break;
            }
            let boundary = self.core.at(from).tracker.clone();
            let verdict = self.frame(rest);
            if let Verdict::Omit(header) = verdict {
                return self.leave_out(at, header);
            }
            let Verdict::Pass(header) = verdict else {
                // What does not go on, or goes on whole, leaves the boundary where it was.
                self.core.half(from).tracker = boundary;
                return self.settle(verdict, at, bytes.len());
            };
            at += header;
        }
        (self.passage.forward, self.passage.used) = (at, at);
    }

    /// So many bytes at `at` do not go across.
    fn leave_out(&mut self, at: usize, bytes: usize) {
        let again = bytes > 0 || self.core.at(self.from).tracker.at_frame_boundary();
        (self.passage.forward, self.passage.used, self.passage.again) = (at, at + bytes, again);
    }

    /// A frame at `at`, of `end` bytes there are, that does not simply pass.
    fn settle(&mut self, verdict: Verdict, at: usize, end: usize) {
        let (forward, used, again) = match verdict {
            Verdict::Pass(_) | Verdict::Omit(_) | Verdict::Wait => (at, at, false),
            Verdict::Swallow(frame) => (at, at + frame, true),
            Verdict::PassClose(frame) => (at + frame, at + frame, true),
            Verdict::Refuse(why) => {
                self.core.half(self.from).heard = RecvState::Faulted;
                self.core.begin_end(why, self.now);
                (at, end, false)
            }
        };
        (self.passage.forward, self.passage.used, self.passage.again) = (forward, used, again);
    }

    /// Payload, up to the frame's end.
    fn payload(&mut self, rest: &[u8], left_out: bool) -> usize {
        let tracker = &mut self.core.half(self.from).tracker;
        let data = tracker.frame().is_some_and(|opcode| !opcode.is_control());
        let step = tracker.step(rest);
        if data {
            let whole = step.event.is_some() && tracker.at_message_boundary();
            self.core.last_data = self.now;
            match whole && left_out {
                true => self.core.left_out(self.from, self.now),
                false => self.passage.messages += u32::from(whole),
            }
        }
        step.used
    }

    /// The frame that begins with `rest`.
    fn frame(&mut self, rest: &[u8]) -> Verdict {
        let step = self.core.half(self.from).tracker.step(rest);
        let Some(Event::Header { header, violation }) = step.event else { return Verdict::Wait };
        if let Some(what) = violation
            && let Some(end) = self.violated(what)
        {
            return Verdict::Refuse(end);
        }
        if header.opcode.is_control() {
            return self.control(&header, step.used, &rest[step.used..]);
        }
        self.core.last_data = self.now;
        match self.core.too_big(&header) {
            Some(limit) => Verdict::Refuse(End::TooBig { by: self.from, limit }),
            None => self.pass_header(step.used),
        }
    }

    fn pass_header(&self, head: usize) -> Verdict {
        match self.core.leaves_out(self.from) {
            true => Verdict::Omit(head),
            false => Verdict::Pass(head),
        }
    }

    /// A control frame: a Close and a Pong of ours are opened (§5.5).
    fn control(&mut self, header: &Header, head: usize, behind: &[u8]) -> Verdict {
        let close = header.opcode == Opcode::Close;
        let ours = header.opcode == Opcode::Pong && header.length == PING_BYTES as u64;
        // A longer Close passes only where violations do, and then as any frame.
        let opens = close || ours || self.core.opens_control();
        if !opens || header.length > CONTROL_BYTES_MAX as u64 {
            return self.pass_header(head);
        }
        let length = header.length as usize;
        let Some(behind) = behind.get(..length) else { return Verdict::Wait };
        let mut opened = [0; CONTROL_BYTES_MAX];
        let payload = &mut opened[..length];
        payload.copy_from_slice(behind);
        unmask(payload, header.mask.unwrap_or_default(), 0);
        if close {
            return self.close(payload, head + length);
        }
        let swallow = ours && self.core.is_answer(self.from, payload, self.now)
            || !self.core.control_crosses(self.from, header.opcode, payload);
        if swallow { Verdict::Swallow(head + length) } else { Verdict::Pass(head) }
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
        let half = self.core.half(from);
        half.heard = RecvState::Closed;
        half.stats.close = Some(code);
        if from == Side::Upstream && self.core.is_leave(code, self.now) {
            return Verdict::Swallow(frame);
        }
        let crosses = from == Side::Upstream || self.core.passes();
        if !crosses {
            self.core.owe_close();
        }
        self.core.begin_end(End::Closed { by: from, code }, self.now);
        // Where we closed first, the side across gets our Close, not this answer to it.
        let ours = !matches!(self.core.end, Some(End::Closed { .. }));
        if ours || !crosses || self.core.at(to).way != CloseState::Open {
            return Verdict::Swallow(frame);
        }
        self.core.was_told(to, self.now);
        Verdict::PassClose(frame)
    }

    /// Counts a violation, as far as the rules care; the end it leads to, if they are strict.
    fn violated(&mut self, what: Violation) -> Option<End> {
        let validation = self.core.rules.validation;
        if validation == Validation::Off {
            return None;
        }
        let stats = &mut self.core.half(self.from).stats;
        stats.violations = stats.violations.saturating_add(1);
        stats.violation.get_or_insert(what);
        self.passage.violations += 1;
        (validation == Validation::Strict).then_some(End::Violation { by: self.from, what })
    }

    /// What follows a Close or a fault is dropped; after a Close it is one more violation.
    fn after_close(&mut self, bytes: &[u8]) {
        let half = self.core.half(self.from);
        if half.heard == RecvState::Closed && !bytes.is_empty() {
            half.heard = RecvState::Faulted;
            // The end is made already: there is nothing more to refuse.
            let _ = self.violated(Violation::AfterClose);
        }
    }
}

impl Core {
    fn too_big(&self, header: &Header) -> Option<SizeLimit> {
        let over = |most: Option<u64>, bytes: u64| most.is_some_and(|most| bytes > most);
        if over(self.rules.frame_bytes_max, header.length) {
            Some(SizeLimit::Frame)
        } else if over(self.rules.message_bytes_max, header.message_bytes) {
            Some(SizeLimit::Message)
        } else {
            None
        }
    }

    /// Whether something waits to be slipped in before the next frame to a side.
    fn wants_boundary_to(&self, side: Side) -> bool {
        match self.at(side).way {
            CloseState::Open => {
                let leaves = side == Side::Upstream && self.leaves_here();
                self.at(side).alive.wants_ping() || leaves || self.owes_answer(side)
            }
            CloseState::Pending => true,
            _ => false,
        }
    }
}
