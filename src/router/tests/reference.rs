//! The router's meaning in the plainest words: every route is tried, and the best is taken.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::config::plan::{FieldMatch, HostPattern, PathPattern, Route, WebSocketMode};
use crate::router::Query;

/// The route that takes the request.
pub fn find(routes: &[Arc<Route>], query: &Query<'_>) -> Option<usize> {
    let takers: Vec<usize> = (0..routes.len()).filter(|&at| takes(&routes[at], query)).collect();
    let host = |at: usize| host_rank(&routes[at].host);
    let best_host = takers.iter().map(|&at| host(at)).max()?;
    let takers: Vec<usize> = takers.into_iter().filter(|&at| host(at) == best_host).collect();
    let plain = |at: usize| {
        let Route { listeners, methods, headers, websocket, .. } = &*routes[at];
        let open = listeners.is_empty() && methods.is_empty() && headers.is_empty();
        open && *websocket != WebSocketMode::Matched
    };

    let case = |at: usize| routes[at].ignore_case;
    let exact = |at: &&usize| matches!(routes[**at].path, PathPattern::Exact(_));
    if let Some(&at) = takers.iter().filter(exact).min_by_key(|&&at| (case(at), plain(at), at)) {
        return Some(at);
    }
    let prefix = |at: usize| match &routes[at].path {
        PathPattern::Segment { prefix, is_final } => Some((prefix.len(), true, *is_final)),
        PathPattern::Textual { prefix, is_final } => Some((prefix.len(), false, *is_final)),
        _ => None,
    };
    let longest = takers.iter().copied().filter(|&at| prefix(at).is_some()).min_by_key(|&at| {
        let (length, segment, _) = prefix(at).unwrap();
        (Reverse(length), !segment, case(at), plain(at), at)
    });
    if longest.and_then(prefix).is_some_and(|(_, _, is_final)| is_final) {
        return longest;
    }
    let regex = |at: usize| match &routes[at].path {
        PathPattern::Regex(regex) => Some(regex.as_str()),
        _ => None,
    };
    // Where a source is written several times on a host, its place is that of the first.
    let place = |at: usize| {
        let same =
            |&other: &usize| regex(other) == regex(at) && routes[other].host == routes[at].host;
        (0..routes.len()).find(same)
    };
    let regexes = takers.iter().copied().filter(|&at| regex(at).is_some());
    regexes.min_by_key(|&at| (place(at), plain(at), at)).or(longest)
}

fn host_rank(host: &HostPattern) -> (u8, usize) {
    match host {
        HostPattern::Exact(_) => (2, 0),
        HostPattern::Wildcard(name) => (1, name.len()),
        HostPattern::Any => (0, 0),
    }
}

fn takes(route: &Route, query: &Query<'_>) -> bool {
    let host = match &route.host {
        HostPattern::Any => true,
        HostPattern::Exact(name) => query.host == Some(name),
        HostPattern::Wildcard(name) => {
            query.host.is_some_and(|host| host.ends_with(&format!(".{name}")))
        }
    };
    let asked = match route.ignore_case {
        true => query.path.to_lowercase(),
        false => query.path.to_owned(),
    };
    let path = match &route.path {
        PathPattern::Exact(path) => **path == *asked,
        PathPattern::Segment { prefix, .. } if **prefix == *"/" => true,
        PathPattern::Segment { prefix, .. } => {
            **prefix == *asked || asked.starts_with(&format!("{prefix}/"))
        }
        PathPattern::Textual { prefix, .. } => asked.starts_with(&**prefix),
        PathPattern::Regex(regex) => regex.is_match(query.path),
    };
    let fields = route.headers.iter().all(|field| {
        let lines: Vec<_> = query.headers.get_all(&field.name).iter().collect();
        match &field.value {
            FieldMatch::Present => !lines.is_empty(),
            FieldMatch::Absent => lines.is_empty(),
            FieldMatch::Exact(value) => lines.contains(&value),
            FieldMatch::Regex(regex) => lines.iter().any(|it| regex.is_match(it.to_str().unwrap())),
        }
    });
    let method = route.methods.is_empty() || route.methods.contains(query.method);
    let named = |listener: &str| route.listeners.iter().any(|name| **name == *listener);
    let listener = route.listeners.is_empty() || query.listener.is_some_and(named);
    let websocket = query.is_websocket || route.websocket != WebSocketMode::Matched;
    host && path && fields && method && listener && websocket
}
