//! What becomes of frames while a session's upstream is away, or is not the session's yet.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::{End, Loss};
use crate::wire::frame::{Event, Opcode, Tracker};

use super::Core;
use super::hold::Stage;
use super::pass::Passage;

/// Whole messages found in what was not sent, and perhaps the beginning of one more.
struct Found {
    bytes: Vec<u8>,
    /// Where each whole message ends.
    ends: Vec<usize>,
    /// The message that was begun on the wire does not end in it.
    open: bool,
    /// A message was begun on the wire.
    cut: bool,
}

impl Core {
    /// Whether the payload of the frame in progress is left out: it neither goes across nor is
    /// kept.
    pub(super) fn leaves_out(&self, from: Side) -> bool {
        let Some(hold) = &self.hold else { return false };
        let control = self.at(from).tracker.frame().is_some_and(Opcode::is_control);
        match from {
            Side::Client => hold.discard || control && hold.keeps(),
            Side::Upstream => self.is_swallowing(),
        }
    }

    /// A message that was left out is whole.
    pub(super) fn left_out(&mut self, from: Side, now: Moment) {
        match from {
            Side::Upstream => self.swallowed(now),
            Side::Client => {
                if let Some(hold) = &mut self.hold {
                    hold.discard = false;
                }
            }
        }
    }

    /// Whether a side's control frames are looked at whole, whatever they are.
    pub(super) fn opens_control(&self) -> bool {
        self.hold.is_some()
    }

    /// A control frame that is neither a Close nor an answer to us: whether it goes across.
    pub(super) fn control_crosses(&mut self, from: Side, opcode: Opcode, payload: &[u8]) -> bool {
        let crosses = self.crosses(from) && !self.leaves_out(from);
        let ended = self.end.is_some();
        let Some(hold) = &mut self.hold else { return true };
        match (from, opcode) {
            (Side::Client, Opcode::Ping) if crosses => hold.asked[0].pass(payload),
            (Side::Upstream, Opcode::Pong) if crosses => hold.asked[0].answered(payload),
            (_, Opcode::Ping) if !crosses && !ended => hold.asked[from as usize].take(payload),
            _ => {}
        }
        crosses
    }

    /// These bytes go across.
    pub(super) fn crossed(&mut self, from: Side, bytes: &[u8], messages: u32) {
        let seen = self.at(Side::Upstream).stats.messages;
        if from == Side::Client
            && let Some(hold) = &mut self.hold
        {
            hold.replay.record(bytes, seen);
            hold.crossed += u64::from(messages);
        }
    }

    /// The client's Close cannot go across: the upstream is owed one of ours instead.
    pub(super) fn owe_close(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.owes_close = true;
        }
    }

    /// So many of the client's next bytes can be looked at: all, unless they are to be kept and
    /// there is not room for them.
    pub(super) fn room_to_keep(&mut self, from: Side, bytes: usize) -> usize {
        let keeps = from == Side::Client && self.keeps();
        match &mut self.hold {
            Some(hold) if keeps && !hold.discard => hold.reserve(bytes),
            _ => bytes,
        }
    }

    /// Keeps what would have gone across.
    pub(super) fn keep(&mut self, bytes: &[u8], passage: &Passage, full: bool, now: Moment) {
        let keeps = self.keeps();
        let Some(hold) = &mut self.hold else { return };
        if !keeps {
            // The session has ended in these bytes.
            return hold.kept.release();
        }
        hold.kept.push(&bytes[..passage.forward], passage.messages, now);
        if full {
            hold.fill(now);
        }
        self.time_hold();
    }

    /// The client's bytes are about to go upstream, or a frame of ours is. What answers the Close
    /// of an upstream was marked when that came: it goes when the upstream is away already.
    pub(super) fn mark(&mut self) {
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.stage != Stage::Away) {
            let client = &self.sides[Side::Client as usize].tracker;
            hold.before = if hold.stands_apart() { hold.begin() } else { client.clone() };
        }
    }

    /// What goes to the upstream could not all be sent: `sent` of it was, and of what was not the
    /// whole messages are kept when the upstream is lost now.
    pub(in crate::relay) fn spilled(&mut self, sent: &[u8], now: Moment) {
        if let Some(hold) = &mut self.hold {
            hold.spilled = hold.before.clone();
            hold.spilled_at = now;
            follow(&mut hold.spilled, sent);
        }
    }

    /// The upstream is gone, or hears nothing more: of what waited for it `written` was sent, and
    /// `unsent` was not.
    pub(in crate::relay) fn unsent(&mut self, written: &[u8], unsent: &[u8], now: Moment) {
        let parts = matches!(self.stage(), Stage::Parting | Stage::Away);
        if !parts || self.end.is_some() {
            return;
        }
        let Some(hold) = &mut self.hold else { return };
        let Some(discarding) = hold.recovers.take() else { return };
        if unsent.is_empty() {
            hold.kept.release();
            hold.discarded += u64::from(hold.discard && !discarding);
        } else {
            let mut tracker = hold.spilled.clone();
            follow(&mut tracker, written);
            let found = find(tracker, unsent);
            hold.discard = discarding || found.open;
            hold.discarded += u64::from(found.cut);
            hold.take_back(found);
        }
        if hold.discard && hold.replay.is_partial() {
            // The session's opening was cut: no other upstream can be given it.
            return self.begin_end(End::Lost { side: Side::Upstream, how: Loss::Eof }, now);
        }
        hold.replay.forget_partial();
        self.time_hold();
    }
}

impl super::hold::Hold {
    /// Keeps messages that were on their way, before those that came after them; but for those
    /// that will be replayed.
    fn take_back(&mut self, found: Found) {
        let Found { mut bytes, ends, .. } = found;
        let whole = ends.len() as u64;
        // The last of them are this upstream's own, any before those were replayed to it.
        let own = whole.min(self.crossed - self.crossed_before);
        let recorded = self.replay.messages().saturating_sub(self.crossed - own).min(own);
        let again = (whole - own + recorded) as usize;
        if again > 0 {
            bytes.drain(..ends[again - 1]);
        }
        let left = whole - again as u64;
        // It goes across anew, and is counted when it does.
        self.crossed -= own - recorded;
        let oldest = self.spilled_at.min(self.flushed_oldest);
        self.kept.push_front(bytes, left, oldest);
    }
}

/// Follows bytes to their end.
fn follow(tracker: &mut Tracker, mut bytes: &[u8]) {
    loop {
        let step = tracker.step(bytes);
        bytes = &bytes[step.used..];
        if step.event.is_none() {
            return;
        }
    }
}

/// Finds the data messages that begin in `bytes`, which goes on where `tracker` stands.
fn find(mut tracker: Tracker, bytes: &[u8]) -> Found {
    let cut = tracker.is_inside_message();
    let mut found = Found { bytes: Vec::new(), ends: Vec::new(), open: cut, cut };
    // A frame whose header was begun on the wire belongs there with all of it.
    let mut begun = !tracker.at_frame_boundary();
    let mut at = 0;
    loop {
        let before = tracker.frame();
        let step = tracker.step(&bytes[at..]);
        let piece = &bytes[at..at + step.used];
        let control = before.or(tracker.frame()).is_none_or(Opcode::is_control);
        if !control && !found.open && !begun {
            found.bytes.extend_from_slice(piece);
        }
        at += step.used;
        match step.event {
            None => return found,
            Some(Event::Header { .. }) => {}
            Some(Event::End) => {
                begun = false;
                if !control && tracker.at_message_boundary() {
                    if !found.open {
                        found.ends.push(found.bytes.len());
                    }
                    found.open = false;
                }
            }
        }
    }
}
