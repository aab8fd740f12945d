//! A process that did not run: its machine slept, or it was stopped. The moments of a drain that
//! have passed meanwhile would all come at once, so what is left of it goes on where it was.

use std::time::Duration;

use super::note::{EndOrder, MoveOrder, Note};

/// The same order, so much later.
pub(super) fn later(note: &Note, by: Duration) -> Note {
    let end = |order: &EndOrder| EndOrder {
        at: order.at.after(by),
        deadline: order.deadline.after(by),
        ..*order
    };
    match note {
        Note::End(order) => Note::End(end(order)),
        Note::Move(MoveOrder { at, otherwise }) => {
            Note::Move(MoveOrder { at: at.after(by), otherwise: otherwise.as_ref().map(end) })
        }
        Note::Words(_)
        | Note::Rules(_)
        | Note::Expires(_)
        | Note::Renew(_)
        | Note::Withdrawn
        | Note::Report(_)
        | Note::Due(_)
        | Note::Push(_)
        | Note::NoRoom
        | Note::Tap(_) => note.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::super::local::Local;
    use super::super::tests::{ALONE, at_once, facts, moving};
    use super::super::{Drain, Schedule, Selector};
    use super::*;
    use crate::base::clock::Moment;
    use crate::end::Reason;

    /// The moments that a session is told, the last word first.
    fn told(local: &mut Local, id: crate::base::id::SessionId) -> Option<Moment> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut at = None;
        while let Poll::Ready(note) = local.poll_note(id, &mut cx) {
            at = match note {
                Note::End(order) => Some(order.at),
                Note::Move(order) => Some(order.at),
                _ => None,
            };
        }
        at
    }

    #[test]
    fn a_drain_goes_on_at_its_pace_after_a_long_sleep() {
        let second = |second: u64| Moment::from_millis(second * 1000);
        for drain in [at_once(Selector::All, Reason::Command), moving(Selector::All)] {
            let mut local = Local::new(0);
            let ids: Vec<_> =
                (0..100).map(|_| local.enter(facts("/chat", "b", 0)).unwrap()).collect();
            let subset = drain.subset;
            let schedule = Schedule::even(Duration::from_secs(100));
            let share = super::super::Share { subset: 100, ..ALONE };
            local.drain(&Drain { schedule, subset, ..drain }, second(0), share);
            let before: Vec<_> = ids.iter().map(|id| told(&mut local, *id).unwrap()).collect();
            // After ten seconds it sleeps for an hour.
            let (last, now) = (second(10), second(3610));
            let put_off = local.put_off(last, now);
            assert!((88..=92).contains(&put_off), "{put_off}");
            for (id, before) in ids.iter().zip(before) {
                let expected = (before > last).then(|| before.after(Duration::from_secs(3600)));
                assert_eq!(told(&mut local, *id), expected);
            }
        }
    }
}
