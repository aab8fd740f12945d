//! `log.filter`: a level, or levels by module. A word that is neither would hide every line.

use tracing_subscriber::EnvFilter;

use super::super::fault::Fault;
use super::super::hint::did_you_mean;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What others call the levels.
const ELSEWHERE: [(&str, &str); 12] = [
    ("warning", "warn"),
    ("warnings", "warn"),
    ("err", "error"),
    ("crit", "error"),
    ("critical", "error"),
    ("fatal", "error"),
    ("alert", "error"),
    ("emerg", "error"),
    ("information", "info"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("none", "off"),
];

/// Checks a filter of `tracing` more strictly than its reader does, to which a bare word is a
/// module.
pub fn log_filter(text: &String) -> Result<String, Fault> {
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let level = match part.rsplit_once('=') {
            // A span's fields have signs of their own.
            _ if part.contains(['[', '{']) => continue,
            Some((_, level)) => level.trim(),
            None => part,
        };
        let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
            || matches!(level, "0" | "1" | "2" | "3" | "4" | "5");
        if !is_level {
            return Err(Fault::new(format!("has no level `{level}`: `{text}`")).hint(hint(level)));
        }
    }
    EnvFilter::try_new(text).map(|_| text.clone()).map_err(|_| {
        Fault::new(format!("must be a filter of `tracing`, not: `{text}`"))
            .hint("as in `info` or `info,tidegate::pool=debug`".to_owned())
    })
}

fn hint(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == word);
    let meant = elsewhere.map(|(_, level)| format!("did you mean `{level}`?"));
    let levels = || {
        "the levels are `error`, `warn`, `info`, `debug`, `trace` and `off`; a module is written \
         with its level, as in `info,tidegate::pool=debug`"
            .to_owned()
    };
    meant.or_else(|| did_you_mean(&word, LEVELS)).unwrap_or_else(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_levels_and_modules_are_taken_and_other_words_are_not() {
        for good in ["info", "WARN", "off", "info,tidegate::pool=debug", "hyper=trace", "2", ""] {
            assert!(log_filter(&good.to_owned()).is_ok(), "{good}");
        }
        for (bad, meant) in [
            ("warning", "`warn`"),
            ("info,tidegate::pool=verbose", "`debug`"),
            ("tidegate", "`info,tidegate::pool=debug`"),
            ("inof", "`info`"),
        ] {
            let fault = log_filter(&bad.to_owned()).unwrap_err().finding("", "", None);
            assert!(fault.hint.unwrap().contains(meant), "{bad}");
        }
    }
}
