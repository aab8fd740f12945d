//! The reference model of a session: what each side must have got, and by which rule it may lack
//! something.

use std::time::Duration;

use super::Play;
use super::actor::{Actor, messages, pushed};
use crate::base::side::Side::{Client, Upstream};
use crate::config::plan::Rules;
use crate::end::{End, Farewell};
use crate::registry::PushOutcome;
use crate::relay::core::tests::peer::parse;

/// Judges a session that came to its end.
pub fn judge(play: &Play) {
    upstreams_got_each_message_once_and_in_order(play);
    the_client_got_all_that_its_upstreams_said(play);
    the_client_was_told_truly(play);
    the_clients_last_ping_was_answered(play);
    nobody_was_blamed_for_our_sleep(play);
    pushed_messages_came_whole_once_and_in_order(play);
    who_was_left_had_time_to_answer(play);
}

/// Each message of the client's came to one upstream, whole and in order. Lost are only those of
/// which something was written to an upstream that was lost, and, with the session, those behind.
fn upstreams_got_each_message_once_and_in_order(play: &Play) {
    let [client, last] = &play.actors;
    let (mut next, mut may_lack) = (0, Vec::new());
    for (life, upstream) in play.lives.iter().chain([last]).enumerate() {
        for message in upstream.messages() {
            let one = client.said.iter().position(|said| *said == message);
            let one = one.expect("what the client said, as it was on the wire");
            assert!(one >= next, "message {one} came twice, or behind {next}: life {life}");
            for lacking in next..one {
                assert!(may_lack.contains(&lacking), "message {lacking} is lost: life {life}");
            }
            next = one + 1;
        }
        may_lack.extend(written(client, upstream, next));
    }
    // What was said before a Close that passed was passed before it; 1001 may be the move's.
    if let Some((End::Closed { by: Client, code }, _)) = play.outcome
        && last.close_heard == Some(code)
        && client.closed_first
        && code != 1001
    {
        let lacking = (next..client.said.len()).find(|one| !may_lack.contains(one));
        assert_eq!(lacking, None, "a message before the client's Close {code} is lost");
    }
}

/// The client's messages of which something was written to an upstream that heard all before
/// `next`.
fn written(client: &Actor, upstream: &Actor, next: usize) -> Vec<usize> {
    let wire = upstream.wire.0.borrow();
    let (whole, cut) = messages(&wire.out.accepted);
    let known = |message: &Vec<u8>| client.said.iter().position(|said| said == message);
    let mut written: Vec<usize> = whole.iter().filter_map(known).collect();
    let begun = |said: &Vec<u8>| !cut.is_empty() && said.starts_with(&cut);
    written.extend((next..client.said.len()).find(|one| begun(&client.said[*one])));
    // Behind those that were written whole, too.
    let behind = written.iter().max().map_or(next, |last| last + 1);
    written.extend((behind..client.said.len()).find(|one| begun(&client.said[*one])));
    written
}

/// What an upstream said came to the client, whole and in order: all that had arrived here of one
/// that the session outlived, or that closed it. A client that read to the end of it, that is.
fn the_client_got_all_that_its_upstreams_said(play: &Play) {
    let [client, last] = &play.actors;
    let mut got = client.messages().into_iter().peekable();
    let closed = matches!(play.outcome, Some((End::Closed { by: Upstream, .. }, _)));
    for (life, upstream) in play.lives.iter().chain([last]).enumerate() {
        let arrived = messages(&upstream.wire.0.borrow().back.arrived).0;
        let mut passed = 0;
        while got.peek().is_some_and(|one| arrived.get(passed) == Some(one)) {
            got.next();
            passed += 1;
        }
        let outlived = life < play.lives.len();
        if client.close_heard.is_some() && (outlived || closed && upstream.closed_first) {
            assert_eq!(passed, arrived.len(), "lost of life {life}: {:?}", play.outcome);
        }
    }
    assert_eq!(got.next(), None, "what no upstream said, or not in this order");
}

/// An upstream that a session left had a quarter of a second for its last answer, from when all was
/// written that it was to answer.
fn who_was_left_had_time_to_answer(play: &Play) {
    for upstream in play.lives.iter().chain(&play.actors[1..]) {
        let wire = upstream.wire.0.borrow();
        let Some(answers) = upstream.answers.as_ref().filter(|_| !wire.out.was_full) else {
            continue;
        };
        let (mut at, mut ends, mut moved) = (0, Vec::new(), None);
        while let Some((length, first, _, payload)) = parse(&wire.out.accepted[at..]) {
            at += length;
            match first {
                0x88 if payload.ends_with(b"moved") => moved = Some(upstream.written_at(at)),
                _ if first & 0x88 == 0x80 => ends.push(at),
                _ => {}
            }
        }
        let Some(moved) = moved else { continue };
        for (_, lost) in &answers.dropped {
            let asked = upstream.written_at(ends[*lost]);
            let time = moved.since(asked);
            assert!(time >= Duration::from_millis(250), "{time:?} for the answer to {lost}");
        }
    }
}

/// A client that reads hears a Close wherever the table owes it one, with the right code.
fn the_client_was_told_truly(play: &Play) {
    let (end, stats) = play.outcome.expect("an end");
    let client = &play.actors[0];
    let wire = client.wire.0.borrow();
    let listens = !client.has_paused && !client.hung_up && !stats.cut;
    let owed = !matches!(end.farewell(Client), Farewell::Gone | Farewell::Cut);
    let hurried = play.is_ordered;
    // Its time to answer is some fifty turns. It may be over before one has read what its kernel
    // has for it, or has written, a little in each turn, what it writes before it reads.
    let reads = client.appetite.saturating_mul(50) >= wire.receiving();
    let writes = !client.writes_first || wire.narrowest() > 500;
    if listens && owed && !hurried && reads && writes {
        assert!(client.close_heard.is_some(), "the client was not told of {end:?}");
        // One that answers after its time meets a closed socket, and has read all by then.
        assert!(!wire.reset_took, "a client was reset that had not read all");
    }
    if let Some(heard) = client.close_heard {
        let right = match end {
            End::Closed { code, .. } => {
                let own = play.actors[1].close_sent.filter(|_| play.actors[1].closed_first);
                heard == code || Some(heard) == own
            }
            _ => match end.farewell(Client) {
                Farewell::Close(code) => heard == code,
                _ => false,
            },
        };
        assert!(right, "the client heard {heard} of {end:?}");
    }
}

/// A client that closes, and is answered by its upstream, heard the answer to its last ping before:
/// from the upstream, or from us in its place (RFC 6455 §5.5.3). After `close_timeout` the answer
/// is ours, and what the upstream has still to say is left.
fn the_clients_last_ping_was_answered(play: &Play) {
    let [client, last] = &play.actors;
    let ours = client.closed_at.after(Rules::default().close_timeout);
    if let Some((End::Closed { by: Client, code }, _)) = play.outcome
        && client.close_heard == Some(code)
        && last.close_sent == Some(code)
        && !last.closed_first
        && code != 1001
        && client.heard_at < ours
        && !play.is_ordered
    {
        assert_eq!(client.answered, client.pinged, "a ping without an answer");
    }
}

/// What became of each pushed message is told, and true: whole messages, between whole messages, in
/// their order, none twice. One that was too late was not begun.
fn pushed_messages_came_whole_once_and_in_order(play: &Play) {
    let client = &play.actors[0];
    let heard = client.pushes();
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
    let accepted = messages(&client.wire.0.borrow().out.accepted).0;
    let accepted: Vec<u32> = accepted.iter().filter_map(|message| pushed(message)).collect();
    for (number, message) in (0..).zip(&play.pushed) {
        let outcome = message.outcome();
        let PushOutcome { written, read, late, gone } = outcome;
        assert_eq!(written + late + gone, 1, "message {number}: {outcome:?}");
        assert!(written == 0 || accepted.contains(&number), "message {number} is not there");
        assert!(read == 0 || heard.contains(&number), "message {number} was not read");
        assert!(late == 0 || !accepted.contains(&number), "message {number} came late");
    }
}

/// All answer pings, and none is quiet for long: who reads is neither silent nor idle, however long
/// the machine slept, where it can know that.
fn nobody_was_blamed_for_our_sleep(play: &Play) {
    if play.has_slept_unnoticed {
        return;
    }
    let (end, _) = play.outcome.expect("an end");
    assert_ne!(end, End::Idle);
    if let End::Silent { side } = end {
        assert!(play.actors[side as usize].has_paused, "the {side} answered");
    }
}
