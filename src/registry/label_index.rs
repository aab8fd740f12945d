//! Which of a worker's sessions have a label, without a look at the others.

use std::collections::{BTreeSet, HashMap};

use crate::wire::label::SessionLabels;

/// A label's name and value.
type LabelKey = (Box<str>, Box<str>);

/// Sessions by their labels. Without labels it is empty.
#[derive(Default)]
pub(super) struct LabelIndex {
    labels: HashMap<LabelKey, IndexedLabel>,
    /// Numbers of labels, each with the slots that have it: one set, since most labels are few
    /// sessions', and one that is many sessions' must lose one as fast.
    slots: BTreeSet<(u64, u32)>,
    /// Labels numbered so far, over all time: no worker sees as many as would come round.
    numbered: u64,
}

struct IndexedLabel {
    number: u64,
    sessions: usize,
}

impl LabelIndex {
    /// The session in this slot has these labels.
    pub(super) fn insert(&mut self, slot: u32, labels: &SessionLabels) {
        for label in labels.iter() {
            let key = (label.name().into(), label.value().into());
            let numbered = &mut self.numbered;
            let known = self.labels.entry(key).or_insert_with(|| {
                *numbered += 1;
                IndexedLabel { number: *numbered, sessions: 0 }
            });
            known.sessions += 1;
            self.slots.insert((known.number, slot));
        }
    }

    /// It has them no more.
    pub(super) fn remove(&mut self, slot: u32, labels: &SessionLabels) {
        for label in labels.iter() {
            let key = (label.name().into(), label.value().into());
            let Some(known) = self.labels.get_mut(&key) else { continue };
            self.slots.remove(&(known.number, slot));
            known.sessions -= 1;
            if known.sessions == 0 {
                self.labels.remove(&key);
            }
        }
        if self.labels.is_empty() {
            *self = LabelIndex { numbered: self.numbered, ..LabelIndex::default() };
        }
    }

    /// The slots of the rarest of these labels; `None` where there are no labels.
    pub(super) fn rarest<'a>(
        &self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<Vec<u32>> {
        let known = |(name, value): (&str, &str)| self.labels.get(&(name.into(), value.into()));
        let counted = labels.map(|label| {
            let known = known(label);
            (known.map_or(0, |known| known.sessions), known.map(|known| known.number))
        });
        let (_, number) = counted.min_by_key(|(sessions, _)| *sessions)?;
        let Some(number) = number else { return Some(Vec::new()) };
        let slots = self.slots.range((number, 0)..=(number, u32::MAX));
        Some(slots.map(|(_, slot)| *slot).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::labels;
    use super::*;

    #[test]
    fn sessions_are_found_by_the_rarest_label_and_none_is_left_behind() {
        let mut index = LabelIndex::default();
        let (one, two) =
            (labels(&[("room", "7"), ("user", "ada")]), labels(&[("room", "7"), ("user", "bob")]));
        index.insert(3, &one);
        index.insert(1, &two);
        let found =
            |index: &LabelIndex, labels: &[(&str, &str)]| index.rarest(labels.iter().copied());
        assert_eq!(found(&index, &[("room", "7")]), Some(vec![1, 3]));
        assert_eq!(found(&index, &[("room", "7"), ("user", "bob")]), Some(vec![1]));
        assert_eq!(found(&index, &[("room", "7"), ("user", "eve")]), Some(vec![]));
        assert_eq!(found(&index, &[]), None);
        index.remove(1, &two);
        assert_eq!(found(&index, &[("room", "7")]), Some(vec![3]));
        index.remove(3, &one);
        assert!(index.labels.is_empty() && index.slots.is_empty());
    }
}
