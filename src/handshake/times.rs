//! How long the parts of a handshake take, for its trace. One that has none is not timed.

use std::time::Duration;

use crate::base::clock::{self, Moment};

/// How long each part of the last attempt took.
#[derive(Clone, Debug, Default)]
pub struct HandshakeTimes {
    /// Backends that were asked.
    pub attempts: u32,
    /// It waited for its turn, behind other handshakes with the backend.
    pub wait: Duration,
    /// It waited for the connection.
    pub dial: Duration,
    /// It waited for the head of the answer.
    pub answer: Duration,
    /// When the part began that goes on.
    since: Moment,
}

/// A part of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HandshakePart {
    Wait,
    Dial,
    Answer,
}

impl HandshakeTimes {
    /// Another backend is asked.
    pub(super) fn begin(&mut self) {
        let attempts = self.attempts.saturating_add(1);
        *self = HandshakeTimes { attempts, since: clock::now(), ..HandshakeTimes::default() };
    }

    /// A part is done.
    pub(super) fn done(&mut self, part: HandshakePart) {
        let now = clock::now();
        let took = now.since(std::mem::replace(&mut self.since, now));
        match part {
            HandshakePart::Wait => self.wait = took,
            HandshakePart::Dial => self.dial = took,
            HandshakePart::Answer => self.answer = took,
        }
    }
}
