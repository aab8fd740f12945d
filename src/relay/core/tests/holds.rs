//! What holding a session promises, rule by rule.

use std::time::Duration;

use super::super::hold::Hold as State;
use super::super::{HoldCause, HoldState, Order};
use super::peer::frame;
use super::story::{START, Story, after, code, hold};
use crate::base::clock::Moment;
use crate::base::side::Side::{Client, Upstream};
use crate::config::plan::Hold;
use crate::end::{End, Loss, Reason};
use crate::registry::{EndOrder, Note};
use crate::wire::frame::Allowed;

const LOST: End = End::Lost { side: Upstream, how: Loss::Eof };

#[test]
fn what_can_be_held_costs_one_small_box() {
    // With the replayed messages, and what the session keeps to dial again, it is all that a
    // session costs more on a holding route.
    assert!(size_of::<State>() <= 256, "{}", size_of::<State>());
}

#[test]
fn what_comes_while_the_upstream_is_away_goes_to_the_next_in_order() {
    let mut story = Story::new(hold());
    story.say(Client, "one", START);
    story.got(Upstream);
    story.lose(after(1.0));
    let away = HoldState {
        since: after(1.0),
        why: HoldCause::Lost,
        attempt: 1,
        not_before: Moment::default(),
    };
    assert_eq!((story.away(), story.dropped), (Some(away), [false, true]));
    let two = story.say(Client, "two", after(2.0));
    let three = story.say(Client, "three", after(3.0));
    assert_eq!(story.budget.used(), (two.len() + three.len()) as u64);
    story.core.on_dial_failed();
    assert_eq!(story.away().map(|away| away.attempt), Some(2));
    story.attach(after(4.0));
    assert_eq!((story.away(), story.got(Upstream)), (None, [two, three].concat()));
    let four = story.say(Client, "four", after(5.0));
    assert_eq!((story.got(Upstream), story.budget.used()), (four, 0));
    assert_eq!(story.core.stats().client.messages, 4);
}

#[test]
fn pings_are_answered_while_the_upstream_is_away_and_the_last_one_it_left_unanswered() {
    let mut story = Story::new(hold());
    let ping = story.frame(Client, 0x89, b"left");
    story.send(Client, &ping, START);
    assert_eq!(story.got(Upstream), ping);
    story.lose(after(1.0));
    assert_eq!(story.frames(Client), [(0x8a, b"left".to_vec())]);
    // Between two frames of a message too; its pongs go nowhere.
    let parts =
        [(0x01, &b"a"[..]), (0x89, b"again"), (0x8a, b"12345678"), (0x8a, b"x"), (0x80, b"b")];
    let parts = parts.map(|(first, payload)| story.frame(Client, first, payload));
    story.send(Client, &parts.concat(), after(2.0));
    assert_eq!(story.frames(Client), [(0x8a, b"again".to_vec())]);
    story.attach(after(3.0));
    assert_eq!(story.got(Upstream), [&parts[0][..], &parts[4]].concat());
    // What was answered is not answered again.
    let ping = story.frame(Client, 0x89, b"next");
    story.send(Client, &ping, after(4.0));
    let pong = story.frame(Upstream, 0x8a, b"next");
    story.send(Upstream, &pong, after(4.0));
    story.lose(after(4.0));
    assert_eq!(story.got(Client), pong);
}

#[test]
fn a_message_half_sent_to_a_lost_upstream_is_left_out_to_its_end() {
    for attached_first in [false, true] {
        let mut story = Story::new(hold());
        let long =
            [story.frame(Client, 0x01, &[1; 300]), story.frame(Client, 0x80, &[2; 200])].concat();
        story.send(Client, &long[..100], START);
        story.got(Upstream);
        story.lose(after(1.0));
        if attached_first {
            story.attach(after(1.0));
        }
        story.send(Client, &long[100..400], after(2.0));
        let ping = story.frame(Client, 0x89, b"?");
        story.send(Client, &long[400..], after(2.0));
        story.send(Client, &ping, after(2.0));
        let next = story.say(Client, "next", after(3.0));
        if !attached_first {
            assert_eq!(story.got(Upstream), b"");
            story.attach(after(4.0));
            assert_eq!(story.got(Upstream), next);
        } else {
            assert_eq!(story.got(Upstream), [ping, next].concat());
        }
    }
}

#[test]
fn a_message_cut_towards_the_client_ends_the_session() {
    for (sent, cut) in [(1.0, false), (0.5, true)] {
        let mut story = Story::new(hold());
        let half = story.frame(Upstream, 0x01, &[1; 100]);
        story.send(Upstream, &half[..(half.len() as f64 * sent) as usize], START);
        story.got(Client);
        story.lose(after(1.0));
        assert_eq!((story.core.end, story.away()), (Some(LOST), None));
        let told = story.frames(Client);
        assert_eq!(told.first().map(code), (!cut).then_some((0x88, 1012)));
        assert_eq!(story.core.stats().cut, cut);
    }
}

#[test]
fn codes_say_whether_an_upstream_is_lost() {
    for lost in [1000, 1001, 1011, 1012, 1013, 4000_u16] {
        let mut story = Story::new(hold());
        let close = story.frame(Upstream, 0x88, &lost.to_be_bytes());
        story.send(Upstream, &close, START);
        story.obey(START);
        if hold().lost_codes.contains(&lost) {
            assert_eq!((story.core.end, story.got(Client)), (None, Vec::new()));
            assert_eq!(story.frames(Upstream).first().map(code), Some((0x88, lost)));
            assert!(story.away().is_some() && story.dropped[1]);
        } else {
            assert_eq!(story.core.end, Some(End::Closed { by: Upstream, code: lost }));
            assert_eq!(story.got(Client), close);
        }
    }
}

#[test]
fn a_wait_has_its_end() {
    // In vain, by the clock.
    let mut story = Story::new(hold());
    story.lose(after(1.0));
    assert_eq!(story.core.timeout(), after(31.0));
    story.tick(after(31.0));
    assert_eq!(story.core.end, Some(LOST));
    assert_eq!(story.frames(Client).first().map(code), Some((0x88, 1012)));
    // In vain, as whoever dials says.
    let mut story = Story::new(hold());
    story.lose(after(1.0));
    story.core.give_up(after(2.0));
    assert_eq!(story.core.end, Some(LOST));
    assert!(!story.core.attach(after(2.0)), "nobody waits any more");
    // A message that became too old.
    let mut story = Story::new(hold());
    story.lose(after(1.0));
    story.say(Client, "in time", after(5.0));
    story.say(Client, "later", after(9.0));
    story.tick(after(24.9));
    assert_eq!(story.core.end, None);
    story.tick(after(25.0));
    assert_eq!((story.core.end, story.budget.used()), (Some(LOST), 0));
}

#[test]
fn a_full_buffer_stops_the_client_and_then_ends_the_session() {
    for (buffer, budget) in [(1_000, 1_000_000), (1_000_000, 1_000)] {
        let hold = Hold { buffer_bytes_max: buffer, ..hold() };
        let mut story = Story::with(hold, Allowed::NOTHING, budget);
        story.lose(START);
        let long = story.frame(Client, 0x82, &[1; 2_000]);
        let passage = story.core.pass(Client, &long, after(1.0));
        assert_eq!((passage.used, passage.forward, passage.again), (1_000, 0, false));
        assert!(!story.core.wants(Client));
        assert_eq!((story.budget.used(), story.core.timeout()), (1_000, after(11.0)));
        story.tick(after(11.0));
        assert_eq!(story.core.end, Some(End::NoRoom { side: Upstream }));
        assert_eq!(story.frames(Client).first().map(code), Some((0x88, 1013)));
        // Read again, for its answer.
        assert!(story.core.wants(Client));
        assert_eq!(story.budget.used(), 0);
    }
}

#[test]
fn a_full_buffer_is_told_1013_although_its_message_is_too_old_before() {
    let with = Hold { buffer_bytes_max: 64, message_age_max: Duration::from_secs(5), ..hold() };
    let mut story = Story::new(Hold { full_timeout: with.message_age_max, ..with });
    story.lose(after(1.0));
    let long = story.frame(Client, 0x82, &[7; 50]);
    story.send(Client, &long, after(2.0));
    story.send(Client, &long, after(4.0));
    assert!(!story.core.wants(Client));
    story.tick(after(7.0));
    assert_eq!(story.core.end, Some(End::NoRoom { side: Upstream }));
}

#[test]
fn a_full_buffer_that_is_sent_makes_room() {
    let mut story = Story::new(hold());
    story.lose(START);
    let long = story.frame(Client, 0x82, &[1; 2_000]);
    assert_eq!(story.core.pass(Client, &long, after(1.0)).used, 1_000);
    story.attach(after(2.0));
    assert!(story.core.wants(Client));
    story.send(Client, &long[1_000..], after(2.0));
    assert_eq!((story.got(Upstream), story.budget.used()), (long, 0));
    story.tick(after(20.0));
    assert_eq!(story.core.end, None);
}

#[test]
fn a_session_that_ends_while_its_upstream_is_away_ends_as_any() {
    // Its client closes and hears the echo.
    let mut story = Story::new(hold());
    story.lose(START);
    story.say(Client, "never sent", after(1.0));
    let close = story.frame(Client, 0x88, &4000_u16.to_be_bytes());
    story.send(Client, &close, after(1.0));
    story.obey(after(1.0));
    assert_eq!(story.core.end, Some(End::Closed { by: Client, code: 4000 }));
    assert_eq!(story.frames(Client).first().map(code), Some((0x88, 4000)));
    assert_eq!(story.budget.used(), 0);
    // It is lost.
    let mut story = Story::new(hold());
    story.lose(START);
    story.core.on_eof(Client, Loss::Reset, after(1.0));
    story.obey(after(1.0));
    assert_eq!(story.core.end(), Some(End::Lost { side: Client, how: Loss::Reset }));
    // It is closed.
    let mut story = Story::new(hold());
    story.lose(START);
    let (at, deadline) = (after(1.0), after(9.0));
    story.note(Note::End(EndOrder { reason: Reason::Stop, at, deadline, code: None }), START);
    story.tick(after(1.0));
    assert_eq!(story.core.end, Some(End::Drained(Reason::Stop)));
    assert_eq!(story.frames(Client).first().map(code), Some((0x88, 1012)));
}

#[test]
fn nobody_can_say_where_messages_of_an_unknown_extension_end() {
    let mut story = Story::with(hold(), Allowed::ANYTHING, 1_000);
    story.lose(START);
    assert_eq!(story.core.end, Some(LOST));
}

#[test]
fn of_what_could_not_be_sent_whole_messages_are_kept() {
    let mut story = Story::new(hold());
    let messages: Vec<_> = (0..4).map(|n| frame(&mut story.rng, Client, 0x82, &[n; 50])).collect();
    let ping = frame(&mut story.rng, Client, 0x89, b"?");
    let bytes = [&messages[0][..], &messages[1], &ping, &messages[2], &messages[3][..20]].concat();
    // Of these the transport takes the first, and a part of the second.
    assert_eq!(story.core.pass(Client, &bytes, START).forward, bytes.len());
    let (sent, unsent) = bytes.split_at(messages[0].len() + 10);
    story.core.on_spilled(&sent[..5], START);
    story.core.on_eof(Upstream, Loss::Reset, after(1.0));
    loop {
        match story.core.poll_order(after(1.0)) {
            Some(Order::Drop { .. }) => story.core.on_unsent(&sent[5..], unsent, after(1.0)),
            Some(_) => {}
            None => break,
        }
    }
    story.send(Client, &messages[3][20..], after(2.0));
    story.attach(after(3.0));
    assert_eq!(story.got(Upstream), messages[2..].concat());
}

#[test]
fn writing_that_fails_amid_a_message_from_the_upstream_loses_nothing_that_was_not_sent() {
    let mut story = Story::new(hold());
    let (begun, rest) = (story.frame(Upstream, 0x01, b"be"), story.frame(Upstream, 0x80, b"gun"));
    story.send(Upstream, &begun, START);
    let unsent = story.frame(Client, 0x82, &[1; 50]);
    assert_eq!(story.core.pass(Client, &unsent, START).forward, unsent.len());
    story.core.on_spilled(&[], START);
    story.core.on_write_failed(Upstream, after(1.0));
    story.core.on_unsent(&[], &unsent, after(1.0));
    story.obey(after(1.0));
    let later = story.say(Client, "while it ends", after(1.5));
    story.send(Upstream, &rest, after(2.0));
    story.lose(after(2.0));
    assert_eq!(story.got(Client), [begun, rest].concat());
    story.attach(after(3.0));
    assert_eq!(story.got(Upstream), [unsent, later].concat());
}

#[test]
fn writing_that_fails_amid_a_message_that_never_becomes_whole_ends_the_session() {
    let mut story = Story::new(hold());
    let begun = story.frame(Upstream, 0x01, b"be");
    story.send(Upstream, &begun, START);
    story.core.on_write_failed(Upstream, after(1.0));
    story.core.on_unsent(&[], &[], after(1.0));
    story.say(Client, "kept for nobody", after(1.5));
    story.lose(after(2.0));
    assert_eq!((story.core.end, story.budget.used()), (Some(LOST), 0));
}

#[test]
fn of_an_echo_that_was_sent_in_part_nothing_is_kept() {
    let mut story = Story::new(hold());
    // Of a message that is left out one byte is to come when another upstream says that it goes.
    let cut = story.frame(Client, 0x82, &[1; 50]);
    let (cut, last) = cut.split_at(cut.len() - 1);
    story.send(Client, &cut[..20], START);
    story.lose(after(1.0));
    story.send(Client, &cut[20..], after(1.0));
    story.attach(after(2.0));
    story.got(Upstream);
    let goes = story.frame(Upstream, 0x88, &1012_u16.to_be_bytes());
    assert!(story.core.pass(Upstream, &goes, after(7.0)).again);
    let mut rest = Vec::new();
    loop {
        match story.core.poll_order(after(7.0)) {
            Some(Order::Send { to: Upstream, frame: echo, .. }) => {
                story.core.on_spilled(&echo[..1], after(7.0));
                rest = echo[1..].to_vec();
            }
            Some(Order::Drop { .. }) => story.core.on_unsent(&[], &rest, after(7.0)),
            Some(_) => {}
            None => break,
        }
    }
    story.send(Client, last, after(8.0));
    let next = story.say(Client, "whole", after(8.0));
    story.attach(after(9.0));
    assert_eq!(story.got(Upstream), next);
}

#[test]
fn an_echo_that_fails_leaves_nothing_behind_for_the_next_upstream() {
    let mut story = Story::new(hold());
    // It says that it goes, and is gone before it can be answered.
    let goes = story.frame(Upstream, 0x88, &1012_u16.to_be_bytes());
    assert!(story.core.pass(Upstream, &goes, START).again);
    while let Some(order) = story.core.poll_order(START) {
        match order {
            Order::Send { to: Upstream, .. } => {
                story.core.on_write_failed(Upstream, START);
                story.core.on_unsent(&[], &[], START);
            }
            Order::Drop { .. } => story.core.on_unsent(&[], &[], START),
            _ => {}
        }
    }
    story.attach(after(1.0));
    assert_eq!(story.core.timeout(), Moment::NEVER, "it has nothing to do with the one before");
    story.tick(after(100.0));
    assert_eq!((story.core.end, story.away()), (None, None));
}

#[test]
fn a_budget_that_is_used_up_by_others_stops_a_client_until_its_upstream_comes() {
    let mut story = Story::with(hold(), Allowed::NOTHING, 0);
    story.lose(START);
    let message = story.frame(Client, 0x82, &[1; 100]);
    assert_eq!(story.core.pass(Client, &message, after(1.0)).used, 0);
    assert!(!story.core.wants(Client));
    story.attach(after(2.0));
    assert!(story.core.wants(Client));
    story.send(Client, &message, after(2.0));
    assert_eq!(story.got(Upstream), message);
    story.tick(after(60.0));
    assert_eq!(story.core.end, None);
}

#[test]
fn a_message_that_was_taken_back_is_counted_once() {
    let mut story = Story::new(hold());
    let message = story.frame(Client, 0x82, &[1; 50]);
    assert_eq!(story.core.pass(Client, &message, START).forward, message.len());
    story.core.on_spilled(&[], START);
    story.core.on_write_failed(Upstream, START);
    story.core.on_unsent(&[], &message, START);
    assert_eq!(story.core.stats().client.messages, 0);
    story.lose(after(1.0));
    let mut fresh = None;
    assert!(story.core.attach(after(2.0)));
    while let Some(order) = story.core.poll_order(after(2.0)) {
        if let Order::Flush(flush) = order {
            fresh = flush.fresh;
        }
    }
    // Not again where it was counted as it came.
    assert_eq!(fresh, Some((0, 0)));
    let client = story.core.stats().client;
    assert_eq!((client.messages, client.bytes), (1, message.len() as u64));
}
