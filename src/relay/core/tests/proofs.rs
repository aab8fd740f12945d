//! When an upstream is believed, and what is done before.

use super::super::{HoldCause, HoldState};
use super::story::{START, Story, after, code, hold};
use crate::base::clock::Moment;
use crate::base::side::Side::{Client, Upstream};
use crate::config::plan::Hold;
use crate::end::{End, Loss};
use crate::relay::HoldEnd;

const LOST: End = End::Lost { side: Upstream, how: Loss::Eof };

#[test]
fn an_upstream_that_is_lost_as_it_comes_does_not_lengthen_the_wait() {
    let mut story = Story::new(hold());
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.lose(after(3.0));
    let away = HoldState {
        since: after(1.0),
        why: HoldCause::Lost,
        attempt: 2,
        not_before: Moment::default(),
    };
    assert_eq!((story.away(), story.core.timeout()), (Some(away), after(31.0)));
    // Nor does one that spoke and lived for a short time, or lived and passed no message; but the
    // time in which it was there does not count.
    story.attach(after(4.0));
    story.say(Upstream, "hello", after(4.0));
    story.lose(after(8.0));
    story.attach(after(9.0));
    story.lose(after(19.0));
    let (attempt, not_before) = (4, Moment::default());
    let away = HoldState { since: after(11.0), why: HoldCause::Lost, attempt, not_before };
    assert_eq!((story.away(), story.core.timeout()), (Some(away), after(41.0)));
    // One that did both was there, and so was one that was silent for as long as a hold may last.
    story.attach(after(20.0));
    story.say(Client, "hello", after(20.0));
    story.lose(after(25.0));
    assert_eq!(story.away().map(|away| (away.since, away.attempt)), Some((after(25.0), 1)));
    story.attach(after(26.0));
    story.lose(after(56.0));
    assert_eq!(story.away().map(|away| (away.since, away.attempt)), Some((after(56.0), 1)));
}

#[test]
fn a_session_is_given_so_many_upstreams_in_a_minute_until_one_is_proven() {
    let mut story = Story::new(Hold { resumptions_per_minute_max: 2, ..hold() });
    let not_before = |story: &Story| story.away().map(|away| away.not_before);
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.lose(after(2.0));
    assert_eq!(not_before(&story), Some(Moment::default()));
    story.attach(after(3.0));
    story.lose(after(3.0));
    assert_eq!(not_before(&story), Some(after(60.0)), "a minute from its beginning");
    story.attach(after(4.0));
    story.say(Client, "hello", after(5.0));
    story.lose(after(9.0));
    assert_eq!(not_before(&story), Some(Moment::default()));
}

#[test]
fn what_two_upstreams_died_of_is_not_sent_to_a_third() {
    let with = || Hold { replay_first: 1, ..hold() };
    // Opened, and lost with its first message at once; then resumed, and lost again.
    let mut story = Story::new(with());
    story.say(Client, "poison", START);
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.lose(after(3.0));
    assert_eq!((story.core.end, story.core.ran_out()), (Some(LOST), Some(HoldEnd::Poison)));
    assert_eq!(story.frames(Client).first().map(code), Some((0x88, 1012)));
    // One that was proven between.
    let mut story = Story::new(with());
    story.say(Client, "harmless", START);
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.say(Upstream, "hello", after(2.0));
    story.lose(after(7.0));
    story.attach(after(8.0));
    story.lose(after(9.0));
    assert_eq!((story.core.end, story.away().is_some()), (None, true));
}

#[test]
fn an_upstream_that_turns_a_resumed_session_away_is_lost_to_its_client() {
    for (at, resumed, own) in [(3.0, true, false), (7.0, true, true), (3.0, false, true)] {
        let mut story = Story::new(hold());
        if resumed {
            story.lose(after(1.0));
            story.attach(after(2.0));
        }
        let close = story.frame(Upstream, 0x88, &4401_u16.to_be_bytes());
        story.send(Upstream, &close, after(at));
        story.obey(after(at));
        let told = if own { 4401 } else { 1012 };
        assert_eq!(story.frames(Client).first().map(code), Some((0x88, told)), "{at} {resumed}");
        if !own {
            // It is answered all the same.
            assert_eq!(story.frames(Upstream).first().map(code), Some((0x88, 4401)));
        }
    }
}
