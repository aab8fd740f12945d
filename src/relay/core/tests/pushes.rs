//! Messages of ours at the end of a session.

use super::push_message;
use super::story::{START, Story, after, code, hold};
use crate::base::side::Side::{Client, Upstream};
use crate::end::Reason;
use crate::registry::{Delivery, EndOrder, Note, PushOutcome};

/// A session that is told to end in the moment in which messages come for it, in the midst of what
/// its backend says or not.
fn ended_with_messages(begun: &[u8]) -> (Vec<(u8, Vec<u8>)>, Vec<PushOutcome>) {
    let mut story = Story::new(hold());
    story.send(Upstream, begun, START);
    story.got(Client);
    let messages = [b"one", b"two"].map(|text| push_message(text, &mut story.rng, START));
    for message in &messages {
        let delivery = Delivery::alone(message, after(10.0));
        story.core.on_note(Note::Push(delivery), START);
    }
    let order = EndOrder { reason: Reason::Kick, at: START, deadline: after(60.0), code: None };
    story.core.on_note(Note::End(order), START);
    story.live(after(30.0));
    let frames = story.frames(Client);
    drop(story);
    (frames, messages.iter().map(|message| message.outcome()).collect())
}

#[test]
fn what_waits_goes_before_the_close_where_it_has_its_place() {
    let (frames, outcomes) = ended_with_messages(&[]);
    let texts: Vec<_> = frames.iter().take(2).map(|(_, text)| text.as_slice()).collect();
    assert_eq!(texts, [b"one", b"two"]);
    assert_eq!((frames.len(), code(&frames[2])), (3, (0x88, 1008)));
    assert!(outcomes.iter().all(|outcome| (outcome.written, outcome.gone) == (1, 0)));
}

#[test]
fn what_waits_behind_a_message_that_does_not_end_is_gone_with_the_session() {
    let (frames, outcomes) = ended_with_messages(b"\x01\x05begun");
    assert_eq!((frames.len(), code(&frames[0])), (1, (0x88, 1008)));
    assert!(outcomes.iter().all(|outcome| (outcome.written, outcome.gone) == (0, 1)));
}
