//! Single promises, each as its own short story.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::{Core, Order, Sample};
use super::peer::{frame, parse};
use super::rules;
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::base::side::Side;
use crate::config::plan::{Rules, Validation};
use crate::end::{End, Farewell, Loss};
use crate::registry::Note;
use crate::wire::frame::{Allowed, Violation};

const START: Moment = Moment::from_millis(1_000_000);

fn core(rules: Rules) -> Core {
    Core::new(Arc::new(rules), Allowed::NOTHING, None, Moment::NEVER, 7, START)
}

fn pinged() -> Rules {
    Rules { ping_interval: Some(Duration::from_secs(30)), ..rules() }
}

/// Carries out orders until there are none; what was sent to each side. `sample` is what a look
/// at a side finds.
fn obey(core: &mut Core, now: Moment, sample: impl Fn(Side) -> Sample) -> [Vec<u8>; 2] {
    let mut sent = [Vec::new(), Vec::new()];
    while let Some(order) = core.poll_order(now) {
        match order {
            Order::Send { to, frame, .. } => sent[to as usize].extend(&*frame),
            Order::Probe(side) => core.on_probed(side, sample(side), sample(side.other()), now),
            _ => {}
        }
    }
    sent
}

fn quiet(_: Side) -> Sample {
    Sample { reading: true, ..Sample::default() }
}

/// Lets a core live by its own clock for `span`, the upstream in best health; when it ended.
fn live(
    core: &mut Core,
    span: Duration,
    client: impl Fn(Moment) -> Sample,
) -> Option<(End, Moment)> {
    let mut now = START;
    while now < START.after(span) {
        now = core.timeout().max(now);
        core.on_heard(Side::Upstream);
        core.on_timeout(now);
        obey(core, now, |side| match side {
            Side::Client => client(now),
            Side::Upstream => quiet(side),
        });
        if let Some(end) = core.end {
            return Some((end, now));
        }
    }
    None
}

#[test]
fn every_end_that_owes_a_close_sends_it_to_both_sides() {
    for end in End::every() {
        let mut core = core(rules());
        core.begin_end(end, START);
        let [client, _] = obey(&mut core, START, quiet);
        match end.farewell(Side::Client) {
            Farewell::Close(code) => {
                let (_, first, _, payload) = parse(&client).expect("a frame");
                assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]), "{end:?}");
                assert_eq!(&payload[2..], end.label().as_bytes());
            }
            _ => assert!(client.is_empty(), "{end:?}"),
        }
        // Its client leaves: the upstream hears its own code, or nothing.
        core.on_eof(Side::Client, Loss::Eof, START);
        let [_, upstream] = obey(&mut core, START, quiet);
        if let Farewell::Close(code) = end.farewell(Side::Upstream)
            && end.by() != Some(Side::Upstream)
        {
            let (_, first, masked, payload) = parse(&upstream).expect("a frame");
            assert!(masked);
            assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]), "{end:?}");
        }
    }
}

#[test]
fn a_reader_that_is_gone_is_found_under_back_pressure() {
    let mut core = core(pinged());
    // Never read, since its upstream takes nothing; nothing of what is sent to it is acknowledged.
    let stuck =
        |_| Sample { sent: 9_000, unacknowledged: 9_000, waiting: true, ..Sample::default() };
    let (end, when) = live(&mut core, Duration::from_secs(600), stuck).expect("an end");
    assert_eq!(end, End::Silent { side: Side::Client });
    assert!(when.since(START) <= Duration::from_secs(30 + 20 + 1), "{:?}", when.since(START));
}

#[test]
fn a_slow_reader_that_takes_a_little_is_not_cut() {
    for reading in [false, true] {
        let mut core = core(pinged());
        // A byte a second, of a queue that never empties.
        let slow = move |now: Moment| {
            let taken = now.since(START).as_secs() as u32;
            let unacknowledged = 9_000 - taken;
            Sample { sent: 9_000, unacknowledged, waiting: true, reading, ..Sample::default() }
        };
        assert_eq!(live(&mut core, Duration::from_secs(3_600), slow), None);
    }
}

#[test]
fn of_two_sides_that_hold_up_each_other_the_right_one_is_blamed() {
    // Neither is read, for the other takes nothing; all is acknowledged that was sent.
    let sides = |client: Sample, upstream: Sample| {
        let stuck = Sample { sent: 9_000, unacknowledged: 9_000, waiting: true, ..client };
        [
            stuck,
            Sample { in_flight: upstream.in_flight, stuck_since: upstream.stuck_since, ..stuck },
        ]
    };
    let at = |seconds, in_flight| Sample {
        in_flight,
        stuck_since: START.after(Duration::from_secs(seconds)),
        ..Sample::default()
    };
    let rows = [
        // The one whose link is cut, whoever was stuck first.
        (sides(at(2, 100), at(1, 0)), Side::Client),
        (sides(at(1, 0), at(2, 100)), Side::Upstream),
        // Both live: the one that was stuck first.
        (sides(at(1, 0), at(2, 0)), Side::Client),
        (sides(at(2, 0), at(1, 0)), Side::Upstream),
    ];
    for (samples, side) in rows {
        let mut core = core(pinged());
        let mut now = START;
        while core.end.is_none() {
            now = core.timeout().max(now);
            core.on_timeout(now);
            obey(&mut core, now, |side| samples[side as usize]);
        }
        assert_eq!(core.end, Some(End::Silent { side }), "{samples:?}");
        assert!(now.since(START) <= Duration::from_secs(30 + 20 + 1), "{:?}", now.since(START));
    }
}

#[test]
fn an_upstream_that_waits_for_a_slow_client_is_not_blamed() {
    let mut core = core(pinged());
    let mut now = START;
    while now < START.after(Duration::from_secs(3_600)) {
        now = core.timeout().max(now);
        core.on_timeout(now);
        obey(&mut core, now, |side| {
            let stuck = Sample { sent: 9_000, unacknowledged: 9_000, ..Sample::default() };
            let taken = now.since(START).as_secs() as u32;
            match side {
                // A byte a second, of a queue that never empties.
                Side::Client => Sample {
                    unacknowledged: 9_000 - taken,
                    waiting: true,
                    stuck_since: now,
                    ..stuck
                },
                Side::Upstream => Sample { waiting: true, stuck_since: START, ..stuck },
            }
        });
        assert_eq!(core.end, None);
    }
}

#[test]
fn a_kernel_that_takes_our_ping_does_not_excuse_an_application_that_hangs() {
    let mut core = core(pinged());
    let hangs = |now: Moment| Sample { sent: now.as_millis(), reading: true, ..Sample::default() };
    let (end, _) = live(&mut core, Duration::from_secs(600), hangs).expect("an end");
    assert_eq!(end, End::Silent { side: Side::Client });
}

#[test]
fn a_side_that_could_not_be_asked_and_owes_nothing_is_not_blamed() {
    for reading in [false, true] {
        let mut core = core(pinged());
        let whole = frame(&mut Rng::with_seed(1), Side::Upstream, 0x82, &[1; 1_000]);
        // The upstream stops in the middle of a frame, so no ping can go to the client.
        core.pass(Side::Upstream, &whole[..900], START);
        let idle = |_| Sample { sent: 900, reading, ..Sample::default() };
        assert_eq!(live(&mut core, Duration::from_secs(3_600), idle), None);
    }
}

#[test]
fn a_ping_waits_for_the_end_of_the_frame_in_progress() {
    let mut core = core(pinged());
    let mut rng = Rng::with_seed(1);
    let whole = frame(&mut rng, Side::Upstream, 0x82, &[1; 1_000]);
    assert_eq!(core.pass(Side::Upstream, &whole[..900], START).forward, 900);
    let due = START.after(Duration::from_secs(30));
    core.on_timeout(due);
    assert!(obey(&mut core, due, quiet)[0].is_empty());
    // The rest, and a frame behind it: the ping goes between them.
    let behind = frame(&mut rng, Side::Upstream, 0x82, &[2; 10]);
    let rest = [&whole[900..], &behind].concat();
    let passage = core.pass(Side::Upstream, &rest, due);
    assert_eq!((passage.forward, passage.used, passage.again), (104, 104, true));
    assert_eq!(obey(&mut core, due, quiet)[0][0], 0x89);
    assert_eq!(core.pass(Side::Upstream, &rest[104..], due).forward, behind.len());
}

#[test]
fn our_pongs_stay_here_and_foreign_ones_pass_at_any_split() {
    let mut rng = Rng::with_seed(2);
    for cut in 0..14 {
        let mut core = core(pinged());
        let due = START.after(Duration::from_secs(30));
        core.on_timeout(due);
        let ping = obey(&mut core, due, quiet)[0].clone();
        let (_, _, _, payload) = parse(&ping).expect("a ping");
        let ours = frame(&mut rng, Side::Client, 0x8a, &payload);
        let foreign = frame(&mut rng, Side::Client, 0x8a, b"8 bytes!");
        let first = core.pass(Side::Client, &ours[..cut], due);
        assert_eq!((first.forward, first.used), (0, 0));
        let both = [&ours[..], &foreign].concat();
        let swallowed = core.pass(Side::Client, &both, due.after(Duration::from_millis(40)));
        assert_eq!((swallowed.forward, swallowed.used, swallowed.again), (0, 14, true));
        assert_eq!(core.pass(Side::Client, &foreign, due).forward, foreign.len());
        assert_eq!(core.stats().client.rtt.last(), Some(Duration::from_millis(40)));
    }
}

#[test]
fn a_ping_is_answered_for_where_only_our_later_one_is() {
    let mut rng = Rng::with_seed(2);
    for asker in Side::BOTH {
        for (both, answers_both) in [(true, false), (true, true), (false, false)] {
            let asked = asker.other();
            let mut core = core(pinged());
            let due = START.after(Duration::from_secs(30));
            let older = frame(&mut rng, asker, 0x89, b"older");
            if both {
                assert_eq!(core.pass(asker, &older, START).forward, older.len());
            }
            core.on_timeout(due);
            let pings = obey(&mut core, due, quiet);
            let (_, _, _, payload) = parse(&pings[asked as usize]).expect("a ping of ours");
            if answers_both {
                let pong = frame(&mut rng, asked, 0x8a, b"older");
                assert_eq!(core.pass(asked, &pong, due).forward, pong.len());
            }
            // RFC 6455 §5.5.3: it may answer the latest alone.
            let pong = frame(&mut rng, asked, 0x8a, &payload);
            assert_eq!(core.pass(asked, &pong, due).forward, 0);
            let sent = obey(&mut core, due, quiet);
            let told = parse(&sent[asker as usize]).map(|(_, first, _, payload)| (first, payload));
            let owed = both && !answers_both;
            assert_eq!(told, owed.then(|| (0x8a, b"older".to_vec())), "{asker}");
        }
    }
}

#[test]
fn a_close_is_judged_whole_and_nothing_follows_it() {
    let mut rng = Rng::with_seed(3);
    let wrong: [&[u8]; 4] = [b"\x03", b"\x03\xed", b"\x00\x00", b"\x03\xe8"];
    for payload in wrong {
        for cut in 0..6 {
            let mut core = core(rules());
            let close = frame(&mut rng, Side::Client, 0x88, payload);
            let more = [&close[..], &frame(&mut rng, Side::Client, 0x82, b"more")].concat();
            assert_eq!(core.pass(Side::Client, &close[..cut], START).used, 0);
            let passage = core.pass(Side::Client, &more, START);
            let violation = End::Violation { by: Side::Client, what: Violation::ClosePayload };
            if payload == b"\x03\xe8" {
                assert_eq!(core.end, Some(End::Closed { by: Side::Client, code: 1000 }));
                assert_eq!(passage.forward, close.len());
                let after = core.pass(Side::Client, &more[close.len()..], START);
                assert_eq!((after.forward, after.violations), (0, 1));
                assert_eq!(core.stats().client.violation, Some(Violation::AfterClose));
            } else {
                assert_eq!((core.end, passage.forward), (Some(violation), 0));
            }
        }
    }
}

#[test]
fn what_is_not_checked_passes_as_it_is() {
    let mut rng = Rng::with_seed(4);
    let off = Rules { validation: Validation::Off, ..rules() };
    let long = frame(&mut rng, Side::Upstream, 0x88, &[1; 3_000]);
    let mut core = core(off);
    assert_eq!(core.pass(Side::Upstream, &long, START).forward, long.len());
    assert_eq!((core.end, core.stats().upstream.violations), (None, 0));
}

#[test]
fn lives_are_shortened_at_random_but_never_lengthened() {
    let most = Some(Duration::from_secs(1_000));
    let jittered = Rules { max_lifetime: most, max_lifetime_jitter_percent: 10, ..rules() };
    let lives = (0..50).map(|seed| {
        let core = Core::new(
            Arc::new(jittered.clone()),
            Allowed::NOTHING,
            None,
            Moment::NEVER,
            seed,
            START,
        );
        core.timeout().since(START).as_secs()
    });
    let lives: Vec<u64> = lives.collect();
    assert!(lives.iter().all(|life| (900..=1_000).contains(life)), "{lives:?}");
    assert!(lives.iter().max() > lives.iter().min());
}

#[test]
fn a_session_ends_when_the_right_to_it_does_or_its_life_whichever_is_first() {
    let most = Some(Duration::from_secs(1_000));
    for (expires, end) in [(500, End::Expired), (1_000, End::Expired), (2_000, End::Lifetime)] {
        let rules = Arc::new(Rules { max_lifetime: most, ..rules() });
        let at = START.after(Duration::from_secs(expires));
        let mut core = Core::new(Arc::clone(&rules), Allowed::NOTHING, None, at, 7, START);
        // New rules move the life, and never the right to it.
        core.on_note(Note::Rules(rules), START);
        let due = START.after(Duration::from_secs(expires.min(1_000)));
        assert_eq!(core.timeout(), due);
        core.on_timeout(due);
        assert_eq!(core.end, Some(end));
    }
}

#[test]
fn first_pings_are_spread_over_the_interval() {
    let first = |seed| {
        let core =
            Core::new(Arc::new(pinged()), Allowed::NOTHING, None, Moment::NEVER, seed, START);
        core.timeout().since(START).as_secs() / 10
    };
    let mut thirds: Vec<u64> = (0..60).map(first).collect();
    thirds.sort_unstable();
    thirds.dedup();
    assert_eq!(thirds, [0, 1, 2]);
}

#[test]
fn sessions_that_open_or_change_their_rules_at_once_do_not_ping_in_waves() {
    const SESSIONS: u64 = 3_000;
    let mut pings = [0; 180];
    for seed in 0..SESSIONS {
        let rules = Arc::new(pinged());
        let mut core =
            Core::new(Arc::clone(&rules), Allowed::NOTHING, None, Moment::NEVER, seed, START);
        let mut now = START;
        for until in [60, 120, 180].map(|seconds| START.after(Duration::from_secs(seconds))) {
            while core.timeout() < until {
                now = core.timeout().max(now);
                core.on_timeout(now);
                let sent = obey(&mut core, now, quiet);
                if !sent[Side::Client as usize].is_empty() {
                    pings[now.since(START).as_secs() as usize] += 1;
                }
                Side::BOTH.into_iter().for_each(|side| core.on_heard(side));
            }
            // After a minute every session hears of another interval, after two of the first again.
            let seconds = if until == START.after(Duration::from_secs(60)) { 20 } else { 30 };
            let ping_interval = Some(Duration::from_secs(seconds));
            core.on_note(Note::Rules(Arc::new(Rules { ping_interval, ..pinged() })), until);
            now = until;
        }
    }
    for (minute, seconds) in pings.chunks(60).enumerate() {
        let mean = SESSIONS / if minute == 1 { 20 } else { 30 };
        let (least, most) = (seconds.iter().min().unwrap(), seconds.iter().max().unwrap());
        assert!(mean * 6 / 10 <= *least && *most <= mean * 14 / 10, "of {mean}: {seconds:?}");
    }
}
