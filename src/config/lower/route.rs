//! Routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::report::{Diagnostic, Span};

use super::super::fault::Fault;
use super::super::hint::{did_you_mean, listed};
use super::super::plan::{FieldCondition, HostPattern, PathPattern, Route, Rules, WebSocketMode};
use super::super::tables::{self, RelayTable, Spanned, TakesWebSockets};
use super::{Lower, action, condition, entries, fields, hold, opt, rebalance, relay};

/// All routes with their places, in file order; those that are wrong are left out. A route with
/// several hosts is several routes.
pub fn routes(cx: &mut Lower<'_>, file: &tables::FileTable) -> Vec<(Arc<Route>, Span)> {
    let fallback = RelayTable::default();
    let all = file.relay.get().unwrap_or(&fallback);
    relay::check(cx, all);
    let written = file.routes.get().map_or(&[][..], Vec::as_slice);
    let mut routes: Vec<(Arc<Route>, Span)> = Vec::with_capacity(written.len());
    // Equal rules are one value, and a thousand routes without `relay` share it.
    let mut rules: HashSet<Arc<Rules>> = HashSet::new();
    for (raw, span) in written.iter().filter_map(Spanned::written) {
        let lowered = lower(cx, file, raw, all, span).unwrap_or_default();
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
    rebalance::without_hold(cx, file, written);
    routes
}

fn lower(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    raw: &tables::RouteTable,
    all: &RelayTable,
    at: Span,
) -> Option<Vec<Route>> {
    let name = cx.take("name", &raw.name, |name| named(name));
    let listeners = listeners(cx, file, raw);
    let hosts = cx.take_each("host", &raw.host, |host| condition::host(host));
    let ignore_case = *raw.ignore_case.get()?;
    let path = cx.take("path", &raw.path, |path| condition::path(path, ignore_case));
    let methods = cx.take_each("methods", &raw.methods, |text| condition::method(text));
    let headers = headers(cx, raw);
    let action = action::action(cx, file, raw, Some(at));
    let origins = cx.take_each("allowed_origins", &raw.allowed_origins, |text| origin(text));
    let own = raw.relay.get()?;
    relay::check(cx, own);
    let rules = relay::rules(cx, own, all);
    let request_headers = fields::changes(cx, &raw.request_headers, fields::Of::Request);
    let response_headers = fields::changes(cx, &raw.response_headers, fields::Of::Response);
    let hold = opt(raw.hold.is_written().then(|| hold::hold(cx, file, raw)));
    let (hosts, path, methods) = (hosts?, path?, methods?);
    let headers = headers?;
    strippable(cx, raw, &path);
    let raw_path = raw_path(cx, raw)?;
    let several = raw.host.get().is_some_and(|_| hosts.len() != 1 || is_list(cx, raw));
    let hosts = if raw.host.is_absent() { vec![HostPattern::Any] } else { hosts };
    if hosts.is_empty() {
        cx.fault("host", raw.host.span(), Fault::new("is an empty list: no host is taken"));
    }
    let (hold, queue) = hold?.unzip();
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
        websocket: match raw.websocket.get()? {
            TakesWebSockets::Yes => WebSocketMode::Allowed,
            TakesWebSockets::Only => WebSocketMode::Only,
            TakesWebSockets::No => WebSocketMode::Refused,
        },
        allowed_origins: origins.filter(|_| raw.allowed_origins.is_written()),
        rules: Arc::new(rules?),
        request_headers: request_headers?,
        response_headers: response_headers?,
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

fn named(name: &str) -> Result<Arc<str>, Fault> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Fault::new(format!("must be a word without spaces, not: `{name}`")));
    }
    Ok(name.into())
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

/// Only a prefix can be cut off.
fn strippable(cx: &mut Lower<'_>, raw: &tables::RouteTable, path: &PathPattern) {
    let prefix = matches!(path, PathPattern::Segment { .. } | PathPattern::Textual { .. });
    if raw.strip_prefix.get() == Some(&true) && !prefix {
        let said = "`strip_prefix` needs a path that is a prefix";
        let finding = Diagnostic::error("conflict", said).at(raw.strip_prefix.span());
        cx.report(finding.also(raw.path.span(), "the path"));
    }
}

/// What is not resolved has no prefix that could be told from the rest.
fn raw_path(cx: &mut Lower<'_>, raw: &tables::RouteTable) -> Option<bool> {
    let is_raw = *raw.raw_path.get()?;
    if is_raw && raw.strip_prefix.get() == Some(&true) {
        let said = "`raw_path` sends the path as it came, and `strip_prefix` cuts it";
        let finding = Diagnostic::error("conflict", said).at(raw.raw_path.span());
        cx.report(finding.also(raw.strip_prefix.span(), "the other"));
    }
    Some(is_raw)
}

/// An origin as browsers send it (RFC 6454 §6.2): scheme, host, and a port that is not the
/// scheme's own.
fn origin(text: &str) -> Result<Arc<str>, Fault> {
    if text == "null" {
        return Ok(text.into());
    }
    let said =
        || Fault::new(format!("must be an origin, such as `https://example.com`, not: `{text}`"));
    if text.parse::<IpNet>().is_ok() {
        let hint =
            "an origin is the address of a page; tidegate has no list of client addresses yet";
        return Err(said().hint(hint.to_owned()));
    }
    let lower = text.to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return Err(said().hint(format!("write `\"https://{lower}\"`")));
    };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    if path.is_some() {
        let hint = format!("an origin has no path: write `\"{scheme}://{authority}\"`");
        return Err(said().hint(hint));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port.map(str::parse::<u16>) {
        Some(Err(_)) => return Err(said()),
        Some(Ok(port)) => Some(port),
        None => None,
    };
    let host = match condition::host(host) {
        Ok(HostPattern::Any) | Err(_) => return Err(said()),
        Ok(host) => host,
    };
    let own = matches!((scheme, port), ("https" | "wss", Some(443)) | ("http" | "ws", Some(80)));
    Ok(match port.filter(|_| !own) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
    .into())
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
    let used: HashSet<&String> =
        routes.iter().filter_map(|route| route.get()?.pool.get()).collect();
    let all_read = !file.routes.is_faulty()
        && routes.iter().all(|route| route.get().is_some_and(|route| !route.pool.is_faulty()));
    for (name, _) in entries(&file.pools).iter().filter(|_| all_read) {
        if let Some((text, span)) = name.written().filter(|(text, _)| !used.contains(text)) {
            let said = format!("no route goes to this pool: `{text}`");
            cx.report(Diagnostic::warning("unused", said).at(span));
        }
    }
}
