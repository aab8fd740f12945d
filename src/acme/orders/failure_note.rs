//! A failed order, noted for other instances and for the next start: all of them together ask the
//! authority no more often than one.

/// How long a note holds for who was not there: an operator who has put things right and starts
/// anew waits no longer, and authorities count failures by the hour.
const HOLDS_FOR: i64 = 15 * 60;

/// What is noted. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FailureNote {
    pub(super) failed_at: i64,
    pub(super) not_before: i64,
    pub(super) failures: u32,
    pub(super) error: String,
}

impl FailureNote {
    /// Whether an order waits for it that would be made now by who knows of so many failures.
    pub(super) fn holds(&self, known: u32, now: i64) -> bool {
        // A note of the future was made by a clock that is wrong.
        self.failures > known && self.failed_at <= now && now < self.until()
    }

    /// Until when.
    pub(super) fn until(&self) -> i64 {
        self.not_before.min(self.failed_at.saturating_add(HOLDS_FOR))
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        let FailureNote { failed_at, not_before, failures, error } = self;
        format!("{failed_at} {not_before} {failures}\n{error}\n")
    }

    /// Reads what was written; `None` where it is something else.
    pub(super) fn read(text: &str) -> Option<FailureNote> {
        let (numbers, error) = text.split_once('\n')?;
        let mut numbers = numbers.split(' ');
        let (failed_at, not_before) =
            (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let failures = numbers.next()?.parse().ok()?;
        Some(FailureNote { failed_at, not_before, failures, error: error.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_garbage_is_none() {
        let error = "the authority refuses: no".to_owned();
        let note = FailureNote { failed_at: 100, not_before: 160, failures: 2, error };
        assert_eq!(FailureNote::read(&note.text()), Some(note));
        for garbage in ["", "\n", "1 2\n", "a b c\nwhy", "\0\0\0\0"] {
            assert_eq!(FailureNote::read(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn a_note_holds_for_who_was_not_there_and_a_quarter_of_an_hour_at_most() {
        let of = |not_before| FailureNote {
            failed_at: 1_000,
            not_before,
            failures: 3,
            error: String::new(),
        };
        let note = of(1_240);
        assert!(note.holds(0, 1_000) && note.holds(2, 1_239));
        assert!(!note.holds(0, 1_240) && !note.holds(3, 1_100) && !note.holds(0, 999));
        let long = of(1_000_000);
        assert!(long.holds(0, 1_899) && !long.holds(0, 1_900));
    }
}
