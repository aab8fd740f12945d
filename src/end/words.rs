//! `close_codes`: a route's own codes for the client, by the end's word.

use std::sync::Arc;

/// The ends whose code for the client may be chosen, by their words.
pub const CODE_WORDS: [&str; 18] = [
    "upstream_lost",
    "upstream_silent",
    "idle",
    "lifetime",
    "expired",
    "revoked",
    "stop",
    "removed",
    "drain",
    "restart",
    "unhealthy",
    "violation",
    "too_big",
    "too_fast",
    "too_slow",
    "kicked",
    "no_room",
    "fault",
];

/// A route's own close codes; most routes have none, then it is one empty pointer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CloseCodes(Option<Arc<[(&'static str, u16)]>>);

impl CloseCodes {
    /// The chosen codes by word; words that are not in [`CODE_WORDS`] are refused by name.
    ///
    /// # Errors
    /// The first word that no end has.
    pub fn new<'a>(chosen: impl IntoIterator<Item = (&'a str, u16)>) -> Result<Self, &'a str> {
        let mut codes = Vec::new();
        for (word, code) in chosen {
            let known = CODE_WORDS.iter().find(|known| **known == word).ok_or(word)?;
            codes.push((*known, code));
        }
        // Order must not matter to equality.
        codes.sort_unstable();
        Ok(CloseCodes((!codes.is_empty()).then(|| codes.into())))
    }

    /// The code chosen for an end's word.
    pub fn get(&self, word: &str) -> Option<u16> {
        let codes = self.0.as_deref()?;
        codes.iter().find(|(known, _)| *known == word).map(|(_, code)| *code)
    }
}
