//! Sessions by their labels.

use super::*;

#[test]
fn sessions_with_a_label_are_found_and_told_and_newcomers_with_it_too() {
    let mut local = Local::new(0);
    let labelled = |pairs: &[(&str, &str)], opened| Facts {
        labels: labels(pairs),
        ..facts("/chat", "b", opened)
    };
    let label =
        |name: &str, value: &str| Selector::Label { name: name.into(), value: value.into() };
    let one = local.enter(labelled(&[("user", "1"), ("room", "a")], 0)).unwrap();
    let two = local.enter(labelled(&[("user", "2"), ("room", "a")], 0)).unwrap();
    local.enter(facts("/chat", "b", 0)).unwrap();
    let both = Selector::AllOf([label("room", "a"), label("user", "2")].into());
    assert_eq!(local.count(&label("room", "a")), 2);
    assert_eq!(local.list(&both, 9).iter().map(|seen| seen.id).collect::<Vec<_>>(), [two]);
    assert_eq!(local.count(&Selector::Sessions([one].into())), 1);
    let any = |parts: &[Selector]| Selector::AnyOf(parts.into());
    let several = any(&[label("user", "1"), both.clone(), label("room", "b")]);
    assert_eq!(local.list(&several, 9).iter().map(|seen| seen.id).collect::<Vec<_>>(), [one, two]);
    // They are looked up: who has none of these labels is not looked at.
    assert_eq!(local.candidates(&several).count(), 2);
    assert_eq!(local.candidates(&any(&[label("user", "1"), Selector::All])).count(), 3);
    assert_eq!((local.count(&any(&[])), local.candidates(&any(&[])).count()), (0, 0));
    let mut labels = local.facts(one).unwrap().labels;
    labels.remove("room");
    local.relabel(one, labels);
    assert_eq!((local.count(&label("room", "a")), local.count(&label("user", "1"))), (1, 1));
    local.leave(two);
    assert_eq!(local.count(&both), 0);
    let again = local.enter(facts("/chat", "b", 0)).unwrap();
    assert_eq!((again.slot(), local.count(&label("user", "2"))), (two.slot(), 0));
}

#[test]
fn a_session_that_is_named_twice_is_one() {
    let mut local = Local::new(0);
    let gone = local.enter(facts("/chat", "b", 0)).unwrap();
    local.leave(gone);
    let one = local.enter(facts("/chat", "b", 0)).unwrap();
    let two = local.enter(facts("/chat", "b", 0)).unwrap();
    assert_eq!(gone.slot(), one.slot());
    let mut ids = vec![two, one, gone, two];
    ids.sort_unstable();
    let named = Selector::Sessions(ids.into());
    let covered = Selector::AllOf([named.clone(), Selector::Route("/chat".into())].into());
    for selector in [named, covered] {
        assert_eq!(local.count(&selector), 2);
        let listed: Vec<_> = local.list(&selector, 9).iter().map(|seen| seen.id).collect();
        assert_eq!(listed, [one, two]);
    }
}

#[test]
fn of_many_the_oldest_are_listed_wherever_their_slots_are() {
    let mut local = Local::new(0);
    let first = local.enter(facts("/chat", "b", 1)).unwrap();
    let old = local.enter(facts("/chat", "b", 2)).unwrap();
    let older = local.enter(facts("/chat", "b", 1)).unwrap();
    local.leave(first);
    let young = local.enter(facts("/chat", "b", 9)).unwrap();
    assert_eq!(young.slot(), first.slot());
    let listed = |most| local.list(&Selector::All, most).into_iter().map(|seen| seen.id);
    assert_eq!(listed(0).count(), 0);
    assert_eq!(listed(1).collect::<Vec<_>>(), [older]);
    assert_eq!(listed(2).collect::<Vec<_>>(), [older, old]);
    assert_eq!(listed(9).collect::<Vec<_>>(), [older, old, young]);
}
