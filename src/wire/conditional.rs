//! Conditional requests: whether what a client has is what there is (RFC 9110 §13).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

use super::list::{OWS, split_quoted};

/// What tells one state of a representation from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validators {
    /// A strong entity tag, in its quotes.
    pub etag: String,
    /// When it was last modified, in whole seconds, as the field has it.
    pub modified: Option<SystemTime>,
}

/// What the preconditions of a GET or HEAD lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precondition {
    /// They hold.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client expects.
    Failed,
}

impl Validators {
    /// Evaluates the preconditions in their order (§13.2.2). A date that cannot be read is passed
    /// over.
    pub fn judge(&self, headers: &HeaderMap) -> Precondition {
        let unmodified = || self.is_older(headers, IF_UNMODIFIED_SINCE);
        let matched = self.matches(headers, IF_MATCH, strongly).or_else(unmodified);
        if matched == Some(false) {
            return Precondition::Failed;
        }
        let unchanged = || self.is_older(headers, IF_MODIFIED_SINCE);
        match self.matches(headers, IF_NONE_MATCH, weakly).or_else(unchanged) {
            Some(true) => Precondition::NotModified,
            _ => Precondition::Proceed,
        }
    }

    /// Whether a range is of what the client has a part of: it says so by `If-Range`, or says
    /// nothing (§13.1.5). A date counts only where a second change in the same second is out of the
    /// question (§8.8.2.2).
    pub fn allows_range(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let mut lines = headers.get_all(IF_RANGE).iter();
        let Some(line) = lines.next() else { return true };
        let line = line.to_str().ok().filter(|_| lines.next().is_none());
        let Some(line) = line.map(|line| line.trim_matches(OWS)) else { return false };
        if line.ends_with('"') {
            return strongly(line, &self.etag);
        }
        let Some(modified) = self.modified else { return false };
        let is_settled = now.duration_since(modified).is_ok_and(|age| age > Duration::from_secs(1));
        is_settled && httpdate::parse_http_date(line).is_ok_and(|date| date == modified)
    }

    /// Whether one of a field's entity tags is this one, or the field is `*`; `None` without it.
    fn matches(
        &self,
        headers: &HeaderMap,
        name: HeaderName,
        same: fn(&str, &str) -> bool,
    ) -> Option<bool> {
        headers.contains_key(&name).then(|| {
            headers.get_all(&name).iter().filter_map(|line| line.to_str().ok()).any(|line| {
                let tags = split_quoted(line, b',').unwrap_or_default();
                tags.iter().any(|tag| *tag == "*" || same(tag, &self.etag))
            })
        })
    }

    /// Whether it was not modified after a field's date; `None` without a date on either side.
    fn is_older(&self, headers: &HeaderMap, name: HeaderName) -> Option<bool> {
        let mut lines = headers.get_all(name).iter();
        let line = lines.next().filter(|_| lines.next().is_none())?;
        let date = httpdate::parse_http_date(line.to_str().ok()?).ok()?;
        Some(self.modified? <= date)
    }
}

/// The comparison of which a weak tag is never part (§8.8.3.2).
fn strongly(tag: &str, own: &str) -> bool {
    tag == own
}

fn weakly(tag: &str, own: &str) -> bool {
    tag.strip_prefix("W/").unwrap_or(tag) == own
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn validators() -> Validators {
        let modified = httpdate::parse_http_date(THEN).ok();
        Validators { etag: "\"a\"".into(), modified }
    }

    fn map(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn preconditions_are_evaluated_in_their_order() {
        use Precondition::{Failed, NotModified, Proceed};
        let rows: &[(&[(HeaderName, &str)], Precondition)] = &[
            (&[], Proceed),
            (&[(IF_NONE_MATCH, "\"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"x,\", \"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"b\"")], Proceed),
            (&[(IF_NONE_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, AFTER)], Proceed),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_MODIFIED_SINCE, THEN)], NotModified),
            (&[(IF_MODIFIED_SINCE, "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Proceed),
            (&[(IF_MATCH, "\"a\"")], Proceed),
            (&[(IF_MATCH, "*")], Proceed),
            (&[(IF_MATCH, "W/\"a\"")], Failed),
            (&[(IF_MATCH, "\"b\"")], Failed),
            (&[(IF_MATCH, "\"a\""), (IF_UNMODIFIED_SINCE, BEFORE)], Proceed),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed),
            (&[(IF_UNMODIFIED_SINCE, THEN)], Proceed),
            (&[(IF_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")], Failed),
        ];
        for (fields, verdict) in rows {
            assert_eq!(validators().judge(&map(fields)), *verdict, "{fields:?}");
        }
        let dateless = Validators { modified: None, ..validators() };
        assert_eq!(dateless.judge(&map(&[(IF_MODIFIED_SINCE, AFTER)])), Proceed);
    }

    #[test]
    fn a_range_is_of_what_the_client_has_a_part_of() {
        let now = httpdate::parse_http_date(AFTER).unwrap() + Duration::from_secs(60);
        let rows: &[(&[(HeaderName, &str)], bool)] = &[
            (&[], true),
            (&[(IF_RANGE, "\"a\"")], true),
            (&[(IF_RANGE, "W/\"a\"")], false),
            (&[(IF_RANGE, "\"b\"")], false),
            (&[(IF_RANGE, THEN)], true),
            (&[(IF_RANGE, AFTER)], false),
            (&[(IF_RANGE, BEFORE)], false),
            (&[(IF_RANGE, "soon")], false),
            (&[(IF_RANGE, "")], false),
            (&[(IF_RANGE, "\"a\""), (IF_RANGE, "\"a\"")], false),
        ];
        for (fields, allowed) in rows {
            assert_eq!(validators().allows_range(&map(fields), now), *allowed, "{fields:?}");
        }
        let then = httpdate::parse_http_date(THEN).unwrap();
        assert!(!validators().allows_range(&map(&[(IF_RANGE, THEN)]), then));
    }
}
