//! Seeded lives of sessions: any split, partial writes, clock jumps, notes, and unruly peers.
//!
//! A failing seed is printed; `TIDEGATE_SEED=<seed> cargo test simulation` lives it again.

use std::time::Duration;

use fastrand::Rng;

use super::peer::{Kind, Peer};
use super::world::{HOUR, World};
use super::{lives, rules};
use crate::base::side::Side;
use crate::config::plan::Rules;
use crate::end::{End, Farewell};

const SEEDS: u64 = 256;
const STEPS: u32 = 300;

fn random_rules(rng: &mut Rng) -> Rules {
    let seconds = |rng: &mut Rng, range| Duration::from_secs(rng.u64(range));
    Rules {
        message_bytes_max: (rng.u8(..4) == 0).then_some(100_000),
        frame_bytes_max: (rng.u8(..8) == 0).then_some(65_000),
        idle_timeout: rng.bool().then(|| seconds(rng, 10..100)),
        ping_interval: rng.bool().then(|| seconds(rng, 5..60)),
        // Without a limit a session of two quiet peers would rightly never end.
        max_lifetime: Some(seconds(rng, 100..2_000)),
        max_lifetime_jitter_percent: 10,
        ..rules()
    }
}

fn live(seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x7469_6465);
    let mut rules = random_rules(&mut rng);
    let hold = lives::random_hold(&mut rng);
    if hold.is_some() && rng.bool() {
        // To be held a session must live.
        rules.idle_timeout = None;
    }
    let mut world = World::new(seed, rules, hold);
    for _ in 0..STEPS {
        world.step();
        if world.core.end().is_some() {
            break;
        }
    }
    // Whatever is left happens by the clock alone.
    for turn in 0.. {
        assert!(turn < 10_000, "a session that never ends");
        if world.core.end().is_some() {
            break;
        }
        world.now = world.now.max(world.core.timeout());
        world.settle();
    }
    match world.held {
        Some(_) => lives::examine(&world),
        None => examine(&world),
    }
    // What was kept is given back with the last of the session.
    let budget = world.held.map(|held| held.terms.budget);
    drop(world.core);
    assert_eq!(budget.map_or(0, |budget| budget.used()), 0);
}

fn examine(world: &World) {
    let (end, ended) = world.end.expect("an end");
    assert_eq!(world.core.end(), Some(end));
    for side in Side::BOTH {
        let relayed = world.relayed_to(side.other());
        let plain = world.to_relay_from(side);
        assert!(plain.starts_with(&relayed), "what the {side} sent did not arrive as it was");
        let peer = &world.peers[side as usize];
        let silent = end == End::Silent { side };
        assert!(!(silent && peer.lives()), "the {side} lived");
        // A side that still listens and does not mind is told, whoever it is.
        let told = matches!(end.farewell(side), Farewell::Close(_) | Farewell::PassOn);
        let listens = peer.lives() && peer.hung_up.is_none() && peer.answers_closes;
        let stats = world.core.stats();
        if told && listens && !stats.cut && side == Side::Client {
            assert!(peer.close_got, "the {side} was not told of {end:?}");
        }
    }
    nothing_said_before_its_close_is_lost(world, end);
    assert!(end != End::Expired || world.expires <= ended, "it had the right to live on");
    // Three steps out for each side, none longer than its time; a note may allow more.
    let allowed = 6 * world.rules.close_timeout + Duration::from_secs(60);
    assert!(world.now.since(ended) <= allowed + 2 * HOUR);
}

/// What a client sent before its answer to our Close reaches an upstream that listens.
fn nothing_said_before_its_close_is_lost(world: &World, end: End) {
    let [client, upstream] = &world.peers;
    let unlimited =
        world.rules.message_bytes_max.is_none() && world.rules.frame_bytes_max.is_none();
    let fine = |peer: &Peer| {
        peer.lives() && unlimited && peer.frames.iter().all(|(_, kind)| *kind != Kind::Bad)
    };
    let answered = client.frames.last().is_some_and(|(_, kind)| *kind == Kind::Close);
    let heard = client.taken == client.sent.len();
    let left_early = upstream.closed_first || upstream.hung_up.is_some() && !upstream.close_got;
    let we_closed = matches!(end, End::Idle | End::Lifetime | End::Expired);
    if we_closed && answered && heard && fine(client) && fine(upstream) && !left_early {
        assert_eq!(world.relayed_to(Side::Upstream), world.to_relay_from(Side::Client));
    }
}

#[test]
fn sessions_keep_their_promises_in_every_life() {
    if let Ok(seed) = std::env::var("TIDEGATE_SEED") {
        return live(seed.parse().expect("TIDEGATE_SEED is a number"));
    }
    let start = Rng::new().u64(..1 << 40);
    for seed in start..start + SEEDS {
        let lived = std::panic::catch_unwind(|| live(seed));
        assert!(lived.is_ok(), "replay with TIDEGATE_SEED={seed}");
    }
}
