//! Taps: the frames of chosen sessions, kept for somebody who watches them.
//!
//! A tap is read again and again, and ends when it was not read for a while. What its sessions
//! record meanwhile waits in a ring of their worker; a frame that finds it full is counted and
//! dropped, so that a tap costs the sessions it is for a little, and others nothing.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::base::side::Side;
use crate::wire::frame::Opcode;

use super::facts::Selector;

/// Frames of a tap that wait on one worker to be read.
pub const TAP_FRAMES_MAX: usize = 1_024;

/// Bytes of their payloads together; a frame that finds no room is shown without its payload.
pub const TAP_PAYLOADS_BYTES_MAX: usize = 256 << 10;

/// Sessions of one worker that a tap is on.
pub const TAP_SESSIONS_MAX: usize = 1_000;

/// How long a tap lives that is not read.
pub const TAP_KEPT_FOR: Duration = Duration::from_secs(10);

/// Who sends a frame, or takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameParty {
    /// The client.
    Client,
    /// The upstream.
    Upstream,
    /// We: a ping of ours and its answer, a Close, a pushed message, and what is not passed on.
    Proxy,
}

impl From<Side> for FrameParty {
    fn from(side: Side) -> FrameParty {
        match side {
            Side::Client => FrameParty::Client,
            Side::Upstream => FrameParty::Upstream,
        }
    }
}

impl Label for FrameParty {
    fn label(&self) -> &'static str {
        match self {
            FrameParty::Client => "client",
            FrameParty::Upstream => "upstream",
            FrameParty::Proxy => "tidegate",
        }
    }
}

/// A frame that passed.
#[derive(Clone, Debug)]
pub struct TapFrame {
    /// When its header was there.
    pub at: Moment,
    /// How long after the one before it in its session, either way; none of the first.
    pub after: Option<Duration>,
    /// Who sent it.
    pub from: FrameParty,
    /// Who gets it.
    pub to: FrameParty,
    /// What it is.
    pub opcode: Opcode,
    /// Whether it is the last of its message.
    pub fin: bool,
    /// Whether RSV1 is set: the message is compressed, with permessage-deflate.
    pub rsv1: bool,
    /// Bytes of its payload, as announced.
    pub length: u64,
    /// The first of them, unmasked; as many as the tap asks for.
    pub payload: Vec<u8>,
}

/// What is watched.
#[derive(Clone, Debug)]
pub struct TapOrder {
    /// By which the tap is found again.
    pub key: u64,
    /// Which sessions, those that open later included.
    pub selector: Selector,
    /// Bytes of each payload that are kept.
    pub payload_bytes: usize,
}

/// What a tap has come upon since it was read last.
#[derive(Debug, Default)]
pub struct TapReading {
    /// The frames, those of a worker in their order.
    pub frames: Vec<(SessionId, TapFrame)>,
    /// Frames after those for which there was no room.
    pub lost: u64,
    /// Sessions that it is on.
    pub sessions: usize,
    /// Sessions that it is for, but beyond as many as it may be on.
    pub left_out: usize,
    /// Whether it was set by this reading.
    pub is_new: bool,
}

impl TapReading {
    /// Of two workers.
    pub fn plus(mut self, other: TapReading) -> TapReading {
        self.frames.extend(other.frames);
        TapReading {
            frames: self.frames,
            lost: self.lost + other.lost,
            sessions: self.sessions + other.sessions,
            left_out: self.left_out + other.left_out,
            is_new: self.is_new || other.is_new,
        }
    }
}

/// A tap on one worker: what its sessions have recorded.
#[derive(Debug)]
pub(super) struct Tap {
    payload_bytes: usize,
    ring: RefCell<TapRing>,
    /// Those that it is on.
    sessions: RefCell<HashSet<SessionId>>,
}

#[derive(Debug, Default)]
struct TapRing {
    frames: Vec<(SessionId, TapFrame)>,
    payload_bytes: usize,
    lost: u64,
}

impl Tap {
    pub(super) fn new(payload_bytes: usize) -> Rc<Tap> {
        let (ring, sessions) = Default::default();
        Rc::new(Tap { payload_bytes, ring, sessions })
    }

    /// How many sessions it is on.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.borrow().len()
    }

    pub(super) fn is_on(&self, id: SessionId) -> bool {
        self.sessions.borrow().contains(&id)
    }

    /// Puts it on a session; `None` where it is on as many as it may be.
    pub(super) fn put_on(self: &Rc<Tap>, id: SessionId) -> Option<TapTicket> {
        let mut sessions = self.sessions.borrow_mut();
        let has_room = sessions.len() < TAP_SESSIONS_MAX;
        has_room.then(|| {
            sessions.insert(id);
            TapTicket { tap: Rc::clone(self), id }
        })
    }

    /// Takes it off a session, which records nothing more for it; whether it was on it.
    pub(super) fn take_off(&self, id: SessionId) -> bool {
        self.sessions.borrow_mut().remove(&id)
    }

    /// What was recorded since this was asked last.
    pub(super) fn take(&self) -> (Vec<(SessionId, TapFrame)>, u64) {
        let TapRing { frames, lost, .. } = self.ring.take();
        (frames, lost)
    }

    /// Its sessions record nothing more.
    pub(super) fn end(&self) {
        self.sessions.take();
        self.ring.take();
    }

    fn record(&self, id: SessionId, frame: &TapFrame) {
        let mut ring = self.ring.borrow_mut();
        if ring.frames.len() >= TAP_FRAMES_MAX {
            ring.lost += 1;
            return;
        }
        let kept = frame.payload.len().min(self.payload_bytes);
        let has_room = ring.payload_bytes + kept <= TAP_PAYLOADS_BYTES_MAX;
        let payload = if has_room { frame.payload[..kept].to_vec() } else { Vec::new() };
        ring.payload_bytes += payload.len();
        ring.frames.push((id, TapFrame { payload, ..*frame }));
    }
}

/// What a session needs to be tapped.
#[derive(Clone, Debug)]
pub struct TapTicket {
    tap: Rc<Tap>,
    id: SessionId,
}

impl TapTicket {
    /// The session is tapped from now on.
    pub fn join(self) -> TapLink {
        TapLink(self)
    }

    /// Whether the other is one of the same tap.
    pub(super) fn is_like(&self, other: &TapTicket) -> bool {
        Rc::ptr_eq(&self.tap, &other.tap)
    }
}

/// A tap that is on a session, until it is taken off.
#[derive(Debug)]
pub struct TapLink(TapTicket);

impl TapLink {
    /// Bytes of each payload that it wants; none while it has no room for a frame.
    pub fn payload_bytes(&self) -> usize {
        let has_room = self.0.tap.ring.borrow().frames.len() < TAP_FRAMES_MAX;
        if has_room { self.0.tap.payload_bytes } else { 0 }
    }

    /// Whether the ticket is one of the same tap.
    pub fn is_of(&self, ticket: &TapTicket) -> bool {
        self.0.is_like(ticket)
    }

    /// Whether it is not on the session any more: it has ended, or the session is none of those
    /// that it is for.
    pub fn is_off(&self) -> bool {
        !self.0.tap.is_on(self.0.id)
    }

    /// A frame passed in the session.
    pub fn record(&self, frame: &TapFrame) {
        self.0.tap.record(self.0.id, frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: Vec<u8>) -> TapFrame {
        let (from, to) = (FrameParty::Client, FrameParty::Upstream);
        let (at, length) = (Moment::default(), payload.len() as u64);
        let (after, opcode, fin, rsv1) = (None, Opcode::Text, true, false);
        TapFrame { at, after, from, to, opcode, fin, rsv1, length, payload }
    }

    #[test]
    fn a_full_ring_counts_what_it_drops_and_is_empty_once_it_was_read() {
        let tap = Tap::new(4);
        let id = SessionId::new(0, 1, 2);
        let link = tap.put_on(id).unwrap().join();
        (0..TAP_FRAMES_MAX + 7).for_each(|_| link.record(&frame(b"hello".to_vec())));
        let (frames, lost) = tap.take();
        assert_eq!((frames.len(), lost, tap.sessions()), (TAP_FRAMES_MAX, 7, 1));
        assert!(frames.iter().all(|(of, frame)| *of == id && frame.payload == b"hell"));
        assert_eq!((tap.take().0.len(), link.is_off()), (0, false));
        tap.end();
        assert_eq!((link.is_off(), tap.sessions()), (true, 0));
    }

    #[test]
    fn payloads_have_one_bound_together() {
        let tap = Tap::new(4_096);
        let link = tap.put_on(SessionId::new(0, 1, 2)).unwrap().join();
        (0..100).for_each(|_| link.record(&frame(vec![7; 4_096])));
        let (frames, lost) = tap.take();
        let bytes: usize = frames.iter().map(|(_, frame)| frame.payload.len()).sum();
        assert_eq!((frames.len(), bytes, lost), (100, TAP_PAYLOADS_BYTES_MAX, 0));
    }
}
