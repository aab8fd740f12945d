//! Sessions that move until a pool's backends are level.

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::plan::{Balance, Rebalance};
use super::super::tables::{self, Spanned};
use super::{Lower, action, entries};

/// The `rebalance` of a pool with this `balance`.
pub fn rebalance(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::RebalanceTable>,
    balance: Option<&Balance>,
    is_sticky: bool,
) -> Option<Rebalance> {
    let raw = written.get()?;
    refuse(cx, written.span(), balance, is_sticky);
    raw.lower(cx.report)
}

/// A session may only be moved to be level where it was put by that: to move another would take
/// it away from where its key, its cookie or its turn has put it.
fn refuse(cx: &mut Lower<'_>, at: Option<Span>, balance: Option<&Balance>, is_sticky: bool) {
    let with = match balance {
        _ if is_sticky => "`sticky`, which keeps clients where they are",
        Some(Balance::Hash { .. }) => "`balance = \"hash\"`, which says where a session belongs",
        Some(Balance::RoundRobin) => "`balance = \"round_robin\"`, which does not look at sessions",
        _ => return,
    };
    let fault = Fault::new(format!("cannot be had with {with}"));
    let hint = match is_sticky {
        true => "remove one of them",
        false => "`least_sessions` and `random_two` can be rebalanced",
    };
    cx.fault("rebalance", at, fault.hint(hint.to_owned()));
}

/// Only sessions that can be held can be moved.
pub fn without_hold(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    routes: &[Spanned<tables::RouteTable>],
) {
    let holds = |name: &String| {
        let mut routes = routes.iter().filter_map(Spanned::get);
        routes.any(|route| {
            let pool = action::pool_of(route).map(|(pool, _)| pool);
            pool == Some(name) && !route.hold.is_absent()
        })
    };
    for (name, pool) in entries(&file.pools) {
        let (Some(name), Some(pool)) = (name.get(), pool.get()) else { continue };
        if pool.rebalance.is_written() && !holds(name) {
            let said = format!("no session of pool `{name}` can be moved by `rebalance`");
            let finding = Diagnostic::warning("unused", said).at(pool.rebalance.span());
            cx.report(finding.hint("give a route that goes there a `hold`".to_owned()));
        }
    }
}
