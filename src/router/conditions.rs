//! Conditions beyond host and path: listeners, methods and header fields.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};

use crate::config::plan::{FieldCondition, FieldMatch, Route, WebSocketMode};

use super::query::Query;

/// The first condition of a route that does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnmetCondition<'a> {
    /// The request came in by another listener.
    Listener,
    /// It is no WebSocket handshake.
    WebSocket,
    /// The method is not one of the route's.
    Method,
    /// This field is not as the route wants it.
    Field(&'a HeaderName),
}

/// Why the route's conditions beyond host and path do not hold; `None` when they do.
pub fn refusal<'a>(route: &'a Route, query: &Query<'_>) -> Option<UnmetCondition<'a>> {
    if !takes_listener(&route.listeners, query.listener) {
        return Some(UnmetCondition::Listener);
    }
    if route.websocket == WebSocketMode::Matched && !query.is_websocket {
        return Some(UnmetCondition::WebSocket);
    }
    if !takes_method(&route.methods, query.method) {
        return Some(UnmetCondition::Method);
    }
    let failed = route.headers.iter().find(|wanted| !holds(wanted, query.headers))?;
    Some(UnmetCondition::Field(&failed.name))
}

/// Whether a route has conditions beyond host and path.
pub fn any(route: &Route) -> bool {
    let is_open = route.listeners.is_empty() && route.methods.is_empty();
    !(is_open && route.headers.is_empty()) || route.websocket == WebSocketMode::Matched
}

/// Whether every request that holds `narrow`'s conditions surely holds `wide`'s too.
pub fn implies(narrow: &Route, wide: &Route) -> bool {
    let places = within(&narrow.listeners, &wide.listeners);
    let methods = within(&narrow.methods, &wide.methods);
    let implied = |wanted: &FieldCondition| {
        narrow.headers.iter().any(|given| {
            given.name == wanted.name
                && (given.value == wanted.value
                    // A value that is compared is a value that is there.
                    || wanted.value == FieldMatch::Present && given.value != FieldMatch::Absent)
        })
    };
    let websocket = [narrow, wide].map(|route| route.websocket == WebSocketMode::Matched);
    places && methods && websocket != [false, true] && wide.headers.iter().all(implied)
}

/// Whether all that `narrow` takes is taken by `wide`; an empty list takes everything.
fn within<T: PartialEq>(narrow: &[T], wide: &[T]) -> bool {
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(|one| wide.contains(one))
}

fn takes_listener(listeners: &[Arc<str>], listener: Option<&str>) -> bool {
    let is = |name: &Arc<str>| listener == Some(&**name);
    listeners.is_empty() || listeners.iter().any(is)
}

fn takes_method(methods: &[Method], method: &Method) -> bool {
    methods.is_empty() || methods.contains(method)
}

/// A field that comes in several lines holds when one line does.
fn holds(wanted: &FieldCondition, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(&wanted.name).iter();
    match &wanted.value {
        FieldMatch::Present => lines.next().is_some(),
        FieldMatch::Absent => lines.next().is_none(),
        FieldMatch::Exact(value) => lines.any(|line| line == value),
        FieldMatch::Regex(regex) => lines
            .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
            .any(|line| regex.is_match(line)),
    }
}
