//! Holes and keys of a route, and of its pool, that nothing there can ever fill: they are hardly
//! meant.

use crate::report::{Diagnostic, Span};
use crate::wire::template::{Hole, REQUEST, Template, TemplateError, TemplateErrorKind};

use super::super::plan::RequestKey;
use super::super::tables::{self, OrString, Spanned};
use super::{Lower, action, entries, key, template};

/// What a route has to fill holes from.
struct RouteSources<'a> {
    /// Whether one of its rules has tokens.
    tokens: bool,
    /// Whether one of its rules knows a user.
    users: bool,
    /// Whether a listener of it asks for certificates.
    certificates: bool,
    labels: Vec<&'a str>,
}

/// Warns of each. What the route's other faults leave open is not judged.
pub fn check(cx: &mut Lower<'_>, file: &tables::FileTable, raw: &tables::RouteTable) {
    let Some(sources) = RouteSources::of(file, raw) else { return };
    let changes = [raw.request_headers.get(), raw.response_headers.get()];
    for changes in changes.into_iter().flatten() {
        for (_, values) in entries(&changes.set).iter().chain(entries(&changes.add)) {
            let values = values.get().map_or(&[][..], |values| &values.0);
            values.iter().for_each(|value| holes(cx, &sources, value));
        }
    }
    entries(&raw.labels).iter().for_each(|(_, value)| holes(cx, &sources, value));
    let limits = raw.limits.get();
    let rates = limits.into_iter().flat_map(|limits| [&limits.handshakes, &limits.requests]);
    let rates = rates.filter_map(Spanned::get).flat_map(|list| &list.0);
    let rates = rates.filter_map(|rule| Some(&rule.get()?.key));
    let sessions = limits.and_then(|limits| limits.sessions.get());
    let sessions = sessions.into_iter().flat_map(|list| &list.0);
    let sessions = sessions.filter_map(|rule| Some(&rule.get()?.key));
    let messages = raw.relay.get().and_then(|relay| Some(&relay.messages_by.get()?.key));
    let keys: Vec<_> = rates.chain(sessions).chain(messages).collect();
    keys.into_iter().for_each(|key| key_of(cx, &sources, key));
}

/// Warns of keys that stand outside of routes and have a value on none of theirs: what a pool
/// hashes, and what `[relay]` counts messages by. What has one on some was hardly a slip.
pub fn check_shared(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    routes: &[Spanned<tables::RouteTable>],
) {
    let routes = || routes.iter().filter_map(Spanned::get);
    for (name, pool) in entries(&file.pools) {
        let Some((name, pool)) = name.get().zip(pool.get()) else { continue };
        let goes_here = |route: &&tables::RouteTable| {
            action::pool_of(route).is_some_and(|(pool, _)| pool == name)
        };
        let else_by = "goes where the fewest sessions are";
        shared_key(cx, file, &pool.hash, routes().filter(goes_here), else_by);
    }
    let has_own = |route: &tables::RouteTable| {
        route.relay.get().is_some_and(|relay| !relay.messages_by.is_absent())
    };
    if let Some(rule) = file.relay.get().and_then(|relay| relay.messages_by.get()) {
        let counts =
            |route: &&tables::RouteTable| action::pool_of(route).is_some() && !has_own(route);
        shared_key(cx, file, &rule.key, routes().filter(counts), "counts by its client");
    }
}

fn shared_key<'a>(
    cx: &mut Lower<'_>,
    file: &tables::FileTable,
    key: &Spanned<String>,
    routes: impl Iterator<Item = &'a tables::RouteTable>,
    else_by: &str,
) {
    let Some((text, at)) = key.written() else { return };
    let Some(hole) = hole_of(text) else { return };
    let mut missing = routes.map(|route| RouteSources::of(file, route)?.missing(&hole));
    let Some(Some((why, hint))) = missing.next() else { return };
    if missing.all(|why| why.is_some()) {
        warn(
            cx,
            &format!("`{text}` never has a value, so each request {else_by}: {why}"),
            hint,
            at,
        );
    }
}

impl<'a> RouteSources<'a> {
    fn of(file: &'a tables::FileTable, raw: &'a tables::RouteTable) -> Option<RouteSources<'a>> {
        if raw.access.is_faulty() || raw.listener.is_faulty() || raw.labels.is_faulty() {
            return None;
        }
        let demanded = raw.access.get().map_or(&[][..], |access| access.names());
        let (mut tokens, mut users) = (false, false);
        for name in demanded {
            let known = entries(&file.access).iter().find(|(one, _)| one.get() == name.get());
            let rule = known?.1.get()?;
            tokens |= !rule.jwt.is_absent();
            users |= !rule.jwt.is_absent() || !rule.basic.is_absent();
        }
        let named = raw.listener.get().map(|names| &names.0);
        let is_of_route = |name: &Spanned<String>| {
            named.is_none_or(|names| names.iter().any(|one| one.get() == name.get()))
        };
        let listeners = entries(&file.listeners).iter().filter(|(name, _)| is_of_route(name));
        let asks = |listener: &Spanned<tables::ListenerTable>| {
            let OrString(tls) = listener.get()?.tls.get()?;
            Some(!tls.clients.is_absent())
        };
        let certificates =
            listeners.map(|(_, listener)| listener).any(|one| asks(one) == Some(true));
        let labels = entries(&raw.labels).iter();
        let labels = labels.filter_map(|(name, _)| Some(name.get()?.as_str())).collect();
        Some(RouteSources { tokens, users, certificates, labels })
    }

    /// Why a hole is always empty, and what fills it; `None` where it can be filled.
    fn missing(&self, hole: &Hole) -> Option<(&'static str, String)> {
        match hole {
            Hole::Claim(_) if !self.tokens => {
                let hint = "name a rule with `jwt` in the route's `access`";
                Some(("no access rule of the route has tokens", hint.to_owned()))
            }
            Hole::AccessUser if !self.users => {
                let hint = "name a rule with `basic` or `jwt` in the route's `access`";
                Some(("no access rule of the route knows a user", hint.to_owned()))
            }
            Hole::ClientCert(_) if !self.certificates => {
                let hint = "`tls.clients` of a listener asks for certificates";
                Some(("no listener of the route asks clients for certificates", hint.to_owned()))
            }
            Hole::Label(name) if !self.labels.contains(&&**name) => {
                let hint = format!("write `labels.{name}`; what a backend gives comes later");
                Some(("the route gives no such label", hint))
            }
            _ => None,
        }
    }
}

/// Those of a value.
fn holes(cx: &mut Lower<'_>, sources: &RouteSources<'_>, written: &Spanned<String>) {
    let Some((text, span)) = written.written() else { return };
    // What is wrong with it is told where it is lowered.
    let Ok(made) = Template::parse(text, &REQUEST) else { return };
    for hole in made.holes() {
        let Some((why, hint)) = sources.missing(hole) else { continue };
        let shown = format!("{{{hole}}}");
        let place = text.find(&shown).and_then(|at| {
            let error =
                TemplateError { at: at..at + shown.len(), kind: TemplateErrorKind::Unknown };
            template::within(cx, text, span, &error)
        });
        warn(cx, &format!("`{shown}` is always empty: {why}"), hint, place.unwrap_or(span));
    }
}

fn key_of(cx: &mut Lower<'_>, sources: &RouteSources<'_>, written: &Spanned<String>) {
    let Some((text, span)) = written.written() else { return };
    let Some(hole) = hole_of(text) else { return };
    if let Some((why, hint)) = sources.missing(&hole) {
        let said =
            format!("`{text}` never has a value, so each request counts by its client: {why}");
        warn(cx, &said, hint, span);
    }
}

/// The hole that is filled with what a key names, of those that not each route fills.
fn hole_of(key: &str) -> Option<Hole> {
    match key::request_key(key).ok()? {
        RequestKey::Claim(name) => Some(Hole::Claim(name)),
        RequestKey::Label(name) => Some(Hole::Label(name)),
        RequestKey::ClientCert(part) => Some(Hole::ClientCert(part)),
        _ => None,
    }
}

fn warn(cx: &mut Lower<'_>, said: &str, hint: String, at: Span) {
    cx.report(Diagnostic::warning("unfilled", said.to_owned()).at(at).hint(hint));
}
