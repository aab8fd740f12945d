//! A client or a backend with its own pace: what it says, and what it heard.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::wire::End;
use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::relay::core::tests::PUSHED;
use crate::relay::core::tests::peer::{frame, parse};

/// From here on numbers are an answer's; what is said unasked has those below.
const UNIQUE: u32 = 1 << 31;

/// One end of a session.
pub struct Actor {
    pub side: Side,
    pub wire: End,
    /// The data messages it said, each as it was on the wire.
    pub said: Vec<Vec<u8>>,
    /// What it heard, and how much of that it has looked at.
    pub heard: Vec<u8>,
    looked_at: usize,
    /// Bytes it reads at once; it reads nothing before the moment.
    pub appetite: usize,
    pub paused_until: Moment,
    pub has_paused: bool,
    /// It reads only when all is written that it said: only a client may, as of two that did so
    /// each would wait for the other.
    pub writes_first: bool,
    /// The number of its last ping, and of the last that was answered.
    pub pinged: u8,
    pub answered: u8,
    /// It ends its stream as soon as it has sent its Close.
    pub hasty: bool,
    pub close_sent: Option<u16>,
    pub close_heard: Option<u16>,
    /// When it sent its Close, and heard one.
    pub closed_at: Moment,
    pub heard_at: Moment,
    /// It closed of its own accord.
    pub closed_first: bool,
    /// It reset its connection.
    pub hung_up: bool,
    /// What it answers the other side's messages with; one that does says nothing unasked.
    pub answers: Option<LateAnswers>,
    /// How much of what it is sent was written by when.
    pub written: Vec<(usize, Moment)>,
}

/// Answers of an upstream that has nothing to say any more once it has read a Close.
#[derive(Default)]
pub struct LateAnswers {
    /// How many messages it has heard.
    heard: usize,
    /// Those that it answers, each when it has come to it.
    owed: VecDeque<(Moment, usize)>,
    /// Those that it never answers.
    pub dropped: VecDeque<(Moment, usize)>,
}

impl Actor {
    pub fn new(side: Side, wire: End, rng: &mut Rng) -> Actor {
        Actor {
            side,
            wire,
            said: Vec::new(),
            heard: Vec::new(),
            looked_at: 0,
            appetite: rng.choice([200, 3_000, usize::MAX]).unwrap_or(200),
            paused_until: Moment::default(),
            has_paused: false,
            writes_first: side == Side::Client && rng.bool(),
            pinged: 0,
            answered: 0,
            hasty: rng.bool(),
            close_sent: None,
            close_heard: None,
            closed_at: Moment::NEVER,
            heard_at: Moment::NEVER,
            closed_first: false,
            hung_up: false,
            answers: (side == Side::Upstream && rng.bool()).then(LateAnswers::default),
            written: Vec::new(),
        }
    }

    pub fn may_speak(&self) -> bool {
        let wire = self.wire.0.borrow();
        self.close_sent.is_none() && !wire.peer_closed && !wire.relay_reset && !wire.peer_reset
    }

    /// Whether it may say something of its own.
    pub fn may_say(&self) -> bool {
        self.answers.is_none() && self.may_speak()
    }

    /// Says a message, in some frames, that carries its number.
    pub fn say(&mut self, rng: &mut Rng, number: u32) {
        let mut rest = vec![rng.u8(..); rng.choice([4, 60, 1_000, 9_000]).unwrap_or(4)];
        rest[..4].copy_from_slice(&number.to_be_bytes());
        let (mut message, mut opcode) = (Vec::new(), 2);
        while rest.len() > 10 && rng.u8(..3) == 0 {
            let piece: Vec<u8> = rest.drain(..rng.usize(1..rest.len())).collect();
            message.extend(frame(rng, self.side, opcode, &piece));
            opcode = 0;
        }
        message.extend(frame(rng, self.side, 0x80 | opcode, &rest));
        self.wire.0.borrow_mut().peer_write(&message);
        self.said.push(message);
    }

    pub fn ping(&mut self, rng: &mut Rng) {
        self.pinged += 1;
        let ping = frame(rng, self.side, 0x89, &[b'#', self.pinged]);
        self.wire.0.borrow_mut().peer_write(&ping);
    }

    pub fn close_first(&mut self, rng: &mut Rng, code: u16, now: Moment) {
        self.closed_first = true;
        self.close(rng, code, now);
    }

    /// It is gone from one moment to the next.
    pub fn hang_up(&mut self) {
        self.hung_up = true;
        self.wire.0.borrow_mut().peer_close(true);
    }

    fn close(&mut self, rng: &mut Rng, code: u16, now: Moment) {
        self.closed_at = now;
        let close = frame(rng, self.side, 0x88, &code.to_be_bytes());
        let mut wire = self.wire.0.borrow_mut();
        wire.peer_write(&close);
        self.close_sent = Some(code);
        if self.hasty {
            wire.peer_shutdown();
        }
    }

    /// Reads as it does, and answers; whether it did anything.
    pub fn act(&mut self, rng: &mut Rng, now: Moment) -> bool {
        if now < self.paused_until || self.wire.0.borrow().peer_closed {
            return false;
        }
        if self.writes_first && !self.wire.0.borrow().unsaid.is_empty() {
            return false;
        }
        let read = self.wire.0.borrow_mut().peer_read(self.appetite);
        self.heard.extend(&read);
        while let Some((length, first, masked, payload)) = parse(&self.heard[self.looked_at..]) {
            assert!(self.close_heard.is_none(), "a frame behind a Close to the {}", self.side);
            assert_eq!(masked, self.side == Side::Upstream, "a mask where it must be");
            self.looked_at += length;
            match first {
                0x89 if self.may_speak() => {
                    let pong = frame(rng, self.side, 0x8a, &payload);
                    self.wire.0.borrow_mut().peer_write(&pong);
                }
                0x8a if payload[0] == b'#' => self.answered = self.answered.max(payload[1]),
                0x88 => {
                    let code = payload
                        .get(..2)
                        .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                    self.close_heard = Some(code);
                    self.heard_at = now;
                    if self.may_speak() {
                        self.close(rng, code, now);
                    }
                    if self.side == Side::Upstream {
                        // A server ends the connection when both Closes went (RFC 6455 §7.1.1).
                        self.wire.0.borrow_mut().peer_close(false);
                    }
                }
                _ if first & 0x88 == 0x80 => self.owe(rng, now),
                _ => {}
            }
        }
        let answered = self.answer(rng, now);
        let ended = self.wire.0.borrow().peer_sees_end();
        if ended {
            self.wire.0.borrow_mut().peer_close(false);
        }
        !read.is_empty() || answered || ended
    }

    /// It has heard a message whole.
    fn owe(&mut self, rng: &mut Rng, now: Moment) {
        let Some(answers) = &mut self.answers else { return };
        answers.owed.push_back((now.after(Duration::from_millis(rng.u64(..200))), answers.heard));
        answers.heard += 1;
    }

    /// Says the answers that it has come to; whether there were any.
    fn answer(&mut self, rng: &mut Rng, now: Moment) -> bool {
        let may_speak = self.may_speak();
        let Some(answers) = &mut self.answers else { return false };
        if !may_speak {
            answers.dropped.append(&mut answers.owed);
        }
        let due = answers.owed.iter().take_while(|(due, _)| *due <= now).count();
        answers.owed.drain(..due);
        for _ in 0..due {
            let number = UNIQUE + rng.u32(..UNIQUE);
            self.say(rng, number);
        }
        due > 0
    }

    /// The relay has done what it does: how much it wrote by now.
    pub fn on_polled(&mut self, now: Moment) {
        let bytes = self.wire.0.borrow().out.accepted.len();
        if self.written.last().is_none_or(|(before, _)| *before < bytes) {
            self.written.push((bytes, now));
        }
    }

    /// When this place of what it was sent was written.
    pub fn written_at(&self, place: usize) -> Moment {
        let found = self.written.iter().find(|(bytes, _)| *bytes >= place);
        found.map_or(Moment::NEVER, |(_, at)| *at)
    }

    /// The data messages of the other side that it heard whole, as they were on the wire.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let whole = messages(&self.heard).0.into_iter();
        whole.filter(|message| pushed(message).is_none()).collect()
    }

    /// The numbers of the pushed messages that it heard whole.
    pub fn pushes(&self) -> Vec<u32> {
        messages(&self.heard).0.iter().filter_map(|message| pushed(message)).collect()
    }
}

/// The number of a message, where it is a pushed one.
pub fn pushed(message: &[u8]) -> Option<u32> {
    let (_, _, _, payload) = parse(message)?;
    let number = payload.strip_prefix(PUSHED)?.get(..4)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}

/// The data messages in a stream of frames, each as its raw data frames; and what there is of one
/// more.
pub fn messages(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut at, mut whole, mut open) = (0, Vec::new(), Vec::new());
    while let Some((length, first, _, _)) = parse(&bytes[at..]) {
        if first & 0x08 == 0 {
            open.extend(&bytes[at..at + length]);
            if first & 0x80 != 0 {
                whole.push(std::mem::take(&mut open));
            }
        }
        at += length;
    }
    if bytes.get(at).is_some_and(|first| first & 0x08 == 0) {
        open.extend(&bytes[at..]);
    }
    (whole, open)
}
