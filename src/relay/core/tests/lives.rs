//! Sessions that outlive their upstream: what all its lives got, and what the client did.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::{Demand, HoldTerms};
use super::peer::{Kind, Peer, parse};
use super::world::{Line, World};
use crate::base::network::ClientNetwork;
use crate::base::quota::Quota;
use crate::base::side::Side;
use crate::config::plan::{Hold, Resumption};
use crate::end::{End, Farewell, Loss, Reason};
use crate::registry::{EndOrder, MoveOrder, Note};

/// What there is to a session that can be held.
pub struct Held {
    pub terms: HoldTerms,
    /// Upstreams that were, each with what it got.
    lives: Vec<Peer>,
    /// What the client had seen before each but the first.
    seen: Vec<u64>,
    /// Writing to an upstream that hung up fails.
    writes_fail: bool,
    /// Absences begun and ended.
    pub away: u32,
    pub back: u32,
}

/// Half of the sessions can be held, each in its own way.
pub fn random_hold(rng: &mut Rng) -> Option<Hold> {
    let millis = |rng: &mut Rng, range| Duration::from_millis(rng.u64(range));
    rng.bool().then(|| Hold {
        timeout: millis(rng, 1_000..60_000),
        buffer_bytes_max: rng.choice([300, 20_000, 1 << 20]).unwrap_or(300),
        full_timeout: millis(rng, 500..60_000),
        message_age_max: millis(rng, 1_000..60_000),
        lost_codes: vec![1001, 1012, 1013],
        replay_first: rng.u32(..3),
        replay_bytes_max: rng.choice([500, 1 << 20]).unwrap_or(500),
        swallow_first: rng.u32(..3),
        swallow_timeout: millis(rng, 1_000..60_000),
        proof_time: Duration::from_secs(5),
        resumptions_per_minute_max: 20,
        head_bytes_max: 1 << 14,
        resume: Resumption::Always,
    })
}

impl Held {
    pub fn new(hold: Hold, rng: &mut Rng) -> Held {
        let budget = rng.choice([1_000, 1 << 30]).unwrap_or(1_000);
        let budget = Quota::new(budget).of(ClientNetwork::Unshared);
        let terms = HoldTerms { hold: Arc::new(hold), budget, head_bytes: 0 };
        Held {
            terms,
            lives: Vec::new(),
            seen: Vec::new(),
            writes_fail: rng.bool(),
            away: 0,
            back: 0,
        }
    }
}

impl World {
    pub fn held(&mut self) -> &mut Held {
        self.held.as_mut().expect("only a session that can be held is away")
    }

    /// Does what the relay wants, or not yet.
    pub fn help(&mut self) {
        match self.core.demand() {
            None => {}
            Some(Demand::Target) if self.rng.bool() => self.core.leave(self.now),
            Some(Demand::Target) => self.core.stay(),
            Some(Demand::Upstream(away)) => {
                assert!(away.since <= self.now && away.attempt > 0);
                match self.rng.u8(..32) {
                    0 => self.core.give_up(self.now),
                    1..6 => self.core.on_dial_failed(),
                    6..20 => self.attach(),
                    _ => {}
                }
            }
        }
    }

    /// Something happens to the upstream that the session outlives.
    pub fn upset(&mut self) {
        let at = self.now.after(Duration::from_millis(self.rng.u64(..2_000)));
        let deadline = at.after(Duration::from_millis(self.rng.u64(..20_000)));
        let end = EndOrder { reason: Reason::Unhealthy, at, deadline, code: None };
        let otherwise = (self.rng.u8(..8) == 0).then_some(end);
        let note = Note::Move(MoveOrder { at, otherwise });
        let code = self.rng.choice([1001, 1012, 1013]).unwrap_or(1001);
        let upstream = &mut self.peers[Side::Upstream as usize];
        if upstream.may_send() && self.rng.u8(..8) > 0 {
            upstream.finish_message(&mut self.rng);
        }
        match self.rng.u8(..4) {
            0 if upstream.hung_up.is_none() => upstream.hang_up(&mut self.rng),
            1 if upstream.may_send() => upstream.leave(&mut self.rng, code),
            2 => self.core.on_note(note, self.now),
            _ => {}
        }
    }

    /// What holds whenever nothing moves.
    pub fn check_hold(&self) {
        super::check(&self.core, 20_000);
    }

    fn attach(&mut self) {
        let upstream = Peer::new(Side::Upstream, &mut self.rng);
        let old = std::mem::replace(&mut self.peers[Side::Upstream as usize], upstream);
        assert!(old.dropped, "two upstreams at once");
        self.lines[Side::Upstream as usize] = Line::default();
        let seen = self.core.stats().upstream.messages;
        self.held().lives.push(old);
        self.held().seen.push(seen);
        assert!(self.core.attach(self.now));
        assert!(!self.core.attach(self.now), "two upstreams at once");
    }

    /// Whether writing to a side fails, for it has hung up.
    pub fn fails(&mut self, side: Side) -> bool {
        let gone = self.peers[side as usize].hung_up == Some(Loss::Reset);
        let fails = gone && self.held.as_ref().is_some_and(|held| held.writes_fail);
        if fails {
            self.core.on_write_failed(side, self.now);
            let line = &mut self.lines[side as usize];
            self.core.on_unsent(&line.gone, &line.tail, self.now);
            (line.tail, line.gone) = (Vec::new(), Vec::new());
        }
        fails
    }
}

/// The data messages in a stream of frames, each as its raw data frames; the last may be cut.
struct Messages {
    whole: Vec<Vec<u8>>,
    cut: Vec<u8>,
}

fn messages(bytes: &[u8]) -> Messages {
    let mut found = Messages { whole: Vec::new(), cut: Vec::new() };
    let mut at = 0;
    while let Some((length, first, _, _)) = parse(&bytes[at..]) {
        if first & 0x08 == 0 {
            found.cut.extend(&bytes[at..at + length]);
            if first & 0x80 != 0 {
                found.whole.push(std::mem::take(&mut found.cut));
            }
        }
        at += length;
    }
    if bytes.get(at).is_some_and(|first| first & 0x08 == 0) {
        found.cut.extend(&bytes[at..]);
    }
    found
}

pub fn examine(world: &World) {
    let held = world.held.as_ref().expect("a session that can be held");
    assert_eq!(held.away, held.back, "absences begun and ended");
    let (end, _) = world.end.expect("an end");
    assert_eq!(world.core.end(), Some(end));
    for side in Side::BOTH {
        let silent = end == End::Silent { side };
        assert!(!(silent && world.peers[side as usize].lives()), "the {side} lived");
    }
    let client = &world.peers[Side::Client as usize];
    let told = matches!(end.farewell(Side::Client), Farewell::Close(_) | Farewell::PassOn);
    let listens = client.lives() && client.hung_up.is_none() && client.answers_closes;
    if told && listens && !world.core.stats().cut {
        assert!(client.close_got, "the client was not told of {end:?}");
    }
    upstreams_got_each_message_once_and_in_order(world, held);
    the_client_got_whole_messages_but_for_those_swallowed(world, held);
}

/// Over all lives of the upstream: a prefix that is replayed, then the client's messages where the
/// life before stopped; only one that was cut there is missing.
fn upstreams_got_each_message_once_and_in_order(world: &World, held: &Held) {
    let sent = messages(&world.to_relay_from(Side::Client)).whole;
    let index = |message: &Vec<u8>| sent.iter().position(|one| one == message);
    let first = held.terms.hold.replay_first as usize;
    let mut next = 0;
    let last = &world.peers[Side::Upstream as usize];
    for (life, peer) in held.lives.iter().chain([last]).enumerate() {
        world.relayed(Side::Upstream, &peer.got);
        let Messages { whole, cut } = messages(&peer.got);
        let mut got: Vec<usize> = whole.iter().map(|one| index(one).expect("as it was")).collect();
        if life > 0 {
            let replayed = got.iter().enumerate().take_while(|(at, one)| at == *one && *at < first);
            let replayed = replayed.count();
            let goes_on = got.len() > replayed || !cut.is_empty() && replayed >= first.min(next);
            assert!(!goes_on || replayed >= first.min(next), "of {next} {replayed} were replayed");
            got.drain(..replayed);
            next = next.max(replayed);
        }
        for one in got {
            assert_eq!(one, next, "in life {life}");
            next += 1;
        }
        // Its own beginning is all that may be missing, in whichever life comes next.
        if !cut.is_empty() && sent.get(next).is_some_and(|one| one.starts_with(&cut)) {
            next += 1;
        }
    }
}

/// From each life of the upstream but the last whole messages came, none of them twice.
fn the_client_got_whole_messages_but_for_those_swallowed(world: &World, held: &Held) {
    let client = &world.peers[Side::Client as usize];
    world.relayed(Side::Client, &client.got);
    let got = messages(&client.got).whole.into_iter();
    let is_pushed = |message: &Vec<u8>| {
        parse(message).is_some_and(|(.., payload)| payload.starts_with(super::PUSHED))
    };
    let mut got = got.filter(|message| !is_pushed(message));
    let last = &world.peers[Side::Upstream as usize];
    let lives: Vec<&Peer> = held.lives.iter().chain([last]).collect();
    let mut next = got.next();
    for (life, peer) in lives.iter().enumerate() {
        let plain: Vec<u8> = match peer.frames.iter().position(|(_, kind)| *kind == Kind::Bad) {
            Some(0) => Vec::new(),
            Some(bad) => peer.sent[..peer.frames[bad - 1].0].to_vec(),
            None => peer.sent.clone(),
        };
        let seen = life.checked_sub(1).map_or(0, |before| held.seen[before]);
        let skipped = seen.min(held.terms.hold.swallow_first.into()) as usize;
        for message in messages(&plain).whole.iter().skip(skipped) {
            if next.as_ref() == Some(message) {
                next = got.next();
            }
        }
    }
    assert_eq!(next, None, "what no upstream sent in this order");
}
