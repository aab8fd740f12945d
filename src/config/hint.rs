//! "Did you mean": the word a writer had in mind, and what else helps to mend a file.

use std::io;

/// Words less alike than this are not proposed: a letter in four may be wrong or in another place.
const ALIKE_MIN: f64 = 0.7;

/// What a common beginning must be worth where more letters than that are wrong.
const BEGINNING_MIN: f64 = 0.85;

/// A slip of the pen: a letter in six may be wrong.
const SLIP_MIN: f64 = 0.83;

/// The known word that is `written` but for a slip of the pen.
pub fn slip<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |word: &&str| strsim::normalized_damerau_levenshtein(written, word) >= SLIP_MIN;
    known.into_iter().find(near)
}

/// The known word most like `written`, as a hint; `None` when none is near.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, known).map(|word| format!("did you mean `{word}`?"))
}

/// The known word most like `written`; `None` when none is near.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |word: &'a str| {
        let same = written.eq_ignore_ascii_case(word) || parts(written) == parts(word);
        let edits = strsim::normalized_damerau_levenshtein(written, word);
        let beginning = strsim::jaro_winkler(written, word);
        let alike = if beginning >= BEGINNING_MIN { edits.max(ALIKE_MIN) } else { edits };
        (if same { 1.0 } else { alike }, word)
    };
    let best = known.into_iter().map(alike).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE_MIN).then_some(best.1)
}

/// What may help where the file that a configuration names by `written` cannot be read.
pub fn unreadable(written: &str, error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound if !written.starts_with('/') => {
            Some("relative paths begin at the directory of the file they are written in")
        }
        io::ErrorKind::PermissionDenied => {
            Some("let the user that runs tidegate read it, and enter its directories")
        }
        io::ErrorKind::IsADirectory => Some("this is a directory: name a file in it"),
        _ => None,
    }
}

/// The parts of a name in one order: `max_sessions` is `sessions_max`.
fn parts(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.split('_').collect();
    parts.sort_unstable();
    parts
}

/// `a`, `b` or `c`, each in backticks, with this word before the last.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>, before_last: &str) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {before_last} {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}

/// `"a"`, `"b"` or `"c"`: words as they are written in a file.
pub fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    listed(words.iter().map(String::as_str), "or")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_does_not() {
        let known = ["idle_timeout", "ping_interval", "pong_timeout"];
        let hint = |written| did_you_mean(written, known);
        assert_eq!(hint("ping_intervall").unwrap(), "did you mean `ping_interval`?");
        assert_eq!(hint("timeout_idle").unwrap(), "did you mean `idle_timeout`?");
        assert_eq!(hint("timeout"), None);
        assert_eq!(hint("PONG_TIMEOUT").unwrap(), "did you mean `pong_timeout`?");
        assert_eq!(hint("colour"), None);
    }
}
