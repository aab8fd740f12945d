//! Texts kept by their length, to be found as beginnings or endings of a longer text.

use foldhash::HashMap;

/// Values by text. A lookup hashes once for every *length* that some text has, however many texts
/// there are, and never more bytes than the longest of them.
#[derive(Debug)]
pub struct ByLength<V> {
    values: HashMap<Box<str>, V>,
    /// The lengths there are, longest first.
    lengths: Vec<usize>,
}

impl<V> Default for ByLength<V> {
    fn default() -> ByLength<V> {
        ByLength { values: HashMap::default(), lengths: Vec::new() }
    }
}

impl<V> ByLength<V> {
    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The value of `text`, made if need be.
    pub fn entry(&mut self, text: &str) -> &mut V
    where
        V: Default,
    {
        if let Err(at) = self.lengths.binary_search_by(|length| text.len().cmp(length)) {
            self.lengths.insert(at, text.len());
        }
        self.values.entry(text.into()).or_default()
    }

    /// The values of the texts that `text` begins with, longest first; `may_end(length)` says where
    /// such a text may end.
    pub fn prefixes(
        &self,
        text: &str,
        may_end: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = &V> {
        self.fitting(text.len())
            .filter(move |&length| may_end(length))
            .filter_map(move |length| self.values.get(text.get(..length)?))
    }

    /// The values of the texts that `text` ends with, longest first; `may_start(position)` says
    /// where such a text may start.
    pub fn suffixes(
        &self,
        text: &str,
        may_start: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = &V> {
        self.fitting(text.len())
            .map(move |length| text.len() - length)
            .filter(move |&start| may_start(start))
            .filter_map(move |start| self.values.get(text.get(start..)?))
    }

    /// Every value, to be changed; in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut()
    }

    fn fitting(&self, bytes: usize) -> impl Iterator<Item = usize> {
        let too_long = self.lengths.partition_point(|&length| length > bytes);
        self.lengths[too_long..].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> ByLength<String> {
        let mut kept = ByLength::default();
        for text in texts {
            *kept.entry(text) = (*text).to_owned();
        }
        kept
    }

    #[test]
    fn beginnings_come_longest_first() {
        let kept = of(&["", "/a", "/ab", "/abc", "/x"]);
        let found: Vec<_> = kept.prefixes("/abd", |_| true).collect();
        assert_eq!(found, ["/ab", "/a", ""]);
        let found: Vec<_> = kept.prefixes("/abd", |length| length == 2).collect();
        assert_eq!(found, ["/a"]);
    }

    #[test]
    fn endings_come_longest_first() {
        let kept = of(&[".com", ".example.com", ".org"]);
        let found: Vec<_> = kept.suffixes("a.example.com", |start| start > 0).collect();
        assert_eq!(found, [".example.com", ".com"]);
        assert_eq!(kept.suffixes(".com", |start| start > 0).count(), 0);
    }

    #[test]
    fn a_length_inside_a_character_finds_nothing() {
        let kept = of(&["/a"]);
        assert_eq!(kept.prefixes("/é", |_| true).count(), 0);
        assert_eq!(of(&["aa"]).suffixes("é/a", |_| true).count(), 0);
        assert_eq!(of(&["a"]).suffixes("é", |_| true).count(), 0);
    }
}
