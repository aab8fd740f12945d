//! Routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{
    Compress, FieldCondition, HostPattern, Route, RouteLimits, Rules, WebSocketMode,
};
use super::super::tables::{self, RelayTable, Spanned, TakesWebSockets};
use super::{
    Lower, access, action, api, condition, entries, fields, hold, label, limit, named, opt,
    origins, page, path_change, rebalance, relay, unfilled,
};

/// All routes with their places, in file order; those that are wrong are left out. A route with
/// several hosts is several routes.
pub fn routes(cx: &mut Lower<'_>, file: &tables::FileTable) -> Vec<(Arc<Route>, Span)> {
    let fallback = RelayTable::default();
    let all = file.relay.get().unwrap_or(&fallback);
    let all_by = relay::check(cx, all);
    let written = file.routes.get().map_or(&[][..], Vec::as_slice);
    let mut routes: Vec<(Arc<Route>, Span)> = Vec::with_capacity(written.len());
    // Equal rules are one value, and a thousand routes without `relay` share it.
    let mut rules: HashSet<Arc<Rules>> = HashSet::new();
    for (raw, span) in written.iter().filter_map(Spanned::written) {
        let lowered = lower(cx, file, raw, (all, all_by.clone()), span).unwrap_or_default();
        for mut route in lowered {
            match rules.get(&route.rules) {
                Some(same) => route.rules = same.clone(),
                None => drop(rules.insert(route.rules.clone())),
            }
            routes.push((Arc::new(route), span));
        }
    }
    unique(cx, &routes);
    if written.is_empty() && !file.routes.is_faulty() {
        let finding = Diagnostic::warning("missing", "there is no route");
        cx.report(finding.hint("every request is answered 404".to_owned()));
    }
    unused_pools(cx, file, written);
    unfilled::check_shared(cx, file, written);
    rebalance::without_hold(cx, file, written);
    routes
}

/// Warns of a path whose letters are another program's way to write a parameter.
fn warn_of_unlikely_letters(cx: &mut Lower<'_>, raw: &tables::RouteTable) {
    if let Some(part) = raw.path.get().and_then(|path| condition::unlikely(path)) {
        let said = format!("`path` takes these letters only, and fills nothing in: `{part}`");
        let hint = "a regular expression takes any name: `\"~ ^/rooms/[^/]+$\"`".to_owned();
        cx.report(Diagnostic::warning("path", said).at(raw.path.span()).hint(hint));
    }
}

fn lower(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
    (all, all_by): (&RelayTable, Option<relay::MessagesBy>),
    at: Span,
) -> Option<Vec<Route>> {
    no_empty_list(cx, raw);
    let name = cx.take("name", &raw.name, |name| named(name));
    let listeners = listeners(cx, file, raw);
    let hosts = cx.take_each("host", &raw.host, |host| condition::host(host));
    let ignore_case = *raw.ignore_case.get()?;
    let path = cx.take("path", &raw.path, |path| condition::path(path, ignore_case));
    warn_of_unlikely_letters(cx, raw);
    let methods = cx.take_each("methods", &raw.methods, |text| condition::method(text));
    let headers = headers(cx, raw);
    let action = action::action(cx, file, raw, Some(at));
    let origins = origins::origins(cx, raw);
    let access = access::demand(cx, file, raw);
    let own = raw.relay.get()?;
    let own_by = relay::check(cx, own);
    let messages = if own.messages_by.is_absent() { all_by } else { own_by };
    let rules = relay::rules(cx, own, all);
    let request_headers = fields::changes(cx, &raw.request_headers, fields::Of::Request);
    let response_headers = fields::changes(cx, &raw.response_headers, fields::Of::Response);
    let trailers = cx.take_each("trailers", &raw.trailers, |name| fields::trailer(name));
    let limits = limit::limits(cx, &raw.limits);
    let labels = label::labels(cx, &raw.labels);
    unfilled::check(cx, file, raw);
    let errors = page::errors(cx, &raw.errors);
    let compress = compress(cx, raw);
    let push = api::push(cx, &raw.push);
    let hold = opt(raw.hold.is_written().then(|| hold::hold(cx, file, raw)));
    let (hosts, path, methods, headers) = (hosts?, path?, methods?, headers?);
    path_change::check_prefix(cx, raw, &path);
    let raw_path = path_change::raw_path(cx, raw)?;
    let several = raw.host.get().is_some_and(|_| hosts.len() != 1 || is_list(cx, raw));
    let hosts = if raw.host.is_absent() { vec![HostPattern::Any] } else { hosts };
    let (hold, queue) = hold?.unzip();
    let (request_headers, response_headers) = (request_headers?, response_headers?);
    let trailers = fields::passing(&trailers?, &request_headers, &response_headers);
    let route = Route {
        identity: Arc::from(""),
        listeners: listeners?,
        host: HostPattern::Any,
        ignore_case: ignore_case && path.prefix().is_some(),
        path,
        raw_path,
        methods,
        headers,
        action: action?,
        websocket: websocket_mode(raw.websocket.get()?),
        allowed_origins: origins?,
        access: access?,
        rules: Arc::new(rules?),
        limits: RouteLimits { messages: messages?, ..limits? },
        labels: labels?,
        backend_labels: *raw.backend_labels.get()?,
        push: push?,
        request_headers,
        response_headers,
        trailers,
        errors: errors?,
        compress: compress?,
        queue: queue.flatten(),
        hold: hold.map(Arc::new),
    };
    let for_host = |host: HostPattern| Route {
        identity: match &name {
            Some(name) if several => format!("{name}@{host}").into(),
            Some(name) => name.clone(),
            None => condition::identity(&host, &route),
        },
        host,
        ..route.clone()
    };
    Some(hosts.into_iter().map(for_host).collect())
}

fn compress(cx: &mut Lower<'_>, raw: &tables::RouteTable) -> Option<Option<Arc<Compress>>> {
    let compress = raw.compress.get().map(|table| page::compress(cx, table));
    if raw.compress.is_faulty() { None } else { opt(compress) }
}

fn websocket_mode(written: &TakesWebSockets) -> WebSocketMode {
    match written {
        TakesWebSockets::Yes => WebSocketMode::Allowed,
        TakesWebSockets::Match => WebSocketMode::Matched,
        TakesWebSockets::Only => WebSocketMode::Only,
        TakesWebSockets::No => WebSocketMode::Refused,
    }
}

/// Reports a list that takes no request: an empty one is no list that takes any.
fn no_empty_list(cx: &mut Lower<'_>, raw: &tables::RouteTable) {
    for (key, list) in [("listener", &raw.listener), ("methods", &raw.methods), ("host", &raw.host)]
    {
        if list.get().is_some_and(|list| list.0.is_empty()) {
            let hint = format!("leave `{key}` out to take any");
            cx.fault(key, list.span(), Fault::new("is an empty list: nothing is taken").hint(hint));
        }
    }
}

fn listeners(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
) -> Option<Vec<Arc<str>>> {
    let known: Vec<&str> = entries(&file.listeners)
        .iter()
        .filter_map(|(name, _)| Some(name.get()?.as_str()))
        .collect();
    cx.take_each("listener", &raw.listener, |name| {
        if known.contains(&name.as_str()) {
            return Ok(name.as_str().into());
        }
        let names = || format!("the listeners are {}", listed(known.iter().copied(), "and"));
        let hint = did_you_mean(name, known.iter().copied()).unwrap_or_else(names);
        Err(Fault::new(format!("must be the name of a listener, not: `{name}`")).hint(hint))
    })
}

/// Whether hosts were written as a list: then each may come and go without renaming the others.
fn is_list(cx: &Lower<'_>, raw: &tables::RouteTable) -> bool {
    raw.host.span().is_some_and(|span| cx.sources.slice(span).starts_with('['))
}

fn headers(cx: &mut Lower<'_>, raw: &tables::RouteTable) -> Option<Vec<FieldCondition>> {
    let written = entries(&raw.headers);
    let mut headers = Vec::with_capacity(written.len());
    for (name, test) in written {
        let field = cx.take("headers", name, |name| condition::field_name(name));
        let shown = name.get().map_or("headers", String::as_str);
        let value = cx.take(shown, test, condition::field);
        if let (Some(name), Some(value)) = (field, value) {
            headers.push(FieldCondition { name, value });
        }
    }
    (headers.len() == written.len() && !raw.headers.is_faulty()).then_some(headers)
}

/// An identity belongs to one route.
fn unique(cx: &mut Lower<'_>, routes: &[(Arc<Route>, Span)]) {
    let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
    for (route, span) in routes {
        let Some(first) = seen.insert(route.identity.clone(), *span) else { continue };
        let said = format!("two routes are the same: `{}`", route.identity);
        let hint = "give them different names, or different conditions".to_owned();
        let finding = Diagnostic::error("duplicate", said).at(*span).label("again");
        cx.report(finding.also(first, "first here").hint(hint));
    }
}

/// A pool no route speaks of is probably misspelt somewhere.
fn unused_pools(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    routes: &[Spanned<tables::RouteTable>],
) {
    let routed = routes.iter().filter_map(|route| Some(action::pool_of(route.get()?)?.0));
    let used: HashSet<&str> = routed.chain(access::pools(file)).collect();
    let all_read = !file.routes.is_faulty()
        && routes.iter().all(|route| route.get().is_some_and(|route| !route.pool.is_faulty()));
    for (name, _) in entries(&file.pools).iter().filter(|_| all_read) {
        if let Some((text, span)) = name.written().filter(|(text, _)| !used.contains(text.as_str()))
        {
            let said = format!("no route goes to this pool: `{text}`");
            cx.report(Diagnostic::warning("unused", said).at(span));
        }
    }
}
