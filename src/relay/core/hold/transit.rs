//! Where the client's messages are between the client and an upstream, so that those of which
//! nothing was sent can be taken back when it is lost.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::wire::frame::{Allowed, FrameEvent, Opcode, Tracker};

/// What was handed to the upstream's transport, and where it stopped taking it.
#[derive(Debug)]
pub(super) struct Transit {
    allowed: Allowed,
    /// Where the client's direction stood before what was sent upstream last.
    before: Tracker,
    /// What could not be sent at once, until all was. Boxed: an upstream that keeps up has none.
    stuck: Option<Box<Stuck>>,
    /// When the oldest of the kept messages was read that went to the upstream last, until all
    /// were sent.
    flushed_oldest: Moment,
    /// The client's messages that went to an upstream, and how many of them to earlier ones.
    crossed: u64,
    crossed_before: u64,
    /// While its upstream goes: whether a message was being left out before. Until it is known
    /// what of the client's messages was not sent.
    recovers: Option<bool>,
}

/// The front of what could not be sent at once.
#[derive(Debug)]
struct Stuck {
    /// Where the client's direction stood there.
    tracker: Tracker,
    /// Since when.
    at: Moment,
}

/// What of the client's messages was not sent to an upstream that is lost.
pub(super) enum Recovered {
    /// All was sent; a message may have been cut by that since, as it was not left out before.
    AllSent {
        /// Whether the rest of one was left out before already.
        discarding: bool,
    },
    /// These were not.
    Unsent(Unsent),
}

/// Whole messages found in what was not sent, and perhaps the beginning of one more.
pub(super) struct Unsent {
    /// They, but for those that will be replayed.
    pub(super) bytes: Vec<u8>,
    /// So many whole ones are in `bytes`.
    pub(super) messages: u64,
    /// When the oldest of them was read.
    pub(super) oldest: Moment,
    /// Whether the rest of a message that comes is to be left out.
    pub(super) discards: bool,
    /// A message was begun on the wire.
    pub(super) cut: bool,
}

impl Transit {
    pub(super) fn new(allowed: Allowed) -> Transit {
        Transit {
            allowed,
            before: Tracker::new(Side::Client, allowed),
            stuck: None,
            flushed_oldest: Moment::NEVER,
            crossed: 0,
            crossed_before: 0,
            recovers: None,
        }
    }

    /// What the negotiated extensions allow.
    pub(super) fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// Bytes are about to go upstream. `None` where what goes there is between two messages,
    /// wherever the client stands.
    pub(super) fn on_sending(&mut self, client: Option<&Tracker>) {
        self.before = client.cloned().unwrap_or_else(|| Tracker::new(Side::Client, self.allowed));
    }

    /// Kept messages are about to go, the oldest of which was read then.
    pub(super) fn on_flushing(&mut self, oldest: Moment, messages: u64) {
        self.on_sending(None);
        self.flushed_oldest = oldest;
        self.crossed += messages;
    }

    /// All of them were sent.
    pub(super) fn on_flushed(&mut self) {
        self.stuck = None;
        self.flushed_oldest = Moment::NEVER;
    }

    /// Messages went across whole.
    pub(super) fn on_crossed(&mut self, messages: u32) {
        self.crossed += u64::from(messages);
    }

    /// Of what went last only `sent` could be sent at once.
    pub(super) fn on_spilled(&mut self, sent: &[u8], now: Moment) {
        let mut tracker = self.before.clone();
        follow(&mut tracker, sent);
        self.stuck = Some(Box::new(Stuck { tracker, at: now }));
    }

    /// The session parts from its upstream; `discarding` where a message was being left out.
    pub(super) fn on_parting(&mut self, discarding: bool) {
        self.recovers = Some(discarding);
    }

    /// Another upstream came.
    pub(super) fn on_attached(&mut self) {
        self.crossed_before = self.crossed;
        self.stuck = None;
        self.recovers = None;
    }

    /// Of what waited for the upstream `written` was sent, and `unsent` will not be. The first
    /// `recorded` messages of the session are replayed to the next. Told once.
    pub(super) fn recover(
        &mut self,
        written: &[u8],
        unsent: &[u8],
        recorded: u64,
    ) -> Option<Recovered> {
        let discarding = self.recovers.take()?;
        if unsent.is_empty() {
            return Some(Recovered::AllSent { discarding });
        }
        let (mut tracker, at) = match self.stuck.take() {
            Some(stuck) => (stuck.tracker, stuck.at),
            None => (Tracker::new(Side::Client, self.allowed), Moment::NEVER),
        };
        follow(&mut tracker, written);
        let Found { mut bytes, ends, open, cut } = find(tracker, unsent);
        let whole = ends.len() as u64;
        // The last of them are this upstream's own, any before those were replayed to it.
        let own = whole.min(self.crossed - self.crossed_before);
        let recorded = recorded.saturating_sub(self.crossed - own).min(own);
        let again = (whole - own + recorded) as usize;
        if again > 0 {
            bytes.drain(..ends[again - 1]);
        }
        // It goes across anew, and is counted when it does.
        self.crossed -= own - recorded;
        let oldest = at.min(self.flushed_oldest);
        let (messages, discards) = (whole - again as u64, discarding || open);
        Some(Recovered::Unsent(Unsent { bytes, messages, oldest, discards, cut }))
    }
}

/// Messages in what was not sent.
struct Found {
    bytes: Vec<u8>,
    /// Where each whole message ends.
    ends: Vec<usize>,
    /// The message that was begun on the wire does not end in it.
    open: bool,
    /// A message was begun on the wire.
    cut: bool,
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
            Some(FrameEvent::Header { .. }) => {}
            Some(FrameEvent::End) => {
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
