//! A machine that slept, or a process that was stopped: all that was due is done late at once, and
//! nobody is blamed for what he could not do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::super::{Core, Order, Sample};
use super::peer::frame;
use super::rules;
use super::story::{START, Story, after, code, hold};
use crate::base::clock::Moment;
use crate::base::side::Side::{self, Client, Upstream};
use crate::config::plan::{Hold, Rules};
use crate::end::{End, Loss};
use crate::wire::frame::Allowed;

/// With pings, and the longest silence.
fn strict() -> Rules {
    Rules {
        ping_interval: Some(Duration::from_secs(30)),
        pong_timeout: Duration::from_secs(20),
        idle_timeout: Some(Duration::from_secs(300)),
        ..rules()
    }
}

fn core(seed: u64) -> Core {
    Core::new(Arc::new(strict()), Allowed::NOTHING, None, Moment::NEVER, seed, START)
}

/// Does what is due, both sides being read and having taken all; the pings that were sent.
fn tick(core: &mut Core, now: Moment) -> usize {
    core.on_timeout(now);
    let mut pings = 0;
    while let Some(order) = core.poll_order(now) {
        match order {
            Order::Send { frame, .. } if frame[0] == 0x89 => pings += 1,
            Order::Probe(side) => {
                let sample = Sample { reading: true, ..Sample::default() };
                core.on_probed(side, sample, Sample::default(), now);
            }
            _ => {}
        }
    }
    pings
}

/// Does what is due, each in its time, while `lives` says which sides answer; when it ended.
fn live(core: &mut Core, mut now: Moment, until: Moment, lives: &[Side]) -> (Moment, Option<End>) {
    while core.end.is_none() && now < until {
        now = core.timeout().max(now);
        lives.iter().for_each(|side| core.on_heard(*side));
        tick(core, now);
    }
    (now, core.end)
}

#[test]
fn a_side_that_was_asked_before_has_its_time_to_answer_after() {
    for (lives, end) in [
        (&[Client, Upstream][..], None),
        (&[Upstream], Some(End::Silent { side: Client })),
        (&[Client], Some(End::Silent { side: Upstream })),
    ] {
        // Asleep before the ping, or in the time of its answer.
        for seed in 0..50 {
            let mut core = core(seed);
            let mut now = START;
            while core.timeout() < after(19.9) {
                now = core.timeout();
                tick(&mut core, now);
            }
            let wakes = now.after(Duration::from_secs(200));
            tick(&mut core, wakes);
            assert_eq!(core.end, None, "seed {seed}");
            // It was asked before, or is now; who is quiet has his whole time.
            let until = wakes.after(Duration::from_secs(60));
            let (ended, found) = live(&mut core, wakes, until, lives);
            assert_eq!(found, end, "seed {seed}");
            let took = ended.since(wakes);
            assert!(took >= Duration::from_secs(20), "seed {seed}: {took:?}");
        }
    }
}

#[test]
fn a_session_is_not_idle_for_as_long_as_nobody_could_have_spoken() {
    for speaks in [true, false] {
        let mut core = core(7);
        let wakes = after(3_600.0);
        tick(&mut core, wakes);
        assert_eq!(core.end, None);
        let both = [Client, Upstream];
        if speaks {
            let text = frame(&mut Rng::with_seed(1), Client, 0x81, b"good morning");
            let heard = wakes.after(Duration::from_secs(19));
            let passage = core.pass(Client, &text, heard);
            assert_eq!(passage.messages, 1);
            let (_, end) = live(&mut core, heard, after(3_900.0), &both);
            assert_eq!(end, None);
        }
        let (ended, end) = live(&mut core, wakes, after(8_000.0), &both);
        let quiet = ended.since(wakes).as_secs();
        assert_eq!((end, quiet), (Some(End::Idle), if speaks { 319 } else { 20 }));
    }
}

#[test]
fn a_lifetime_goes_on_in_sleep() {
    let rules = Rules { max_lifetime: Some(Duration::from_secs(600)), ..strict() };
    let mut core = Core::new(Arc::new(rules), Allowed::NOTHING, None, Moment::NEVER, 7, START);
    tick(&mut core, after(700.0));
    assert_eq!(core.end, Some(End::Lifetime));
}

#[test]
fn a_side_that_was_sent_a_close_has_its_time_to_answer_after() {
    let mut story = Story::new(hold());
    let close = story.frame(Upstream, 0x88, &1000_u16.to_be_bytes());
    story.send(Upstream, &close, START);
    assert_eq!(code(&story.frames(Client)[0]), (0x88, 1000));
    story.tick(after(100.0));
    assert_eq!(story.dropped, [false; 2]);
    let echo = story.frame(Client, 0x88, &1000_u16.to_be_bytes());
    story.send(Client, &echo, after(104.0));
    story.obey(after(104.0));
    assert!(story.dropped[Client as usize], "ended in order");
    // One that still says nothing is closed.
    let mut story = Story::new(hold());
    story.send(Upstream, &close, START);
    story.tick(after(100.0));
    story.tick(after(105.0));
    story.tick(after(110.0));
    assert!(story.dropped[Client as usize]);
}

#[test]
fn an_upstream_is_looked_for_after_it_but_a_message_is_too_old() {
    let patient = Hold { message_age_max: Duration::from_secs(3_600), ..hold() };
    for (hold, speaks, found) in
        [(hold(), false, true), (patient, true, true), (hold(), true, false)]
    {
        let mut story = Story::new(hold);
        story.lose(after(1.0));
        if speaks {
            story.say(Client, "kept", after(2.0));
        }
        story.tick(after(600.0));
        assert_eq!(story.away().is_some(), found);
        if !found {
            assert_eq!(code(&story.frames(Client)[0]), (0x88, 1012));
            continue;
        }
        // Since when it is away stays as it was: its backend is told.
        assert_eq!(story.away().map(|away| away.since), Some(after(1.0)));
        let mut late = story;
        late.tick(after(619.0));
        assert!(late.away().is_some());
        late.attach(after(619.5));
        assert_eq!(late.got(Upstream).is_empty(), !speaks);
        assert_eq!(late.core.end, None);
    }
    let mut story = Story::new(hold());
    story.core.on_eof(Upstream, Loss::Reset, after(1.0));
    story.tick(after(600.0));
    story.tick(after(620.1));
    let lost = End::Lost { side: Upstream, how: Loss::Reset };
    assert_eq!(story.core.end, Some(lost), "in vain, in the end");
}
