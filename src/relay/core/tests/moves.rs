//! What a session promises that is moved, or begun again at another upstream.

use super::super::{Demand, HoldCause};
use super::story::{START, Story, after, code, hold};
use crate::base::clock::Moment;
use crate::base::side::Side::{Client, Upstream};
use crate::config::plan::Hold;
use crate::end::{End, Loss, Reason};
use crate::registry::{EndOrder, MoveOrder, Note};

fn asked(at: Moment) -> Note {
    Note::Move(MoveOrder { at, otherwise: None })
}

/// The order to end at this moment, and to be cut 10 s later.
fn ended(seconds: f64) -> EndOrder {
    let (at, deadline) = (after(seconds), after(seconds + 10.0));
    EndOrder { reason: Reason::Removed, at, deadline, code: None }
}

#[test]
fn an_order_that_is_withdrawn_is_not_obeyed_and_one_that_stands_is() {
    let move_or_end = Note::Move(MoveOrder { at: after(5.0), otherwise: Some(ended(5.0)) });
    for order in [Note::End(ended(5.0)), move_or_end, asked(after(5.0))] {
        let mut story = Story::new(hold());
        story.core.on_note(order.clone(), START);
        story.core.on_note(Note::Withdrawn, after(1.0));
        story.tick(after(30.0));
        assert_eq!((story.core.end, story.core.demand()), (None, None), "{order:?}");
        // It is as one that was never told.
        story.core.on_note(Note::End(ended(40.0)), after(30.0));
        story.tick(after(39.0));
        assert_eq!(story.core.end, None, "{order:?}");
        story.tick(after(40.0));
        assert_eq!(story.core.end, Some(End::Drained(Reason::Removed)), "{order:?}");
    }
    // One that asks for a place elsewhere already need not go, and one that goes is not ended.
    let mut story = Story::new(hold());
    story.core.on_note(Note::Move(MoveOrder { at: START, otherwise: Some(ended(0.0)) }), START);
    assert_eq!(story.core.demand(), Some(Demand::Target));
    story.core.on_note(Note::Withdrawn, START);
    assert_eq!(story.core.demand(), None);
    story.core.on_note(Note::Move(MoveOrder { at: START, otherwise: Some(ended(0.0)) }), START);
    story.core.leave(START);
    story.core.on_note(Note::Withdrawn, START);
    story.core.stay();
    story.tick(after(30.0));
    assert_eq!(story.core.end, None);
}

const LOST: End = End::Lost { side: Upstream, how: Loss::Eof };

#[test]
fn first_messages_are_replayed_and_their_answers_swallowed() {
    let with = Hold { replay_first: 2, swallow_first: 1, ..hold() };
    let mut story = Story::new(with);
    let init = story.say(Client, "init", START);
    story.say(Upstream, "ack", START);
    // Only one of the two was sent by now.
    story.got(Upstream);
    story.got(Client);
    story.lose(after(1.0));
    let subscribe = story.say(Client, "subscribe", after(1.0));
    story.attach(after(2.0));
    assert_eq!(story.got(Upstream), init);
    let more = story.say(Client, "more", after(2.0));
    // Its own ping is answered, and the answer that was seen before stays here; the rest waits.
    let ping = story.frame(Upstream, 0x89, b"you?");
    let ack = story.frame(Upstream, 0x01, b"ac");
    story.send(Upstream, &[ping, ack].concat(), after(3.0));
    story.obey(after(3.0));
    assert_eq!(story.frames(Upstream), [(0x8a, b"you?".to_vec())]);
    let rest = [story.frame(Upstream, 0x80, b"k"), story.frame(Upstream, 0x81, b"event")];
    story.send(Upstream, &rest.concat(), after(4.0));
    assert_eq!(story.got(Upstream), [&subscribe[..], &more].concat());
    assert_eq!(story.got(Client), rest[1]);
    // The next one is sent both; the second, which came after the answer to the first, after it.
    story.lose(after(20.0));
    story.attach(after(21.0));
    assert_eq!(story.got(Upstream), init);
    story.say(Upstream, "ack", after(21.5));
    story.obey(after(21.5));
    assert_eq!(story.got(Upstream), subscribe);
    assert_eq!(story.got(Client), Vec::<u8>::new());
    // The answer of the one after that does not come in time.
    story.lose(after(40.0));
    story.attach(after(41.0));
    story.tick(after(44.0));
    assert_eq!(story.core.end, Some(LOST));
}

#[test]
fn nothing_of_an_answer_that_is_swallowed_is_seen_whatever_comes_between() {
    let with = Hold { swallow_first: 1, ..hold() };
    let begin = || {
        let mut story = Story::new(with.clone());
        story.say(Upstream, "ack", START);
        story.lose(after(1.0));
        story.attach(after(2.0));
        let half = story.frame(Upstream, 0x81, &[b'a'; 100]);
        story.send(Upstream, &half[..50], after(2.0));
        story.got(Client);
        (story, half)
    };
    // It is lost in the middle of it: the client is between two messages, and is answered.
    let (mut story, _) = begin();
    story.lose(after(3.0));
    assert!(story.away().is_some());
    let ping = story.frame(Client, 0x89, b"?");
    story.send(Client, &ping, after(3.0));
    assert_eq!(story.frames(Client), [(0x8a, b"?".to_vec())]);
    // It cannot be written to, and says the rest.
    let (mut story, half) = begin();
    story.core.on_write_failed(Upstream, after(3.0));
    story.core.on_unsent(&[], &[], after(3.0));
    story.send(Upstream, &half[50..], after(3.0));
    assert_eq!(story.got(Client), b"");
    // The session ends.
    let (mut story, half) = begin();
    let close = story.frame(Client, 0x88, &1000_u16.to_be_bytes());
    story.send(Client, &close, after(3.0));
    story.obey(after(3.0));
    assert_eq!(story.frames(Upstream).last().map(code), Some((0x88, 1000)));
    let more = story.frame(Upstream, 0x81, b"more");
    story.send(Upstream, &[&half[50..], &more].concat(), after(3.0));
    assert_eq!(story.got(Client), b"");
    let close = story.frame(Upstream, 0x88, &1000_u16.to_be_bytes());
    story.send(Upstream, &close, after(4.0));
    assert_eq!(story.got(Client), close);
}

#[test]
fn an_opening_that_is_too_long_or_cut_cannot_be_replayed() {
    let with = Hold { replay_first: 2, replay_bytes_max: 30, ..hold() };
    let mut story = Story::new(with.clone());
    story.say(Client, "longer than thirty bytes in all", START);
    story.lose(after(1.0));
    assert_eq!(story.core.end, Some(LOST));
    let mut story = Story::new(with);
    let half = story.frame(Client, 0x01, b"half");
    story.send(Client, &half, START);
    story.lose(after(1.0));
    assert_eq!(story.core.end, Some(LOST));
}

#[test]
fn a_session_moves_at_a_border_of_messages() {
    let mut story = Story::new(hold());
    let first = story.frame(Client, 0x01, b"first half");
    story.send(Client, &first, START);
    story.note(asked(after(1.0)), START);
    assert_eq!((story.core.demand(), story.core.timeout()), (None, after(1.0)));
    story.tick(after(1.0));
    assert_eq!(story.core.demand(), Some(Demand::Target));
    story.core.leave(after(1.0));
    story.obey(after(1.0));
    assert_eq!((story.core.demand(), story.got(Upstream)), (None, first));
    assert!(story.core.is_leaving());
    let second = story.frame(Client, 0x80, b"second half");
    story.send(Client, &second, after(2.0));
    let next = story.say(Client, "next", after(2.0));
    // It has time to answer that, before it reads a Close.
    assert_eq!(story.got(Upstream), second);
    story.tick(after(2.3));
    assert_eq!(story.frames(Upstream).iter().map(code).collect::<Vec<_>>(), [(0x88, 1001)]);
    // What it still says is heard; then it is gone, and nobody was told.
    let last = story.say(Upstream, "last", after(3.0));
    let close = story.frame(Upstream, 0x88, &1001_u16.to_be_bytes());
    story.send(Upstream, &close, after(4.0));
    story.obey(after(4.0));
    assert_eq!((story.got(Client), story.dropped), (last, [false, true]));
    assert_eq!(story.away().map(|away| away.why), Some(HoldCause::Moved));
    story.attach(after(5.0));
    assert_eq!(story.got(Upstream), next);
}

#[test]
fn a_move_waits_for_no_message_and_for_no_answer_for_ever() {
    let mut story = Story::new(hold());
    let half = story.frame(Client, 0x01, b"half");
    story.send(Client, &half, START);
    story.note(asked(START), START);
    story.core.leave(START);
    story.tick(after(5.0));
    assert!(!story.core.is_leaving() && story.core.demand().is_none(), "it stays");
    let rest = story.frame(Client, 0x80, b"rest");
    story.send(Client, &rest, after(6.0));
    assert_eq!(story.got(Upstream), [half, rest].concat());
    // PendingPing again it leaves, and its upstream does not answer.
    story.note(asked(after(7.0)), after(7.0));
    story.core.leave(after(7.0));
    story.obey(after(7.0));
    assert!(story.core.is_leaving() && story.away().is_none());
    story.live(after(12.0));
    assert_eq!(story.away().map(|away| away.why), Some(HoldCause::Moved));
}

#[test]
fn an_end_goes_before_a_move() {
    let mut story = Story::new(hold());
    story.note(asked(START), START);
    let (at, deadline) = (START, after(9.0));
    story.note(Note::End(EndOrder { reason: Reason::Command, at, deadline, code: None }), START);
    story.tick(START);
    assert_eq!((story.core.end, story.core.demand()), (Some(End::Drained(Reason::Command)), None));
    story.core.leave(START);
    story.obey(START);
    assert!(story.got(Upstream).is_empty());
}

fn asked_or_to_go(at: Moment, deadline: Moment) -> Note {
    let end = EndOrder { reason: Reason::Command, at, deadline, code: None };
    Note::Move(MoveOrder { at, otherwise: Some(end) })
}

#[test]
fn who_cannot_move_is_closed_where_the_order_says_so() {
    let gone = Some(End::Drained(Reason::Command));
    // There is no place elsewhere.
    let mut story = Story::new(hold());
    story.note(asked_or_to_go(START, after(9.0)), START);
    assert_eq!(story.core.demand(), Some(Demand::Target));
    story.core.stay();
    story.tick(START);
    assert_eq!(story.core.end, gone);
    // Its message is not whole in time.
    let mut story = Story::new(hold());
    let half = story.frame(Client, 0x01, b"half");
    story.send(Client, &half, START);
    story.note(asked_or_to_go(START, after(3.0)), START);
    story.core.leave(START);
    story.tick(after(2.9));
    assert!(story.core.is_leaving());
    story.tick(after(3.0));
    assert_eq!(story.core.end, gone);
    // It has another upstream before the order is due.
    let mut story = Story::new(hold());
    story.note(asked_or_to_go(after(5.0), after(9.0)), START);
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.tick(after(30.0));
    assert_eq!((story.core.end, story.core.demand()), (None, None));
}

#[test]
fn no_other_upstream_is_asked_for_longer_than_half_of_the_time_that_is_left_to_end() {
    let mut story = Story::new(hold());
    story.note(asked_or_to_go(after(2.0), after(9.0)), START);
    story.tick(after(3.0));
    assert_eq!((story.core.demand(), story.core.timeout()), (Some(Demand::Target), after(6.0)));
    story.tick(after(6.0));
    story.tick(after(6.0));
    assert_eq!(story.core.end, Some(End::Drained(Reason::Command)));
    // One that is only to move is asked for as long as its handshake may take.
    let mut story = Story::new(hold());
    story.note(asked(START), START);
    story.tick(after(300.0));
    assert_eq!((story.core.demand(), story.core.end), (Some(Demand::Target), None));
    story.core.stay();
    assert_eq!((story.core.demand(), story.core.timeout()), (None, Moment::NEVER));
}

#[test]
fn what_an_order_to_move_finds_unfinished_is_moved_after_that() {
    let mut story = Story::new(Hold { swallow_first: 1, ..hold() });
    story.say(Upstream, "ack", START);
    story.lose(after(1.0));
    story.attach(after(2.0));
    story.note(asked(after(2.0)), after(2.0));
    assert_eq!(story.core.demand(), None, "its upstream is not its own yet");
    story.say(Upstream, "ack", after(3.0));
    story.obey(after(3.0));
    story.tick(after(3.0));
    assert_eq!(story.core.demand(), Some(Demand::Target));
}

#[test]
fn a_client_that_closes_while_it_is_moved_hears_its_own_code() {
    for answer in [1001_u16, 1000, 4000] {
        let mut story = Story::new(hold());
        story.note(asked(START), START);
        story.core.leave(START);
        story.obey(START);
        assert_eq!(story.frames(Upstream).last().map(code), Some((0x88, 1001)));
        let bye = story.frame(Client, 0x88, &4321_u16.to_be_bytes());
        story.send(Client, &bye, after(1.0));
        let last = story.say(Upstream, "last", after(2.0));
        let close = story.frame(Upstream, 0x88, &answer.to_be_bytes());
        story.send(Upstream, &close, after(2.0));
        story.obey(after(2.0));
        assert_eq!(story.core.end, Some(End::Closed { by: Client, code: 4321 }));
        let got = story.got(Client);
        assert_eq!(got[..last.len()], last);
        assert_eq!(got[last.len()..], [0x88, 2, 0x10, 0xe1]);
    }
}

#[test]
fn an_upstream_that_is_left_has_time_while_it_is_not_read() {
    let mut story = Story::new(hold());
    story.reading = false;
    story.note(asked(START), START);
    story.core.leave(START);
    story.obey(START);
    story.tick(after(60.0));
    assert!(story.core.is_leaving() && story.core.end.is_none(), "its client reads nothing");
    // From when it is read again it has its time to answer.
    story.reading = true;
    for second in 61..70 {
        story.tick(after(f64::from(second)));
    }
    assert_eq!(story.away().map(|away| away.why), Some(HoldCause::Moved));
}

#[test]
fn an_upstream_that_is_cut_while_it_is_not_read_ends_the_session() {
    let mut story = Story::new(hold());
    story.reading = false;
    story.note(asked_or_to_go(START, after(9.0)), START);
    story.core.leave(START);
    story.obey(START);
    story.live(after(8.9));
    assert_eq!(story.core.end, None);
    // What it said is lost with it, so no other can go on where it stopped.
    story.tick(after(9.0));
    assert_eq!(story.core.end.map(|end| end.by()), Some(Some(Upstream)));
}

#[test]
fn a_drains_deadline_ends_the_wait_for_an_upstream_that_cannot_be_written_to() {
    let by = after(20.0);
    for (order, end) in [
        (Note::Move(MoveOrder { at: after(10.0), otherwise: Some(ended(10.0)) }), None),
        (Note::End(ended(10.0)), Some(End::Drained(Reason::Removed))),
        (asked(after(10.0)), None),
    ] {
        let bounded = !matches!(order, Note::Move(MoveOrder { otherwise: None, .. }));
        for order_first in [false, true] {
            let mut story = Story::new(hold());
            // Its client is slow, so that what it said before is not read.
            story.reading = false;
            if order_first {
                story.note(order.clone(), START);
            }
            story.core.on_write_failed(Upstream, after(1.0));
            story.core.on_unsent(&[], &[], after(1.0));
            if !order_first {
                story.note(order.clone(), after(2.0));
            }
            let mut now = after(2.0);
            while !story.dropped[Upstream as usize] && now < after(600.0) {
                now = story.core.timeout().max(now);
                story.tick(now);
            }
            let in_time = now <= by.after(std::time::Duration::from_secs(2));
            assert_eq!(in_time, bounded, "{order:?}, first: {order_first}: {now:?}");
            assert!(end.is_none() || story.core.end == end, "{:?}", story.core.end);
        }
    }
}
