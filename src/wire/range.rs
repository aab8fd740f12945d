//! Which bytes of a representation a request asks for (RFC 9110 §14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

use super::list::OWS;

/// Ranges of one request at most; where more are asked for, the whole is sent (RFC 9110 §17.15).
pub const RANGES_MAX: usize = 16;

/// What is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it: no range is asked for, or none that is heard.
    Whole,
    /// These bytes, in this order; at least one part, none empty.
    Parts(Vec<Range<u64>>),
    /// Nothing of what is asked for is there.
    Unsatisfiable,
}

/// Which bytes of `length` a GET asks for. What is not understood is passed over, and the whole is
/// sent: another unit, a list that is malformed or longer than [`RANGES_MAX`], ranges that together
/// are more than the whole.
pub fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let mut lines = headers.get_all(RANGE).iter();
    let line = lines.next().filter(|_| lines.next().is_none());
    let Some(specs) = line.and_then(|line| specs(line.to_str().ok()?)) else {
        return Wanted::Whole;
    };
    let parts: Vec<_> = specs.iter().filter_map(|spec| spec.bytes(length)).collect();
    let total = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.end - part.start));
    match parts.is_empty() {
        // The last bytes of nothing are nothing, which no part can say.
        true if specs.iter().any(|spec| matches!(spec, Spec::Last(1..))) => Wanted::Whole,
        true => Wanted::Unsatisfiable,
        false if total > length => Wanted::Whole,
        false => Wanted::Parts(parts),
    }
}

/// One range, as it is written (§14.1.1).
enum Spec {
    /// From a byte on.
    From(u64),
    /// From a byte to another, that one included.
    Between(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

impl Spec {
    /// The bytes there are; `None` when there are none.
    fn bytes(&self, length: u64) -> Option<Range<u64>> {
        let range = match *self {
            Spec::From(first) => first..length,
            Spec::Between(first, last) => first..last.saturating_add(1).min(length),
            Spec::Last(bytes) => length.saturating_sub(bytes)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The list; `None` when it is of another unit, or malformed.
fn specs(line: &str) -> Option<Vec<Spec>> {
    let (unit, list) = line.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let elements = list.split(',').map(|element| element.trim_matches(OWS));
    let elements: Vec<_> = elements.filter(|element| !element.is_empty()).collect();
    if elements.is_empty() || elements.len() > RANGES_MAX {
        return None;
    }
    elements.into_iter().map(spec).collect()
}

fn spec(element: &str) -> Option<Spec> {
    let (first, last) = element.split_once('-')?;
    match (first, last) {
        ("", last) => number(last).map(Spec::Last),
        (first, "") => number(first).map(Spec::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Between(first, last))
        }
    }
}

/// Digits; a number that is too large is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(line: &str, length: u64) -> Wanted {
        let headers = [(RANGE, line.parse().unwrap())].into_iter().collect();
        wanted(&headers, length)
    }

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        let parts = |parts: &[(u64, u64)]| {
            Wanted::Parts(parts.iter().map(|(start, end)| *start..*end).collect())
        };
        let rows = [
            ("bytes=0-3", parts(&[(0, 4)])),
            ("Bytes=0-3", parts(&[(0, 4)])),
            ("bytes=4-", parts(&[(4, 10)])),
            ("bytes=-3", parts(&[(7, 10)])),
            ("bytes=-100", parts(&[(0, 10)])),
            ("bytes=9-99999999999999999999999", parts(&[(9, 10)])),
            ("bytes=0-1, 3-4", parts(&[(0, 2), (3, 5)])),
            ("bytes=,8-,,0-0,", parts(&[(8, 10), (0, 1)])),
            ("bytes=0-1,50-60", parts(&[(0, 2)])),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10-20,-0", Wanted::Unsatisfiable),
        ];
        for (line, expected) in rows {
            assert_eq!(of(line, 10), expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_asks_for_the_whole() {
        let many = format!("bytes={}", "0-0,".repeat(RANGES_MAX + 1));
        let lines = [
            "items=0-3",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=3-2",
            "bytes=0-1,x",
            "bytes=--1",
            "bytes=+1-2",
            "bytes = 0-1",
            "bytes=0-9,0-9",
            "bytes=0 -1",
            &many,
        ];
        for line in lines {
            assert_eq!(of(line, 10), Wanted::Whole, "{line}");
        }
        let twice = [(RANGE, "bytes=0-1".parse().unwrap()), (RANGE, "bytes=2-3".parse().unwrap())];
        assert_eq!(wanted(&twice.into_iter().collect(), 10), Wanted::Whole);
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::Whole);
    }

    #[test]
    fn of_nothing_there_is_no_part() {
        assert_eq!(of("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(of("bytes=-5", 0), Wanted::Whole);
        assert_eq!(of("bytes=-0", 0), Wanted::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn any_range_is_inside(
            line in "bytes=([0-9]{0,3}-[0-9]{0,3},?){1,4}",
            length in 0_u64..500,
        ) {
            if let Wanted::Parts(parts) = of(&line, length) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
            }
        }
    }
}
