//! "Did you mean": the word a writer had in mind.

/// Words less alike than this are not proposed.
const ALIKE_MIN: f64 = 0.75;

/// The known word most like `written`, as a hint; `None` when none is near.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let alike = |word: &'a str| {
        let same = written.eq_ignore_ascii_case(word);
        (if same { 1.0 } else { strsim::jaro_winkler(written, word) }, word)
    };
    let best = known.into_iter().map(alike).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE_MIN).then(|| format!("did you mean `{}`?", best.1))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_does_not() {
        let known = ["idle_timeout", "ping_interval", "pong_timeout"];
        let hint = |written| did_you_mean(written, known);
        assert_eq!(hint("ping_intervall").unwrap(), "did you mean `ping_interval`?");
        assert_eq!(hint("timeout_idle"), None);
        assert_eq!(hint("PONG_TIMEOUT").unwrap(), "did you mean `pong_timeout`?");
        assert_eq!(hint("colour"), None);
    }
}
