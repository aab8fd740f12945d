//! Certificates that are ordered: how each stands by what is kept in `acme.state`.

use super::date;
use crate::acme::NameState;
use crate::acme::orders;
use crate::config::plan::Plan;
use crate::report::{Diagnostic, Report};

/// Says how each name stands; `now` is in seconds since 1970.
pub(super) fn add_ordered(plan: &Plan, now: i64, findings: &mut Report) {
    let Some(acme) = &plan.acme else { return };
    match orders::stored_names(plan) {
        Ok(names) => names.iter().for_each(|name| findings.push(found(name, now))),
        Err(error) => {
            let state = acme.state.display();
            let said = format!("nothing is known of ordered certificates: {error}: `{state}`");
            let hint = "the process may run as another user, who may look there".to_owned();
            findings.push(Diagnostic::warning("acme", said).hint(hint));
        }
    }
}

fn found(one: &NameState, now: i64) -> Diagnostic {
    let name = &one.name;
    let renewal = match one.due > now {
        true => format!("the next order is in about {}", span(one.due - now)),
        false => "the next order is due".to_owned(),
    };
    let shown = match one.not_after {
        Some(end) if end > now => {
            let (left, end) = (span(end - now), date(end));
            format!("the certificate ordered for `{name}` expires in {left}, at {end}")
        }
        Some(end) => {
            let (ago, end) = (span(now - end), date(end));
            format!("the certificate ordered for `{name}` expired {ago} ago, at {end}")
        }
        None => format!("there is no certificate for `{name}` yet"),
    };
    let said = format!("{shown}; {renewal}");
    match &one.error {
        Some(error) => {
            let tries = match one.failures {
                0 => "what is kept is of no use".to_owned(),
                1 => "the last order failed".to_owned(),
                more => format!("{more} orders in a row have failed"),
            };
            Diagnostic::warning("acme", said).hint(format!("{tries}: {error}"))
        }
        None if one.not_after.is_some_and(|end| end <= now) => Diagnostic::warning("acme", said),
        None => Diagnostic::note("acme", said),
    }
}

/// A time as a person says it.
fn span(seconds: i64) -> String {
    let count = |number: i64, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    match seconds {
        ..120 => count(seconds, "second"),
        120..7_200 => count(seconds / 60, "minute"),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-10, noon.
    const NOW: i64 = 1_799_582_400;
    const DAY: i64 = 86_400;

    fn said(stands: NameState) -> String {
        let found = found(&NameState { name: "a.test".into(), ..stands }, NOW);
        let hint = found.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {}{hint}", found.severity.name(), found.message)
    }

    #[test]
    fn each_state_of_a_name_is_told() {
        let shown = |left, due| NameState {
            not_after: Some(NOW + left),
            due: NOW + due,
            ..NameState::default()
        };
        assert_eq!(
            said(shown(60 * DAY, 30 * DAY)),
            "note: the certificate ordered for `a.test` expires in 60 days, at Thu, 11 Mar 2027 \
             12:00:00 UTC; the next order is in about 30 days"
        );
        assert_eq!(
            said(NameState { error: Some("no".into()), failures: 3, ..shown(3 * DAY, 4_000) }),
            "warning: the certificate ordered for `a.test` expires in 3 days, at Wed, 13 Jan 2027 \
             12:00:00 UTC; the next order is in about 66 minutes (3 orders in a row have failed: \
             no)"
        );
        assert_eq!(
            said(shown(-7_200, -DAY)),
            "warning: the certificate ordered for `a.test` expired 2 hours ago, at Sun, 10 Jan \
             2027 10:00:00 UTC; the next order is due"
        );
        let none = NameState { due: NOW, ..NameState::default() };
        assert_eq!(
            said(none),
            "note: there is no certificate for `a.test` yet; the next order is due"
        );
        let failed = NameState {
            due: NOW + 90,
            failures: 1,
            error: Some("the authority refuses: no".into()),
            ..NameState::default()
        };
        assert_eq!(
            said(failed),
            "warning: there is no certificate for `a.test` yet; the next order is in about 90 \
             seconds (the last order failed: the authority refuses: no)"
        );
    }
}
