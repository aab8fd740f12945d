//! What sessions were asked for with: one text for all that share it, as most of an application do.

use std::sync::Arc;

use super::wheel::KEYS_KEPT;

/// Texts that a worker keeps. Where there are more, the sessions with the others have none.
const TARGETS_MAX: usize = 1 << 16;

/// Where a session's text is; four bytes, for there are many of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TargetIndex(u32);

impl TargetIndex {
    /// Of a session that has none.
    pub(super) const NONE: TargetIndex = TargetIndex(u32::MAX);
}

/// The texts of a worker's sessions.
#[derive(Default)]
pub(super) struct Targets {
    kept: Vec<KeptTarget>,
    /// By text; keyed by the process and by the map, so that no client can choose texts that meet.
    indices: foldhash::HashMap<Arc<str>, u32>,
    vacant: Vec<u32>,
}

struct KeptTarget {
    text: Arc<str>,
    /// How many sessions have it.
    sessions: u32,
}

impl Targets {
    /// Keeps this text for one more session.
    pub(super) fn keep(&mut self, text: &str) -> TargetIndex {
        if let Some(index) = self.indices.get(text) {
            self.kept[*index as usize].sessions += 1;
            return TargetIndex(*index);
        }
        if self.indices.len() >= TARGETS_MAX {
            return TargetIndex::NONE;
        }
        let target = KeptTarget { text: text.into(), sessions: 1 };
        let index = self.vacant.pop().unwrap_or(self.kept.len() as u32);
        self.indices.insert(Arc::clone(&target.text), index);
        match self.kept.get_mut(index as usize) {
            Some(vacant) => *vacant = target,
            None => self.kept.push(target),
        }
        TargetIndex(index)
    }

    /// A session that had it is gone.
    pub(super) fn release(&mut self, index: TargetIndex) {
        let Some(target) = self.kept.get_mut(index.0 as usize) else { return };
        target.sessions -= 1;
        if target.sessions > 0 {
            return;
        }
        self.indices.remove(&target.text);
        target.text = Arc::default();
        self.vacant.push(index.0);
        if self.indices.is_empty() {
            self.kept.clear();
            self.kept.shrink_to(KEYS_KEPT);
            self.vacant.clear();
            self.vacant.shrink_to(KEYS_KEPT);
            self.indices.shrink_to(KEYS_KEPT);
        }
    }

    /// The text.
    pub(super) fn text(&self, index: TargetIndex) -> Option<Arc<str>> {
        self.kept.get(index.0 as usize).map(|target| Arc::clone(&target.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_as_long_as_a_session_has_it() {
        let mut targets = Targets::default();
        let (one, again, other) = (targets.keep("/a"), targets.keep("/a"), targets.keep("/b"));
        assert!(one == again && one != other);
        targets.release(one);
        assert_eq!(targets.text(again).as_deref(), Some("/a"));
        targets.release(again);
        let next = targets.keep("/c");
        assert_eq!((next, targets.kept.len()), (one, 2), "its place is taken again");
        assert_eq!(targets.text(TargetIndex::NONE), None);
        targets.release(TargetIndex::NONE);
        for index in [next, other] {
            targets.release(index);
        }
        assert_eq!((targets.kept.len(), targets.vacant.len()), (0, 0));
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let mut targets = Targets::default();
        let kept: Vec<_> = (0..TARGETS_MAX).map(|n| targets.keep(&n.to_string())).collect();
        assert_eq!(targets.keep("one more"), TargetIndex::NONE);
        assert_eq!(targets.keep("0"), kept[0]);
        targets.release(kept[1]);
        assert_eq!(targets.keep("one more"), kept[1]);
    }
}
