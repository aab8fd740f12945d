//! Questions and answers of any length, which go over the link in pieces.

use std::collections::BTreeMap;

use super::words::{New, Old, PIECE_BYTES_MAX};
use crate::admin::{OlderAnswer, OlderQuestion};

/// Questions of which a part has come, at most. The process that asks writes one after the other.
const PARTS_MAX: usize = 4;

/// A question in the words that it takes.
pub(super) fn question(number: u64, question: OlderQuestion) -> Vec<New> {
    let OlderQuestion { path, body, drain } = question;
    let mut rest = pieces(&body).into_iter().peekable();
    let first = rest.next().unwrap_or_default().to_owned();
    let question = OlderQuestion { path, body: first, drain };
    let mut words = vec![New::Ask { number, question, more: rest.peek().is_some() }];
    while let Some(piece) = rest.next() {
        words.push(New::More { number, piece: piece.to_owned(), more: rest.peek().is_some() });
    }
    words
}

/// An answer in the words that it takes.
pub(super) fn answer(number: u64, answer: &OlderAnswer) -> Vec<Old> {
    let text = answer.json.to_string();
    let mut rest = pieces(&text).into_iter().peekable();
    let mut words = Vec::new();
    while let Some(piece) = rest.next() {
        let status = rest.peek().is_none().then_some(answer.status);
        words.push(Old::Answer { number, piece: piece.to_owned(), status });
    }
    words
}

/// One piece at least.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    loop {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES_MAX));
        pieces.push(piece);
        if more.is_empty() {
            return pieces;
        }
        rest = more;
    }
}

/// Puts questions together again.
#[derive(Default)]
pub(super) struct QuestionParts(BTreeMap<u64, OlderQuestion>);

impl QuestionParts {
    /// The first piece has come; the question, where it is all.
    pub(super) fn on_ask(
        &mut self,
        number: u64,
        question: OlderQuestion,
        more: bool,
    ) -> Option<OlderQuestion> {
        if !more {
            return Some(question);
        }
        // One whose rest never came: who asked has ended, or has given it up.
        if self.0.len() >= PARTS_MAX {
            self.0.pop_first();
        }
        self.0.insert(number, question);
        None
    }

    /// A further piece has come; the question, where it was the last, or is too long for
    /// `bytes_max`, and then without a body.
    pub(super) fn on_more(
        &mut self,
        number: u64,
        piece: &str,
        more: bool,
        bytes_max: usize,
    ) -> Option<OlderQuestion> {
        let part = self.0.get_mut(&number)?;
        let is_too_long = part.body.len() + piece.len() > bytes_max;
        if !is_too_long {
            part.body.push_str(piece);
            if more {
                return None;
            }
        }
        let mut whole = self.0.remove(&number)?;
        if is_too_long {
            whole.body = String::new();
        }
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> OlderQuestion {
        OlderQuestion { path: "/v1/push".into(), body: body.to_owned(), drain: Some(7) }
    }

    fn put_together(words: Vec<New>, bytes_max: usize) -> Vec<OlderQuestion> {
        let mut parts = QuestionParts::default();
        let each = words.into_iter().filter_map(|word| match word {
            New::Ask { question, more, number } => parts.on_ask(number, question, more),
            New::More { number, piece, more } => parts.on_more(number, &piece, more, bytes_max),
            _ => None,
        });
        each.collect()
    }

    #[test]
    fn a_question_of_any_length_is_whole_again() {
        for (body, count) in [(String::new(), 1), ("x".into(), 1), ("é".repeat(100_000), 4)] {
            let words = question(3, asked(&body));
            assert_eq!(words.len(), count);
            assert_eq!(put_together(words, 1 << 20), [asked(&body)]);
        }
        let long = question(3, asked(&"x".repeat(3 * PIECE_BYTES_MAX)));
        assert_eq!(put_together(long, PIECE_BYTES_MAX + 1), [asked("")]);
    }

    #[test]
    fn questions_whose_rest_never_comes_are_few() {
        let mut parts = QuestionParts::default();
        for number in 0..100 {
            assert!(parts.on_ask(number, asked("begun"), true).is_none());
        }
        assert_eq!(parts.0.len(), PARTS_MAX);
        assert!(parts.on_more(0, "forgotten", false, 100).is_none());
        assert_eq!(parts.on_more(99, "!", false, 100), Some(asked("begun!")));
    }
}
