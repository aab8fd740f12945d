//! Bytes from one side to the other, and what we have to say to a side between its frames.

use std::sync::Arc;

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::end::{End, Loss, Reason};
use crate::wire::control::{self, NO_CODE};

use super::Core;
use super::lane::Lane;
use super::next_step::{MOVED, words};
use super::order::Order;
use super::outbox::{Goodbye, Item};
use super::scan::{Passage, Scan};
use super::side_state::{CloseState, RecvState};

impl Core {
    /// Decides what becomes of `bytes`, the next that `from` sent.
    pub(in crate::relay) fn pass(&mut self, from: Side, bytes: &[u8], now: Moment) -> Passage {
        let side = self.side(from);
        let (lane, open) = (side.lane, side.recv == RecvState::Open);
        debug_assert_eq!(lane, self.lane_of(from), "a lane that was not recomputed");
        let mut room = bytes.len();
        let [client, _] = &mut self.sides;
        if from == Side::Client
            && let Some(hold) = &mut self.hold
        {
            match lane {
                Lane::Forward => hold.on_sending(&client.tracker),
                Lane::Keep => room = hold.reserve(room),
                Lane::Discard | Lane::Swallow => {}
            }
        }
        let mut scan = Scan::new(self, from, lane, now);
        match open {
            true => scan.run(&bytes[..room]),
            false => scan.after_close(bytes),
        }
        let passage = scan.passage;
        if open && self.tapped.is_on() {
            self.tapped.on_bytes(from, &bytes[..passage.used], passage.forward, now);
        }
        match lane {
            Lane::Forward => {
                self.on_crossed(from, &bytes[..passage.forward], passage.messages, now);
            }
            Lane::Keep => return self.keep(bytes, passage, room, now),
            Lane::Discard | Lane::Swallow => {}
        }
        passage
    }

    fn on_crossed(&mut self, from: Side, bytes: &[u8], messages: u32, now: Moment) {
        let stats = &mut self.side_mut(from).stats;
        stats.bytes += bytes.len() as u64;
        stats.messages += u64::from(messages);
        let seen = self.side(Side::Upstream).stats.messages;
        let Some(hold) = &mut self.hold else { return };
        if messages > 0 {
            hold.on_messages(from, messages, now);
        }
        if from == Side::Client {
            hold.on_crossed(bytes, messages, seen);
        }
    }

    /// What went to the upstream could not all be sent: `sent` of it was, and of what was not the
    /// whole messages are kept when the upstream is lost now.
    pub(in crate::relay) fn on_spilled(&mut self, sent: &[u8], now: Moment) {
        if let Some(hold) = &mut self.hold {
            hold.on_spilled(sent, now);
        }
    }

    /// All that went to a side was taken by its transport.
    pub(in crate::relay) fn on_flushed(&mut self, to: Side) {
        self.side_mut(to).outbox.on_flushed();
        if to == Side::Client {
            self.pushes.on_flushed();
        }
        if to == Side::Upstream {
            self.hold.iter_mut().for_each(|hold| hold.on_flushed());
        }
    }

    /// The upstream is gone, or takes nothing more: of what waited for it `written` was sent, and
    /// `unsent` was not.
    pub(in crate::relay) fn on_unsent(&mut self, written: &[u8], unsent: &[u8], now: Moment) {
        let Some(hold) = self.hold.as_mut().filter(|_| self.end.is_none()) else { return };
        match hold.on_unsent(written, unsent) {
            Some((messages, bytes)) => {
                // They go across anew, and are counted when they do.
                let stats = &mut self.side_mut(Side::Client).stats;
                stats.messages = stats.messages.saturating_sub(messages);
                stats.bytes = stats.bytes.saturating_sub(bytes);
            }
            None => {
                self.begin_end(End::Lost { side: Side::Upstream, how: Loss::Eof }, now);
            }
        }
        self.refresh();
    }

    /// A ping came from a side: it passes, or we answer it.
    pub(super) fn on_ping(&mut self, from: Side, payload: &[u8]) {
        let (across, answers) = (from.other(), self.answers_for(from.other()));
        let (pings, crosses) = (self.side(across).liveness.pings(), self.crosses(from));
        let asked = self.side_mut(from).outbox.asked();
        if crosses {
            asked.on_passed(payload, pings);
        } else if answers {
            asked.on_kept(payload);
        }
    }

    /// A Pong came from a side; whether it is the answer to a ping of ours, and stays here.
    pub(super) fn on_pong(&mut self, from: Side, payload: &[u8], now: Moment) -> bool {
        let (secret, crosses) = (self.secret, self.crosses(from));
        let state = self.side_mut(from);
        let ours = state.liveness.on_pong(payload, secret, now);
        if let Some(took) = ours.and_then(|pong| pong.took) {
            state.stats.rtt.note(took);
        }
        if let (Some(pong), Side::Client) = (&ours, from) {
            self.pushes.on_pong(pong.number);
        }
        let asked = self.side_mut(from.other()).outbox.asked();
        match ours {
            Some(pong) => asked.on_later_answered(pong.number),
            None if crosses => asked.on_pong(payload),
            None => {}
        }
        ours.is_some()
    }

    /// Whether the client's messages are kept.
    pub(in crate::relay) fn keeps(&self) -> bool {
        self.end.is_none() && self.hold.as_ref().is_some_and(|hold| hold.keeps())
    }

    /// Keeps what would have gone across; there was `room` for so many of the bytes.
    fn keep(&mut self, bytes: &[u8], passage: Passage, room: usize, now: Moment) -> Passage {
        let (short, ended) = (room < bytes.len(), self.end.is_some());
        if let Some(hold) = &mut self.hold {
            match !hold.is_over() {
                true => {
                    let kept = &bytes[..passage.forward];
                    hold.keep(kept, passage.messages, short && !passage.again, now);
                }
                // The session has ended in these bytes, and has no upstream that could take them.
                false => hold.release(),
            }
        }
        self.refresh();
        // Where it ended, the others need no room any more.
        let again = passage.again || short && ended;
        Passage { forward: 0, messages: 0, again, ..passage }
    }

    /// Whether something waits to be slipped in before the next frame to a side.
    pub(super) fn wants_boundary_to(&self, side: Side) -> bool {
        self.next_item(side).is_some()
    }

    fn next_item(&self, side: Side) -> Option<Item> {
        let state = Some(self.side(side)).filter(|state| state.takes_frames())?;
        // A message is slipped in only where the other side stands between two.
        let apart = self.hold.as_ref().is_some_and(|hold| hold.stands_apart(side));
        let between = apart || self.side(side.other()).tracker.at_message_boundary();
        let said = state.outbox.next(between);
        if side == Side::Upstream {
            return said;
        }
        let push = || (self.pushes.wants_place() && between).then_some(Item::Push);
        match said {
            // What waits and has its place now goes before it: nothing can behind it.
            Some(Item::Close(Goodbye::End)) => push().or(said),
            Some(_) => said,
            None if self.pushes.wants_ping() => Some(Item::Ping),
            None => push(),
        }
    }

    /// What is slipped in at this boundary.
    pub(super) fn outbox_order(&mut self, to: Side, now: Moment) -> Option<Order> {
        let item = match self.side(to).close {
            // It closed first, at a boundary, and was not told.
            CloseState::Dropping { .. } => self.side(to).outbox.next(true)?,
            _ if self.at_boundary_to(to) => self.next_item(to)?,
            _ => return None,
        };
        if to == Side::Upstream
            && let Some(hold) = &mut self.hold
        {
            if item == Item::Close(Goodbye::Move) && hold.listen(now) {
                self.sides[to as usize].outbox.cancel_move();
                return Some(Order::Keeps);
            }
            hold.on_sending(&self.sides[Side::Client as usize].tracker);
        }
        // Drawn for a frame that is written, not for each look at what may be due.
        let mask = (to == Side::Upstream).then(control::new_mask);
        let mut last = false;
        let frame = match item {
            Item::Ping => {
                let secret = self.secret;
                let state = self.side_mut(to);
                state.outbox.cancel_ping();
                let number = state.liveness.on_ping_sent(now);
                if to == Side::Client {
                    self.pushes.on_ping_sent(number);
                }
                control::ping(&(secret ^ u64::from(number)).to_be_bytes(), mask)
            }
            Item::Pong => self.side_mut(to).outbox.take_pong(mask)?,
            Item::Push => {
                self.lifetime.on_data(now);
                let message = self.pushes.begin()?;
                self.tapped.on_own(to, message.frame(), now);
                return Some(Order::Push(message));
            }
            Item::Close(goodbye) => {
                let own = self.own_words(to);
                let (code, reason) = match (goodbye, self.end) {
                    (Goodbye::Move, _) => (MOVED, "moved"),
                    (Goodbye::Echo(code), _) => (code, ""),
                    (Goodbye::End, None) => (NO_CODE, ""),
                    (Goodbye::End, Some(end)) => words(end, to, &self.rules),
                };
                match goodbye {
                    Goodbye::Move => self.say_move(now),
                    Goodbye::Echo(_) => self.side_mut(to).outbox.clear(),
                    Goodbye::End => {
                        if to == Side::Client {
                            self.pushes.drop_waiting();
                        }
                        last = self.is_last_to(to);
                        self.go(to, CloseState::Sent, now);
                    }
                }
                self.side_mut(to).stats.on_close_sent(code);
                control::close(code, own.as_deref().unwrap_or(reason), mask)
            }
        };
        self.tapped.on_own(to, &frame, now);
        Some(Order::Send { to, frame, last })
    }

    /// What a side reads beside the code, where a caller ends the session and says so.
    fn own_words(&self, to: Side) -> Option<Arc<str>> {
        let is_kick = match self.end? {
            End::Drained(reason) | End::DrainedWith { reason, .. } => reason == Reason::Kick,
            _ => false,
        };
        self.timers.words().filter(|_| is_kick && to == Side::Client).cloned()
    }

    /// Whether what went to a side so far ends at a frame's boundary.
    pub(super) fn at_boundary_to(&self, side: Side) -> bool {
        let apart = self.hold.as_ref().is_some_and(|hold| hold.stands_apart(side));
        apart || self.side(side.other()).tracker.at_frame_boundary()
    }
}
