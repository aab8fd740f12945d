use std::collections::HashSet;

use super::*;

fn at(second: u64) -> Moment {
    Moment::from_millis(second * 1_000)
}

fn on(backend: &str) -> Selector {
    Selector::Backend { pool: "chat".into(), backend: backend.into() }
}

fn back(parts: &[Selector]) -> Withdrawal {
    let parts = parts.iter().cloned().collect::<HashSet<_>>();
    Withdrawal::Returned { reason: Reason::Removed, parts }
}

#[test]
fn a_session_stays_when_all_that_it_was_to_leave_is_there_again() {
    let mut local = Local::new(0);
    let (chat, talk) = (Selector::Route("/chat".into()), Selector::Route("/talk".into()));
    let one = local.enter(facts("/chat", "a", 0)).unwrap();
    let both = local.enter(facts("/talk", "a", 0)).unwrap();
    let gone = Selector::AnyOf([chat, talk.clone(), on("a")].into());
    assert_eq!(local.drain(&drain(gone), at(1), ALONE), 2);
    [one, both].into_iter().for_each(|id| drop(notes(&mut local, id)));
    // Its backend is there again, its route is not.
    assert_eq!(local.withdraw(&back(&[on("a")]), at(2)), 0);
    assert_eq!(local.withdraw(&back(&[Selector::Route("/chat".into())]), at(3)), 1);
    assert!(matches!(notes(&mut local, one).as_slice(), [Note::Withdrawn]));
    assert!(notes(&mut local, both).is_empty());
    let one_stays = DrainCount { left: 1, withdrawn: 1, ..DrainCount::default() };
    assert_eq!(local.drained(1), one_stays);
    let leaving = |local: &Local, id| local.list(&only(id), 9)[0].leaving;
    assert_eq!((leaving(&local, one), leaving(&local, both)), (None, Some(Reason::Removed)));
    // One that was still shaking hands is not told either, or only of what is gone.
    let late = local.enter(facts("/chat", "a", 0)).unwrap();
    let late_and_gone = local.enter(facts("/talk", "b", 0)).unwrap();
    assert!(notes(&mut local, late).is_empty());
    assert!(matches!(notes(&mut local, late_and_gone).as_slice(), [Note::End(_)]));
    assert_eq!(local.withdraw(&back(&[talk]), at(4)), 2);
    assert_eq!(local.drained(1), DrainCount { withdrawn: 3, ..DrainCount::default() });
}

#[test]
fn what_else_a_session_was_told_stands() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "a", 0)).unwrap();
    local.drain(&Drain { schedule: Schedule::at_once(), ..drain(on("a")) }, at(1), ALONE);
    let command = Drain { number: 2, ..at_once(Selector::Pool("chat".into()), Reason::Command) };
    local.drain(&command, at(2), ALONE);
    local.drain(&moving(on("a")), at(3), ALONE);
    let told = notes(&mut local, id);
    assert!(matches!(told[0], Note::End(EndOrder { reason: Reason::Removed, .. })), "{told:?}");
    assert_eq!(local.withdraw(&back(&[on("a")]), at(4)), 1);
    let told = notes(&mut local, id);
    let [Note::Withdrawn, Note::End(end), Note::Move(_)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((end.reason, end.at, end.deadline), (Reason::Command, at(2), at(32)));
    assert_eq!((local.drained(1).left, local.drained(2).left), (0, 1));
    assert_eq!((local.withdraw(&Withdrawal::Drain(2), at(5)), local.drained(2).withdrawn), (1, 1));
    assert!(matches!(notes(&mut local, id).as_slice(), [Note::Withdrawn, Note::Move(_)]));
    // It is told the same again only by a new order.
    assert_eq!(local.withdraw(&back(&[on("a")]), at(5)), 0);
    assert_eq!(local.drain(&Drain { number: 3, ..drain(on("a")) }, at(6), ALONE), 1);
}
