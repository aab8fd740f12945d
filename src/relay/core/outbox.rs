//! What we have to say to a side ourselves, between two of its frames.

use crate::wire::control::ControlFrame;

use super::pending_ping::PendingPing;

/// Something that is to be slipped in, in the order of precedence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// A ping of ours.
    Ping,
    /// The answer to the side's own ping, in the place of the side across.
    Pong,
    /// A Close; nothing follows it (RFC 6455 §5.5.1).
    Close(Goodbye),
    /// A message of ours to the client; between two messages only.
    Push,
}

/// Which Close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goodbye {
    /// The session's end is told.
    End,
    /// The session moves away from this upstream; between two messages only.
    Move,
    /// An upstream that goes is answered with its own code.
    Echo(u16),
}

/// At most one of each.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ping: bool,
    close: Option<Goodbye>,
    /// The last ping *from* this side that has no answer.
    asked: PendingPing,
    /// An answer of ours is on its way to it: the next waits, so that a side which asks and does
    /// not read makes us keep one (RFC 6455 §5.5.3: only the last ping must be answered).
    pong_under_way: bool,
}

impl Outbox {
    /// What goes next, where a frame may be slipped in, and whether a message may be as well;
    /// `None` while nothing wants this place.
    pub(super) fn next(&self, between_messages: bool) -> Option<Item> {
        if self.ping {
            return Some(Item::Ping);
        }
        if self.asked.is_owed() && !self.pong_under_way {
            return Some(Item::Pong);
        }
        let may_go = |close: &Goodbye| between_messages || *close != Goodbye::Move;
        self.close.filter(may_go).map(Item::Close)
    }

    pub(super) fn queue_ping(&mut self) {
        self.ping = true;
    }

    pub(super) fn cancel_ping(&mut self) {
        self.ping = false;
    }

    pub(super) fn has_ping(&self) -> bool {
        self.ping
    }

    pub(super) fn queue_close(&mut self, close: Goodbye) {
        self.close = Some(close);
    }

    /// The session does not move.
    pub(super) fn cancel_move(&mut self) {
        self.close = self.close.filter(|close| *close != Goodbye::Move);
    }

    /// The side's pings, and what becomes of them.
    pub(super) fn asked(&mut self) -> &mut PendingPing {
        &mut self.asked
    }

    /// The answer to the side's ping, for [`Item::Pong`].
    pub(super) fn take_pong(&mut self, mask: Option<[u8; 4]>) -> Option<ControlFrame> {
        self.pong_under_way = true;
        self.asked.take_answer(mask)
    }

    /// The side's transport took all that went to it.
    pub(super) fn on_flushed(&mut self) {
        self.pong_under_way = false;
    }

    /// Nothing more is said: a Close went, or the side takes nothing.
    pub(super) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_in_their_order_and_a_move_between_messages_only() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.next(true), None);
        outbox.queue_close(Goodbye::Move);
        assert_eq!(outbox.next(false), None);
        outbox.asked().on_kept(b"?");
        assert_eq!(outbox.next(true), Some(Item::Pong));
        outbox.queue_ping();
        assert_eq!(outbox.next(false), Some(Item::Ping));
        outbox.cancel_ping();
        assert!(outbox.take_pong(None).is_some());
        assert_eq!(outbox.next(true), Some(Item::Close(Goodbye::Move)));
        outbox.queue_close(Goodbye::End);
        assert_eq!(outbox.next(false), Some(Item::Close(Goodbye::End)));
        outbox.clear();
        assert_eq!(outbox.next(true), None);
    }

    #[test]
    fn of_pings_that_come_before_an_answer_is_gone_the_last_is_answered() {
        let mut outbox = Outbox::default();
        outbox.asked().on_kept(b"one");
        assert_eq!(outbox.next(true), Some(Item::Pong));
        assert_eq!(&*outbox.take_pong(None).unwrap(), b"\x8a\x03one");
        for ping in [b"two", b"six"] {
            outbox.asked().on_kept(ping);
            assert_eq!(outbox.next(true), None);
        }
        outbox.on_flushed();
        assert_eq!(outbox.next(true), Some(Item::Pong));
        assert_eq!(&*outbox.take_pong(None).unwrap(), b"\x8a\x03six");
    }

    #[test]
    fn a_ping_is_answered_for_only_where_a_later_one_of_ours_was_answered() {
        for (before, number, owed) in [(3, 3, false), (3, 4, true), (0, 1, true)] {
            let mut asked = PendingPing::default();
            asked.on_passed(b"older", before);
            asked.on_later_answered(number);
            assert_eq!(asked.is_owed(), owed);
        }
        let mut asked = PendingPing::default();
        asked.on_passed(b"older", 0);
        asked.on_pong(b"older");
        asked.on_later_answered(1);
        assert!(!asked.is_owed());
    }
}
