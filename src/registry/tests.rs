mod labels;
mod withdrawals;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::local::{BYTES_PER_SESSION, Local};
use super::*;
use crate::base::clock::{self, Moment};
use crate::base::task;
use crate::base::worker::Workers;
use crate::config::plan::{Address, ListenerIdentity, Rules};
use crate::end::{End, Reason};
use crate::wire::label::{LabelSource, SessionLabels};

fn socket(port: u16) -> ListenerIdentity {
    let address = Address::Inet(([127, 0, 0, 1], port).into());
    ListenerIdentity::of(&address, &"https".into())
}

pub(crate) fn facts(route: &str, backend: &str, opened: u64) -> Facts {
    let location = Location {
        listener: "https".into(),
        socket: socket(443),
        route: route.into(),
        pool: "chat".into(),
        backend: backend.into(),
    };
    Facts {
        location: Arc::new(location),
        client: "192.0.2.7:4711".parse().ok().into(),
        opened: Moment::from_millis(opened),
        settled: Moment::from_millis(opened),
        holds: true,
        pushable: Pushable::Plain,
        labels: SessionLabels::default(),
    }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> SessionLabels {
    let mut labels = SessionLabels::default();
    for (name, value) in pairs {
        labels.set(name, value, LabelSource::Route).unwrap();
    }
    labels
}

pub(super) fn rules(close_timeout: u64) -> Arc<Rules> {
    Arc::new(Rules { close_timeout: Duration::from_secs(close_timeout), ..Rules::default() })
}

/// The share of the only worker there is.
pub(crate) const ALONE: Share = Share { worker: 0, workers: 1, subset: usize::MAX };

/// This session.
pub(crate) fn only(id: crate::base::id::SessionId) -> Selector {
    Selector::Sessions([id].into())
}

/// An order to close these sessions at once, with half a minute for what is in flight.
pub(crate) fn at_once(selector: Selector, reason: Reason) -> Drain {
    Drain {
        number: 0,
        selector,
        subset: None,
        disposition: Disposition::Close,
        reason,
        code: None,
        words: None,
        schedule: Schedule::at_once(),
        deadline: Duration::from_secs(30),
    }
}

/// A new order to move these sessions at once, where they can be held.
pub(crate) fn moving(selector: Selector) -> Drain {
    static GIVEN: AtomicU64 = AtomicU64::new(1_000);
    let number = GIVEN.fetch_add(1, Relaxed);
    let subset = Some(Subset { age_min: Duration::ZERO, first: SubsetOrder::Oldest });
    let disposition = Disposition::MoveOrStay;
    Drain { number, subset, disposition, ..at_once(selector, Reason::Rebalance) }
}

fn drain(selector: Selector) -> Drain {
    let schedule = Schedule::even(Duration::from_secs(10));
    let deadline = Duration::from_secs(25);
    Drain { number: 1, schedule, deadline, ..at_once(selector, Reason::Removed) }
}

fn notes(local: &mut Local, id: crate::base::id::SessionId) -> Vec<Note> {
    let mut cx = Context::from_waker(Waker::noop());
    let next = || match local.poll_note(id, &mut cx) {
        Poll::Ready(note) => Some(note),
        Poll::Pending => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn a_session_costs_less_than_its_budget() {
    // The budget of 350 bytes holds the strings too; they are shared with the plan.
    const { assert!(BYTES_PER_SESSION <= 120) };
}

#[test]
fn an_id_never_names_a_later_session() {
    let mut local = Local::new(3);
    let first = local.enter(facts("a", "b", 0)).unwrap();
    local.leave(first);
    let second = local.enter(facts("a", "b", 0)).unwrap();
    assert_eq!((first.slot(), first.worker()), (second.slot(), 3));
    assert_ne!(first, second);
    local.leave(first);
    assert_eq!(local.live(), 1);
    assert_eq!(local.count(&only(first)), 0);
    assert_eq!(local.count(&only(second)), 1);
}

#[test]
fn who_is_meant_is_told_and_nobody_else() {
    let mut local = Local::new(0);
    let one = local.enter(facts("/chat", "10.0.0.1:80", 0)).unwrap();
    let two = local.enter(facts("/chat", "10.0.0.2:80", 0)).unwrap();
    let three = local.enter(facts("/quotes", "10.0.0.1:80", 0)).unwrap();
    let backend = Selector::Backend { pool: "chat".into(), backend: "10.0.0.1:80".into() };
    assert_eq!(local.count(&backend), 2);
    let who = Selector::AnyOf([only(two), Selector::Route("/quotes".into())].into());
    let now = Moment::from_millis(5_000);
    assert_eq!(local.drain(&drain(who), now, ALONE), 2);
    assert!(notes(&mut local, one).is_empty());
    for id in [two, three] {
        let told = notes(&mut local, id);
        let [Note::End(end)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(end.end(), End::Drained(Reason::Removed));
        assert_eq!(end.deadline, Moment::from_millis(30_000));
        assert!(end.at >= now && end.at <= Moment::from_millis(15_000));
    }
}

#[test]
fn who_was_shaking_hands_hears_what_was_told_meanwhile() {
    let mut local = Local::new(0);
    let now = Moment::from_millis(1_000);
    let changes = Arc::new(RuleChanges::from([("/chat".into(), rules(7))]));
    local.update_rules(&changes, now);
    local.drain(&drain(Selector::Route("/chat".into())), now, ALONE);
    let late = local.enter(facts("/chat", "b", 900)).unwrap();
    let new = local.enter(facts("/chat", "b", 1_001)).unwrap();
    let other = local.enter(facts("/quotes", "b", 900)).unwrap();
    let told = notes(&mut local, late);
    assert!(matches!(told.as_slice(), [Note::Rules(_), Note::End(_)]), "{told:?}");
    assert!(notes(&mut local, new).is_empty());
    assert!(notes(&mut local, other).is_empty());
}

#[test]
fn a_drain_counts_those_who_have_not_left_and_tells_nobody_twice() {
    let mut local = Local::new(0);
    let at = Moment::from_millis;
    let ids = [0, 1, 2].map(|_| local.enter(facts("/chat", "b", 0)).unwrap());
    let slow = drain(Selector::Route("/chat".into()));
    assert_eq!(local.drain(&slow, at(1_000), ALONE), 3);
    assert_eq!(local.drain(&slow, at(1_500), ALONE), 0);
    // Whoever was on its way in when it began belongs to it.
    let late = local.enter(facts("/chat", "b", 900)).unwrap();
    assert_eq!((local.drained(1).left, local.drained(2).left), (4, 0));
    let kick = Drain { number: 2, schedule: Schedule::at_once(), ..drain(only(ids[1])) };
    let kick = Drain { reason: Reason::Kick, ..kick };
    local.drain(&kick, at(500), ALONE);
    assert_eq!((local.drained(1).left, local.drained(2).left), (3, 1));
    let leaving = |local: &Local| local.list(&only(ids[1]), 9)[0].leaving;
    assert_eq!(leaving(&local), Some(Reason::Kick));
    [ids[0], ids[1], late].into_iter().for_each(|id| local.leave(id));
    assert_eq!((local.drained(1).left, local.drained(2).left), (1, 0));
}

#[test]
fn who_is_meant_can_be_narrowed() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "b", 900)).unwrap();
    let all = |parts: &[Selector]| local.count(&Selector::AllOf(parts.into()));
    let (net, other) = ("192.0.2.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap());
    let opened = |millis| Selector::OpenedBy(Moment::from_millis(millis));
    assert_eq!(all(&[]), 1);
    assert_eq!(all(&[Selector::Route("/chat".into()), Selector::Client(net), opened(900)]), 1);
    assert_eq!(all(&[Selector::Route("/chat".into()), Selector::Client(other)]), 0);
    assert_eq!(all(&[opened(899)]), 0);
    assert_eq!(all(&[Selector::Sessions([id].into())]), 1);
    assert_eq!(all(&[Selector::Sessions([].into())]), 0);
    let said = Selector::AllOf([Selector::Route("/chat".into()), Selector::Client(net)].into())
        .to_string();
    assert_eq!(said, "route `/chat` and clients in 192.0.2.0/24");
}

#[test]
fn listeners_that_swap_names_keep_their_own_sessions() {
    let mut local = Local::new(0);
    let by = |listener: &str, port, opened| {
        let facts = facts("/chat", "b", opened);
        let (listener, socket) = (listener.into(), socket(port));
        let location = Location { listener, socket, ..(*facts.location).clone() };
        Facts { location: Arc::new(location), ..facts }
    };
    let (one, two) = (local.enter(by("one", 1, 0)).unwrap(), local.enter(by("two", 2, 0)).unwrap());
    let swap = Names::from([(socket(1), "two".into()), (socket(2), "one".into())]);
    local.rename_listeners(&Arc::new(swap), Moment::from_millis(1_000));
    let late = local.enter(by("one", 1, 900)).unwrap();
    let new = local.enter(by("one", 2, 1_001)).unwrap();
    // Its request had come by then, and its connection knew the new name already.
    let aware = local.enter(by("two", 1, 900)).unwrap();
    let listener = |id| local.facts(id).unwrap().listener.clone();
    let names = [one, two, late, new, aware].map(listener);
    assert_eq!(names.each_ref().map(|name| &**name), ["two", "one", "two", "one", "two"]);
}

#[test]
fn many_kicks_do_not_push_a_drain_out_of_memory() {
    let mut local = Local::new(0);
    let now = Moment::from_millis(1_000);
    local.drain(&drain(Selector::Route("/chat".into())), now, ALONE);
    let one = local.enter(facts("/quotes", "b", 0)).unwrap();
    for _ in 0..1_000 {
        local.drain(&drain(Selector::AnyOf([only(one)].into())), now, ALONE);
    }
    let late = local.enter(facts("/chat", "b", 900)).unwrap();
    assert_eq!(notes(&mut local, late).len(), 1);
}

#[test]
fn a_session_that_settles_elsewhere_is_drained_with_those_who_were_there() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "old", 0)).unwrap();
    let on = |backend: &str| Selector::Backend { pool: "chat".into(), backend: backend.into() };
    let at = |second: u64| Moment::from_millis(second * 1_000);
    let mut end = |number, who, second| {
        let told = Drain { number, ..drain(who) };
        local.drain(&told, at(second), ALONE);
    };
    end(1, on("new"), 1);
    end(2, on("new"), 3);
    end(3, on("newer"), 3);
    assert!(notes(&mut local, id).is_empty());
    // What was said before it chose the new one is not for it; what was said since is.
    local.settled(id, "chat".into(), "newer".into(), at(4));
    assert!(notes(&mut local, id).is_empty());
    local.settled(id, "chat".into(), "new".into(), at(2));
    let told = notes(&mut local, id);
    let [Note::End(end)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(end.deadline, at(3 + 25));
    let known = local.facts(id).unwrap();
    assert_eq!((&*known.backend, known.settled, known.opened), ("new", at(2), at(0)));
    assert_eq!((local.count(&on("old")), local.count(&on("new"))), (0, 1));
    // What it was told before it is not told again.
    let all = local.enter(facts("/chat", "old", 0)).unwrap();
    local.drain(&Drain { number: 4, ..drain(Selector::All) }, at(5), ALONE);
    assert_eq!(notes(&mut local, all).len(), 1);
    local.settled(all, "chat".into(), "new".into(), at(4));
    assert!(notes(&mut local, all).is_empty());
}

#[test]
fn a_session_that_was_to_move_has_gone_when_it_is_elsewhere() {
    let mut local = Local::new(0);
    let at = |second: u64| Moment::from_millis(second * 1_000);
    let holds = local.enter(facts("/chat", "old", 0)).unwrap();
    let not = local.enter(Facts { holds: false, ..facts("/chat", "old", 0) }).unwrap();
    let who = Selector::Backend { pool: "chat".into(), backend: "old".into() };
    let disposition = Disposition::MoveOrClose(Selector::All);
    let moved = Drain { disposition, schedule: Schedule::at_once(), ..drain(who.clone()) };
    assert_eq!(local.drain(&moved, at(1), ALONE), 2);
    let told = notes(&mut local, holds);
    let [Note::Move(MoveOrder { at: due, otherwise: Some(end) })] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((*due, end.deadline), (at(1), at(26)));
    assert!(matches!(notes(&mut local, not).as_slice(), [Note::End(_)]));
    assert_eq!(local.drained(1), DrainCount { left: 2, ..DrainCount::default() });
    local.went_away(holds, at(2));
    assert_eq!(local.drained(1).left, 2);
    local.settled(holds, "talk".into(), "new".into(), at(2));
    assert_eq!(local.drained(1), DrainCount { left: 1, moved: 1, ..DrainCount::default() });
    assert_eq!(&*local.facts(holds).unwrap().pool, "talk");
    local.leave(not);
    assert_eq!(local.drained(1).left, 0);
    // One that cannot be held is not asked only to move; one that could not move stays.
    let holds = local.enter(facts("/chat", "old", 3_000)).unwrap();
    let not = local.enter(Facts { holds: false, ..facts("/chat", "old", 3_000) }).unwrap();
    let only = Drain { number: 2, disposition: Disposition::MoveOrStay, ..drain(who) };
    assert_eq!(local.drain(&only, at(4), ALONE), 1);
    let told = notes(&mut local, holds);
    assert!(matches!(told.as_slice(), [Note::Move(MoveOrder { otherwise: None, .. })]), "{told:?}");
    assert!(notes(&mut local, not).is_empty());
    local.stays(holds, at(5));
    assert_eq!(local.drained(2), DrainCount { stayed: 1, ..DrainCount::default() });
    assert_eq!(local.facts(holds).unwrap().settled, at(5), "others are asked first now");
}

#[test]
fn an_order_to_leave_a_backend_is_void_once_that_is_lost() {
    let mut local = Local::new(0);
    let at = |second: u64| Moment::from_millis(second * 1_000);
    let id = local.enter(facts("/chat", "old", 0)).unwrap();
    let who = Selector::Backend { pool: "chat".into(), backend: "old".into() };
    let moved = Drain { disposition: Disposition::MoveOrClose(Selector::All), ..drain(who) };
    local.drain(&moved, at(1), ALONE);
    // It was lost before it read its mail.
    local.went_away(id, at(1));
    assert!(notes(&mut local, id).is_empty());
    local.settled(id, "chat".into(), "new".into(), at(2));
    assert_eq!(local.drained(1), DrainCount { moved: 1, ..DrainCount::default() });
    assert!(notes(&mut local, id).is_empty());
}

#[test]
fn a_mailbox_keeps_one_note_of_each_kind() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "b", 0)).unwrap();
    for second in 1..100 {
        let now = Moment::from_millis(second * 1_000);
        let changes = Arc::new(RuleChanges::from([("/chat".into(), rules(second))]));
        local.update_rules(&changes, now);
        local.drain(&Drain { number: second, ..drain(Selector::All) }, now, ALONE);
        local.drain(&moving(Selector::All), now, ALONE);
    }
    let told = notes(&mut local, id);
    let [Note::Rules(rules), Note::End(end), Note::Move(_)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(rules.close_timeout, Duration::from_secs(99));
    assert_eq!(end.deadline, Moment::from_millis(26_000));
}

#[test]
fn a_deadline_moved_later_wakes_only_then() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "b", 0)).unwrap();
    let at = Moment::from_millis;
    assert!(notes(&mut local, id).is_empty());
    local.wake_at(id, at(1_000));
    local.wake_at(id, at(5_000));
    assert!(local.due(at(2_000)).is_none());
    assert!(local.due(at(5_000)).is_some());
    assert!(local.due(at(9_000)).is_none());
}

#[test]
fn a_note_wakes_without_losing_the_deadline() {
    let mut local = Local::new(0);
    let id = local.enter(facts("/chat", "b", 0)).unwrap();
    let at = Moment::from_millis;
    assert!(notes(&mut local, id).is_empty());
    local.wake_at(id, at(5_000));
    local.drain(&moving(Selector::All), at(1_000), ALONE);
    assert!(local.due(at(1_000)).is_some());
    assert_eq!(notes(&mut local, id).len(), 1);
    assert!(local.due(at(4_000)).is_none());
    assert!(local.due(at(5_000)).is_some());
}

#[tokio::test]
async fn a_seat_is_woken_by_its_deadline_and_by_a_note() {
    let workers = Workers::start(1).unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let start = move || {
        task::spawn("session", async move {
            let seat = enter(facts("/chat", "b", 0)).unwrap();
            let due = clock::now().after(TICK * 2);
            seat.wake_at(due);
            poll_fn(|cx| {
                assert!(seat.poll_note(cx).is_pending());
                if clock::now() >= due { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            told.send(format!("woken, {} live", live())).unwrap();
            let note = poll_fn(|cx| seat.poll_note(cx)).await;
            assert!(matches!(note, Note::End(_)));
            drop(seat);
            told.send(format!("released, {} live", live())).unwrap();
        });
    };
    workers.queues().try_run_on(0, start).unwrap();
    assert_eq!(heard.recv().await.unwrap(), "woken, 1 live");
    let kick = at_once(Selector::All, Reason::Command);
    let told = workers.queues().ask_all(move |_| super::drain(&kick, clock::now(), ALONE)).await;
    assert_eq!(told, [1]);
    assert_eq!(heard.recv().await.unwrap(), "released, 0 live");
    // With the last session the wheel stops turning: nothing is left.
    while workers.tasks() > 0 {
        tokio::task::yield_now().await;
    }
}
