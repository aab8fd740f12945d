//! Sessions by their labels.

use super::*;
use crate::wire::label::LabelSource;

#[test]
fn sessions_with_a_label_are_found_and_told_and_newcomers_with_it_too() {
    let mut local = Local::new(0);
    let labelled = |pairs: &[(&str, &str)], opened| {
        let mut labels = SessionLabels::default();
        for (name, value) in pairs {
            labels.set(name, value, LabelSource::Route).unwrap();
        }
        Facts { labels, ..facts("/chat", "b", opened) }
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
