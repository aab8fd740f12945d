//! A route that is asked about live sessions.

use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{Action, Address, Api, ApiRight, Listener, Route};
use super::super::tables::{self, Spanned};
use super::Lower;

/// All rights there are.
const ALL: [ApiRight; 5] =
    [ApiRight::Push, ApiRight::List, ApiRight::Kick, ApiRight::Label, ApiRight::Events];

/// Whose sessions it is about, and what may be asked.
pub fn api(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::ApiTable,
    at: Option<Span>,
) -> Option<Api> {
    cx.need((&raw.routes, "routes"), "`api`", at, "[\"chat\"]");
    let written = file.routes.get().map_or(&[][..], Vec::as_slice);
    let known = || written.iter().filter_map(|route| route.get()?.name.get());
    let routes = cx.take_each("routes", &raw.routes, |name| {
        if name == "*" || known().any(|one| one == name) {
            return Ok(Arc::from(name.as_str()));
        }
        let names = || match known().next() {
            Some(_) => format!("the routes are {}", listed(known().map(String::as_str), "and")),
            None => "give the route a `name`".to_owned(),
        };
        let hint = did_you_mean(name, known().map(String::as_str)).unwrap_or_else(names);
        Err(Fault::new(format!("must be the name of a route, not: `{name}`")).hint(hint))
    });
    let may = cx.take_each("may", &raw.may, |right| Ok(*right));
    let may = if raw.may.is_absent() { ALL.to_vec() } else { may? };
    Some(Api { routes: routes?, may, aws: *raw.aws.get()? })
}

/// Reports a route of this kind that anybody can reach.
pub fn guarded(cx: &mut Lower<'_>, listeners: &[Arc<Listener>], routes: &[(Arc<Route>, Span)]) {
    for (route, span) in routes {
        let open = |listener: &&Arc<Listener>| {
            let takes = route.listeners.is_empty() || route.listeners.contains(&listener.name);
            takes && matches!(listener.address, Address::Inet(at) if !at.ip().is_loopback())
        };
        let open = listeners.iter().find(open).map(|listener| &listener.name);
        if let (Action::Api(_), None, Some(listener)) = (&route.action, &route.access, open) {
            let said = format!("anybody who reaches listener `{listener}` may ask this `api`");
            let hint = "write `access = [\"services\"]`, or name a `listener` on the loopback \
                        address or a unix socket";
            cx.report(Diagnostic::error("open", said).at(*span).hint(hint.to_owned()));
        }
    }
}

/// How its clients are sent messages; not at all when the table is absent.
pub fn push(
    cx: &mut Lower<'_>,
    written: &Spanned<tables::PushTable>,
) -> Option<Option<Arc<tables::Push>>> {
    let Some(raw) = written.get() else { return written.is_absent().then_some(None) };
    let push = raw.lower(cx.report)?;
    if push.message_bytes_max > push.queue_bytes_max {
        let fault = Fault::new("is more than `queue_bytes_max`: such a message never has room");
        cx.fault("message_bytes_max", raw.message_bytes_max.span().or(written.span()), fault);
        return None;
    }
    Some(Some(Arc::new(push)))
}
