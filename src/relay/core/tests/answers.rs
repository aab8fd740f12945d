//! Who is left has had time to answer what the client said last.

use super::super::{HoldCause, Order};
use super::story::{START, Story, after, code, hold};
use crate::base::clock::Moment;
use crate::base::side::Side::{Client, Upstream};
use crate::config::plan::Hold;
use crate::end::{End, Loss, Reason};
use crate::registry::{EndOrder, MoveOrder, Note};

/// An order to move at once, or to be cut at `deadline`, that another upstream is there for.
fn leave(story: &mut Story, deadline: Option<Moment>, now: Moment) {
    let end = |deadline| EndOrder { reason: Reason::Command, at: now, deadline, code: None };
    let order = MoveOrder { at: now, otherwise: deadline.map(end) };
    story.note(Note::Move(order), now);
    story.core.leave(now);
    story.obey(now);
}

/// The Closes that the upstream was sent, and nothing else.
fn closes(story: &mut Story) -> Vec<(u8, u16)> {
    story.frames(Upstream).iter().map(code).collect()
}

const MOVED: [(u8, u16); 1] = [(0x88, 1001)];

#[test]
fn a_session_leaves_as_soon_as_its_last_message_is_answered() {
    let mut story = Story::new(hold());
    story.say(Client, "one", START);
    story.say(Client, "two", START);
    story.got(Upstream);
    leave(&mut story, None, START);
    let next = story.say(Client, "next", START);
    let first = story.say(Upstream, "answer to one", after(0.1));
    story.obey(after(0.1));
    assert_eq!((story.got(Upstream), story.got(Client)), (vec![], first));
    assert!(story.core.is_leaving());
    let second = story.say(Upstream, "answer to two", after(0.2));
    story.obey(after(0.2));
    assert_eq!((closes(&mut story), story.got(Client)), (MOVED.to_vec(), second));
    story.lose(after(0.2));
    assert_eq!(story.away().map(|away| away.why), Some(HoldCause::Moved));
    story.attach(after(0.2));
    assert_eq!(story.got(Upstream), next);
    // The next one owes an answer to that, and to nothing else.
    story.say(Upstream, "answer to next", after(0.3));
    leave(&mut story, None, after(0.3));
    assert_eq!(closes(&mut story), MOVED);
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_a_quarter_of_a_second() {
    for (said, unasked) in [(0.0, 0), (0.0, 5), (-0.2, 0), (-0.3, 0)] {
        let mut story = Story::new(hold());
        let (begin, now) = (after(1.0), after(1.0 + said));
        (0..unasked).for_each(|_| drop(story.say(Upstream, "unasked", START)));
        story.say(Client, "asks", now);
        story.got(Upstream);
        (0..unasked).for_each(|_| drop(story.say(Upstream, "unasked", now)));
        leave(&mut story, None, begin);
        if said > -0.25 {
            assert_eq!(closes(&mut story), [], "{said}");
            story.live(after(1.249 + said));
            assert_eq!(closes(&mut story), [], "{said}");
            story.live(after(1.25 + said));
        }
        assert_eq!(closes(&mut story), MOVED, "{said}");
    }
}

#[test]
fn the_client_of_an_upstream_that_takes_nothing_is_read_on_once_its_messages_are_kept() {
    let mut story = Story::new(hold());
    story.say(Client, "asks", START);
    story.note(Note::Move(MoveOrder { at: START, otherwise: None }), START);
    story.core.leave(START);
    assert!(story.core.crosses(Client));
    assert!(matches!(story.core.poll_order(START), Some(Order::Keeps)), "whoever drives it looks");
    assert!(story.core.wants(Client) && !story.core.crosses(Client));
    assert!(story.core.poll_order(START).is_none());
}

#[test]
fn an_answer_is_waited_for_at_most_half_of_the_time_that_is_left() {
    let mut story = Story::new(hold());
    story.say(Client, "asks", START);
    story.got(Upstream);
    leave(&mut story, Some(after(0.2)), START);
    assert_eq!((closes(&mut story), story.core.timeout()), (vec![], after(0.1)));
    story.tick(after(0.1));
    assert_eq!(closes(&mut story), MOVED);
    // Nor so long that what is kept meanwhile becomes too old.
    let message_age_max = std::time::Duration::from_millis(80);
    let mut story = Story::new(Hold { message_age_max, ..hold() });
    story.say(Client, "asks", START);
    story.got(Upstream);
    leave(&mut story, None, START);
    story.say(Client, "next", START);
    assert_eq!((closes(&mut story), story.core.timeout()), (vec![], after(0.02)));
    story.tick(after(0.02));
    assert_eq!((closes(&mut story), story.core.end), (MOVED.to_vec(), None));
}

#[test]
fn a_client_that_never_stops_talking_leaves_too_and_loses_nothing() {
    let mut story = Story::new(hold());
    story.say(Client, "asks", START);
    leave(&mut story, None, START);
    story.got(Upstream);
    let mut kept = Vec::new();
    for turn in 1..50 {
        let now = after(f64::from(turn) * 0.01);
        kept.extend(story.say(Client, "more", now));
        story.tick(now);
    }
    // In the midst of one that is kept.
    let half = story.frame(Client, 0x01, b"half");
    story.send(Client, &half, after(0.5));
    assert_eq!(closes(&mut story), MOVED);
    story.lose(after(0.5));
    let rest = story.frame(Client, 0x80, b"rest");
    story.send(Client, &rest, after(0.6));
    story.attach(after(0.7));
    assert_eq!(story.got(Upstream), [kept, half, rest].concat());
    assert_eq!(story.core.stats().client.messages, 51);
}

#[test]
fn what_is_kept_goes_where_it_can_when_the_wait_ends_otherwise() {
    let begin = || {
        let mut story = Story::new(hold());
        story.say(Client, "asks", START);
        leave(&mut story, None, START);
        story.got(Upstream);
        let kept = story.say(Client, "kept", after(0.1));
        (story, kept)
    };
    // The client closes: its upstream is still there.
    let (mut story, kept) = begin();
    let last = story.frame(Client, 0x81, b"last");
    let close = story.frame(Client, 0x88, &4321_u16.to_be_bytes());
    story.send(Client, &[&last[..], &close].concat(), after(0.2));
    story.obey(after(0.2));
    let got = story.got(Upstream);
    assert_eq!(got[..kept.len() + last.len()], [kept, last].concat());
    assert_eq!(story.core.end, Some(End::Closed { by: Client, code: 4321 }));
    assert_eq!(got[got.len() - 8], 0x88, "its own Close follows");
    // The upstream is lost: the next one takes it.
    let (mut story, kept) = begin();
    story.lose(after(0.2));
    assert!(story.away().is_some());
    story.attach(after(0.3));
    assert_eq!(story.got(Upstream), kept);
    // It is ordered to end.
    let (mut story, kept) = begin();
    let (at, deadline) = (after(0.2), after(9.0));
    story.note(Note::End(EndOrder { reason: Reason::Stop, at, deadline, code: None }), at);
    story.tick(at);
    assert_eq!((story.core.end, story.got(Upstream)), (Some(End::Drained(Reason::Stop)), kept));
    assert_eq!(story.budget.used(), 0);
    // Neither side can be written to: there is no client to go on for, and nothing spins.
    let (mut story, _) = begin();
    for side in [Client, Upstream] {
        story.core.on_write_failed(side, after(0.2));
    }
    let mut now = after(0.2);
    for _ in 0..100 {
        now = story.core.timeout().max(now).min(after(60.0));
        story.tick(now);
    }
    assert!(now == after(60.0) || story.core.end.is_some(), "{now:?}");
    assert_eq!((story.got(Upstream), story.budget.used()), (vec![], 0));
    // No other can begin where it stopped: it was lost in the midst of its answer.
    let (mut story, _) = begin();
    let half = story.frame(Upstream, 0x01, b"half");
    story.send(Upstream, &half, after(0.2));
    story.lose(after(0.2));
    assert_eq!(story.core.end, Some(End::Lost { side: Upstream, how: Loss::Eof }));
    assert_eq!((story.got(Upstream), story.budget.used()), (vec![], 0));
}
