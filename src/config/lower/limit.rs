//! How much one value of a key may have of a route.

use super::super::fault::Fault;
use super::super::plan::{RateRule, RouteLimits, SessionRule};
use super::super::tables::{self, Number, OneOrMany, Pacing, Spanned, if_any};
use super::{Lower, count, key};
use crate::report::Span;

/// A route's limits; none when the table is absent.
pub fn limits(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::RouteLimitsTable>,
) -> Option<RouteLimits> {
    let Some(raw) = written.get() else {
        return written.is_absent().then(RouteLimits::default);
    };
    let handshakes = rates(cx, "handshakes", &raw.handshakes);
    let requests = rates(cx, "requests", &raw.requests);
    let sessions = sessions(cx, &raw.sessions);
    let body_bytes_max = if_any(&raw.body_bytes_max);
    Some(RouteLimits {
        handshakes: handshakes?,
        requests: requests?,
        sessions: sessions?,
        body_bytes_max: body_bytes_max?,
        messages: None,
    })
}

fn rates(
    cx: &mut Lower<'_>,
    name: &str,
    written: &Spanned<OneOrMany<tables::RateRuleTable>>,
) -> Option<Vec<RateRule>> {
    let rules = each(cx, written, |cx, raw, at| {
        rate(cx, &format!("a limit of `{name}`"), (&raw.key, &raw.rate, &raw.burst), at)
    })?;
    let of = |rule: &RateRule| (rule.key.clone(), rule.rate.per);
    unique(cx, name, &rules, of, "each key needs one limit in a second, a minute or an hour");
    Some(rules.into_iter().map(|(rule, _)| rule).collect())
}

/// So many in a time.
pub fn rate(
    cx: &mut Lower<'_>,
    owner: &str,
    (key, rate, burst): (&Spanned<String>, &Spanned<Pacing>, &Spanned<Number<1>>),
    at: Span,
) -> Option<RateRule> {
    cx.need((key, "key"), owner, Some(at), "\"client\"");
    cx.need((rate, "rate"), owner, Some(at), "\"10/s\"");
    let key = cx.take("key", key, |text| key::request_key(text));
    let burst: Option<u32> = if_any(burst)?;
    let rate = *rate.get()?;
    Some(RateRule { key: key?, rate, burst: burst.unwrap_or(rate.count) })
}

fn sessions(
    cx: &mut Lower<'_>,
    written: &Spanned<OneOrMany<tables::SessionRuleTable>>,
) -> Option<Vec<SessionRule>> {
    let rules = each(cx, written, |cx, raw, at| {
        cx.need((&raw.key, "key"), "a limit of `sessions`", Some(at), "\"client\"");
        cx.need((&raw.max, "max"), "a limit of `sessions`", Some(at), "100");
        let key = cx.take("key", &raw.key, |text| key::request_key(text));
        Some(SessionRule { key: key?, max: count(&raw.max)?, excess: *raw.excess.get()? })
    })?;
    unique(cx, "sessions", &rules, |rule| rule.key.clone(), "each key needs one limit");
    Some(rules.into_iter().map(|(rule, _)| rule).collect())
}

/// What each element is, and its place; `None` when one is wrong.
fn each<T, U>(
    cx: &mut Lower<'_>,
    written: &Spanned<OneOrMany<T>>,
    mut lower: impl FnMut(&mut Lower<'_>, &T, Span) -> Option<U>,
) -> Option<Vec<(U, Span)>> {
    let Some(OneOrMany(list)) = written.get() else {
        return written.is_absent().then(Vec::new);
    };
    let lowered = list.iter().map(|one| {
        let (raw, at) = one.written()?;
        Some((lower(cx, raw, at)?, at))
    });
    // All of them, so that all that is wrong is reported.
    lowered.collect::<Vec<_>>().into_iter().collect()
}

/// Two limits by one key would count in one bucket.
fn unique<T, K: PartialEq>(
    cx: &mut Lower<'_>,
    name: &str,
    rules: &[(T, Span)],
    key: impl Fn(&T) -> K,
    hint: &str,
) {
    for (index, (rule, at)) in rules.iter().enumerate() {
        if rules[..index].iter().any(|(other, _)| key(other) == key(rule)) {
            let fault = Fault::new("has two limits by the same key".to_owned());
            cx.fault(name, Some(*at), fault.hint(hint.to_owned()));
        }
    }
}
