//! `traceparent`: which trace a request belongs to (W3C Trace Context, 2021, §3.2).

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Characters of version 00: `00-` trace `-` span `-` flags.
const LENGTH: usize = 55;

/// A span, by its ids, and whether it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    /// The trace's id; not zero.
    pub trace: u128,
    /// The span's; not zero.
    pub span: u64,
    /// Whether whoever began the trace keeps it.
    pub is_sampled: bool,
}

impl TraceContext {
    /// A trace that begins here.
    pub fn new() -> TraceContext {
        let trace = fastrand::u128(1..);
        TraceContext { trace, span: fastrand::u64(1..), is_sampled: true }
    }

    /// Another span of the same trace.
    pub fn next(self) -> TraceContext {
        TraceContext { span: fastrand::u64(1..), ..self }
    }

    /// What a request says; `None` where it says nothing, nothing that can be read, or two things
    /// (§3.2.3: then the trace begins anew).
    pub fn of(headers: &HeaderMap) -> Option<TraceContext> {
        let mut fields = headers.get_all(TRACEPARENT).iter();
        let field = fields.next()?;
        let text = field.to_str().ok().filter(|_| fields.next().is_none())?;
        TraceContext::parse(text)
    }

    fn parse(text: &str) -> Option<TraceContext> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let hex = |from: usize, to: usize| {
            text.get(from..to).filter(|digits| digits.bytes().all(is_digit))
        };
        let version = hex(0, 2).filter(|version| *version != "ff")?;
        // A later version may have more behind another dash (§4.3).
        let (_, rest) = text.split_at_checked(LENGTH)?;
        let is_whole = rest.is_empty() || version != "00" && rest.starts_with('-');
        let has_dashes = [2, 35, 52].iter().all(|at| text.as_bytes()[*at] == b'-');
        let trace = u128::from_str_radix(hex(3, 35)?, 16).ok()?;
        let span = u64::from_str_radix(hex(36, 52)?, 16).ok()?;
        let flags = u8::from_str_radix(hex(53, 55)?, 16).ok()?;
        let is_valid = is_whole && has_dashes && trace != 0 && span != 0;
        is_valid.then_some(TraceContext { trace, span, is_sampled: flags & 1 != 0 })
    }

    /// The field's value.
    pub fn value(&self) -> HeaderValue {
        // cannot fail: digits and dashes.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl Default for TraceContext {
    fn default() -> TraceContext {
        TraceContext::new()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceContext { trace, span, is_sampled } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*is_sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read_and_another_span_is_of_the_same_trace() {
        let read = TraceContext::parse(GOOD).unwrap();
        assert_eq!((read.to_string().as_str(), read.is_sampled), (GOOD, true));
        let next = read.next();
        assert!(next.trace == read.trace && next.span != read.span && next.is_sampled);
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled);
        let later = format!("{}-and-more", GOOD.replace("00-4b", "cc-4b"));
        assert!(TraceContext::parse(&later).is_some());
    }

    #[test]
    fn what_is_no_trace_begins_none() {
        let upper = GOOD.to_uppercase();
        for wrong in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &upper,
            &GOOD.replace("00-4b", "ff-4b"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace('-', "_"),
            &GOOD.replace("4bf9", "4bé"),
            &GOOD.replace("4bf9", "+bf9"),
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
        let mut two = HeaderMap::new();
        two.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceContext::of(&two).is_some());
        two.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceContext::of(&two), None);
    }
}
