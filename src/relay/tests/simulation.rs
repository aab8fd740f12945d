//! The whole relay under invented time: its future, legs and core, between sockets of its own.
//!
//! Seeded: a failing seed is printed, and `TIDEGATE_SEED=<seed> cargo test --lib whole_relay` plays
//! it again. `TIDEGATE_SEEDS=<number>` plays more of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;

use super::super::carrier::Carrier;
use super::super::core::Demand;
use super::super::core::tests::{PUSHED, assert_fresh, check, push_message};
use super::super::{HoldTerms, Leg, Relay, SessionStats, Terms};
use super::scene::{run, seat};
use crate::base::clock::{self, Moment, OVERSLEPT};
use crate::base::network::ClientNetwork;
use crate::base::quota::Quota;
use crate::base::side::Side::{self, Client, Upstream};
use crate::config::plan::{Hold, Resumption, Rules};
use crate::end::{End, Reason};
use crate::observe::metrics::Metrics;
use crate::registry::{Delivery, EndOrder, MoveOrder, Note, PushMessage};
use crate::wire::frame::Allowed;

mod actor;
mod judge;
mod wire;

use actor::Actor;
use wire::{Sizes, Wire};

const SEEDS: u64 = 200;
const STEPS: u32 = 150;

/// Whether the relay was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A session's whole world.
struct Play {
    rng: Rng,
    now: Moment,
    relay: Option<Relay>,
    outcome: Option<(End, SessionStats)>,
    actors: [Actor; 2],
    /// Upstreams that were.
    lives: Vec<Actor>,
    sizes: Sizes,
    woken: Arc<Woken>,
    said: u32,
    /// Messages pushed to the client, by their numbers.
    pushed: Vec<Arc<PushMessage>>,
    /// It was ordered to end: from the order's deadline on nobody is waited for.
    is_ordered: bool,
    /// The machine slept, and woke before anything was due, or hardly after: who did not run knows
    /// it by what is late.
    has_slept_unnoticed: bool,
}

fn leg(actor: &Actor) -> Leg {
    Leg::new(Carrier::Simulated(Box::new(actor.wire.clone())), Vec::new())
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut rng = Rng::with_seed(seed);
        // The relay draws from the thread's.
        fastrand::seed(rng.u64(..));
        let now = clock::now();
        let sizes = Sizes {
            sending: rng.choice([500, 20_000, 1 << 20]).unwrap_or(500),
            receiving: rng.choice([500, 20_000, 1 << 20]).unwrap_or(500),
        };
        let rules = Rules {
            ping_interval: rng.bool().then_some(Duration::from_secs(30)),
            idle_timeout: rng.bool().then_some(Duration::from_secs(300)),
            ..Rules::default()
        };
        let hold = rng.bool().then(|| HoldTerms {
            hold: Arc::new(Hold {
                timeout: Duration::from_secs(60),
                buffer_bytes_max: rng.choice([3_000, 1 << 20]).unwrap_or(3_000),
                full_timeout: Duration::from_secs(30),
                message_age_max: Duration::from_secs(120),
                lost_codes: vec![1001, 1012, 1013],
                replay_first: 0,
                replay_bytes_max: 1_000,
                swallow_first: 0,
                swallow_timeout: Duration::from_secs(10),
                proof_time: Duration::from_secs(5),
                resumptions_per_minute_max: 20,
                head_bytes_max: 1 << 14,
                resume: Resumption::Always,
            }),
            budget: Quota::new(rng.choice([2_000, 1 << 30]).unwrap_or(2_000))
                .of(ClientNetwork::Unshared),
            head_bytes: 0,
        });
        let actors = Side::BOTH.map(|side| {
            let wire = Wire::connect(sizes, &mut rng);
            Actor::new(side, wire, &mut rng)
        });
        let terms = Terms {
            rules: Arc::new(rules),
            allowed: Allowed::NOTHING,
            seat: seat(hold.is_some()),
            cells: Metrics::new(1).route(&"/chat".into()),
            hold,
            shared: None,
            expires: match rng.u8(..8) {
                0 => now.after(Duration::from_secs(rng.u64(20..1_000))),
                _ => Moment::NEVER,
            },
        };
        let relay = Relay::new(leg(&actors[0]), leg(&actors[1]), terms, now);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let (lives, outcome) = (Vec::new(), None);
        Play {
            rng,
            now,
            relay: Some(relay),
            outcome,
            actors,
            lives,
            sizes,
            woken,
            said: 0,
            pushed: Vec::new(),
            is_ordered: false,
            has_slept_unnoticed: false,
        }
    }

    /// One thing happens, and some of what follows from it.
    fn step(&mut self) {
        let side = if self.rng.bool() { Client } else { Upstream };
        let actor = &mut self.actors[side as usize];
        match self.rng.u8(..32) {
            0..12 if actor.may_say() => {
                for _ in 0..self.rng.u8(1..6) {
                    actor.say(&mut self.rng, self.said);
                    self.said += 1;
                }
            }
            12 if actor.may_speak() => actor.ping(&mut self.rng),
            13..22 => self.now = self.now.after(Duration::from_millis(self.rng.u64(..400))),
            22 | 23 => {
                let pause = Duration::from_millis(self.rng.u64(..9_000));
                actor.paused_until = self.now.after(pause);
                actor.has_paused = true;
            }
            24 => actor.appetite = self.rng.choice([200, 3_000, usize::MAX]).unwrap_or(200),
            25 if self.rng.bool() => self.mischief(),
            26 if self.rng.u8(..4) == 0 => {
                // The machine sleeps, and all that is due is done before anything else happens.
                self.now = self.now.after(Duration::from_secs(self.rng.u64(30..2_000)));
                let late = |relay: &mut Relay| self.now.since(relay.core_mut().timeout());
                let late = self.relay.as_mut().map_or(OVERSLEPT, late);
                self.has_slept_unnoticed |= late < OVERSLEPT;
                self.poll();
            }
            27..30 => (0..self.rng.u8(1..4)).for_each(|_| self.push()),
            _ => {}
        }
        for _ in 0..self.rng.u8(..6) {
            self.turn();
        }
        self.help();
    }

    fn mischief(&mut self) {
        let [client, upstream] = &mut self.actors;
        let rng = &mut self.rng;
        let code = rng.choice([1000, 1001, 1012, 4000]).unwrap_or(1000);
        match rng.u8(..12) {
            0..3 if upstream.may_speak() => upstream.close_first(rng, code, self.now),
            3 => upstream.hang_up(),
            // A backend's process ends: over what it has not read that is a reset.
            4 => upstream.wire.0.borrow_mut().peer_close(false),
            5 if client.may_speak() => client.close_first(rng, code, self.now),
            6 => client.hang_up(),
            7 => {
                let at = self.now.after(Duration::from_millis(rng.u64(..3_000)));
                let deadline = at.after(Duration::from_secs(rng.u64(..40)));
                let order = EndOrder { reason: Reason::Stop, at, deadline, code: None };
                self.note(Note::End(order));
            }
            8.. => self.note(Note::Move(MoveOrder { at: self.now, otherwise: None })),
            _ => {}
        }
    }

    /// A message that no upstream says.
    fn push(&mut self) {
        let rng = &mut self.rng;
        let number = (self.pushed.len() as u32).to_be_bytes();
        let more = vec![rng.u8(..); rng.choice([0, 100, 9_000]).unwrap_or(0)];
        let message = push_message(&[PUSHED, &number, &more].concat(), rng, self.now);
        let by = self.now.after(Duration::from_secs(rng.u64(1..20)));
        if self.relay.is_some() {
            self.note(Note::Push(Delivery::alone(&message, by)));
            self.pushed.push(message);
        }
    }

    fn note(&mut self, note: Note) {
        self.is_ordered |= matches!(note, Note::End(_));
        if let Some(relay) = &mut self.relay {
            relay.core_mut().on_note(note, self.now);
            self.woken.0.store(true, Ordering::Relaxed);
        }
    }

    /// Does what the relay wants, or not yet.
    fn help(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        match relay.demand() {
            None => return,
            Some(Demand::Target) if self.rng.u8(..8) > 0 => relay.leave(self.now),
            Some(Demand::Target) => relay.stay(),
            Some(Demand::Upstream(_)) if self.rng.u8(..3) > 0 => return,
            Some(Demand::Upstream(_)) => {
                let wire = Wire::connect(self.sizes, &mut self.rng);
                let next = Actor::new(Upstream, wire, &mut self.rng);
                relay.attach(leg(&next), self.now);
                assert_fresh(relay.core_mut());
                self.lives.push(std::mem::replace(&mut self.actors[1], next));
            }
        }
        self.woken.0.store(true, Ordering::Relaxed);
        self.poll();
    }

    /// The net, the peers and the relay each do some of their work; whether there was any.
    fn turn(&mut self) -> bool {
        let mut moved = false;
        for actor in self.actors.iter_mut().chain(&mut self.lives) {
            let most = if self.rng.bool() { usize::MAX } else { self.rng.usize(1..4_000) };
            moved |= actor.wire.0.borrow_mut().carry(most);
            moved |= actor.act(&mut self.rng, self.now);
        }
        let due = self.relay.as_mut().is_some_and(|relay| relay.core_mut().timeout() <= self.now);
        if due || self.woken.0.load(Ordering::Relaxed) {
            moved |= self.poll();
        }
        moved
    }

    /// Polls the relay as its worker does: when it was woken, until it rests.
    fn poll(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        let Some(relay) = &mut self.relay else { return false };
        for turns in 0.. {
            assert!(turns < 10_000, "a relay that never rests");
            self.woken.0.store(false, Ordering::Relaxed);
            let polled = relay.poll_at(&mut Context::from_waker(&waker), self.now);
            if let Poll::Ready(outcome) = polled {
                self.outcome = Some(outcome);
                self.relay = None;
                return true;
            }
            if !self.woken.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.actors[1].on_polled(self.now);
        check(relay.core_mut(), 300_000);
        for actor in &self.actors {
            let (side, wire) = (actor.side, actor.wire.0.borrow());
            let Some(leg) = relay.leg(side) else { continue };
            let missed = wire.is_readable() && relay.may_read(side);
            assert!(!missed, "the {side} is readable and wanted, and nothing will wake us for it");
            let waits = !leg.is_clear() && wire.is_writable();
            assert!(
                !waits,
                "the {side} is writable and waited for, and nothing will wake us for it"
            );
        }
        true
    }

    /// All that is left happens, slow readers slow as they are; the session comes to its end.
    fn finish(&mut self) {
        let began = self.now;
        for turns in 0.. {
            assert!(turns < 100_000, "a session that never ends");
            for actor in self.actors.iter_mut().chain(&mut self.lives) {
                actor.appetite = actor.appetite.max(2_000);
                actor.paused_until = actor.paused_until.min(self.now);
            }
            if self.turn() {
                self.now = self.now.after(Duration::from_millis(self.rng.u64(..200)));
                continue;
            }
            let Some(relay) = &mut self.relay else { break };
            if relay.demand().is_some() {
                self.help();
                continue;
            }
            let next = relay.core_mut().timeout();
            if self.actors[0].may_speak() && next > self.now.after(Duration::from_millis(50)) {
                self.actors[0].close_first(&mut self.rng, 1000, self.now);
                continue;
            }
            assert!(next < Moment::NEVER, "nothing will ever happen again");
            self.now = self.now.max(next);
        }
        assert!(self.now.since(began) < Duration::from_secs(600), "an end that takes too long");
        while self.turn() {}
    }
}

fn play(seed: u64) {
    run(async || {
        let mut play = Play::new(seed);
        play.poll();
        for _ in 0..STEPS {
            play.step();
        }
        play.finish();
        judge::judge(&play);
    });
}

#[test]
fn the_whole_relay_keeps_its_promises_in_every_life() {
    if let Ok(seed) = std::env::var("TIDEGATE_SEED") {
        return play(seed.parse().expect("TIDEGATE_SEED is a number"));
    }
    let seeds = std::env::var("TIDEGATE_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let start = Rng::new().u64(..1 << 40);
    for seed in start..start + seeds {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "replay with TIDEGATE_SEED={seed}");
    }
}
