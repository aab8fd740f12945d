//! `tidegate check --explain`: which route takes a URL, and why the others do not.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use http::header::UPGRADE;
use http::uri::Authority;
use http::{HeaderMap, Uri};
use serde_json::json;

use super::super::args::{Check, Format};
use super::super::exit::Failure;
use super::super::output;
use crate::access::{self, Showing};
use crate::config::Loaded;
use crate::config::plan::{AccessDemand, Action, Address, Listener, Route};
use crate::router::{MatchOutcome, Query, Router};
use crate::wire::list::has_token;
use crate::wire::{host, path, upgrade};

/// The URL meant by `text`: without a scheme it is that of a listener.
pub(super) fn url_of(text: &str, listeners: &[Arc<Listener>]) -> Result<Uri, Failure> {
    let secure = listeners.iter().any(|listener| listener.tls.is_some());
    let whole = match text {
        path if path.starts_with('/') => path.to_owned(),
        whole if whole.contains("://") => whole.to_owned(),
        rest => format!("{}://{rest}", if secure { "https" } else { "http" }),
    };
    let url: Uri = whole.parse().map_err(|error| {
        Failure::Usage(format!("not a URL, {error}: {text}; begin with `https://` or `/`"))
    })?;
    match url.scheme_str() {
        None | Some("http" | "https" | "ws" | "wss") => Ok(url),
        Some(other) => Err(Failure::Usage(format!(
            "no listener speaks `{other}`; begin with `https://`, `http://`, `wss://` or `ws://`"
        ))),
    }
}

/// Says which route takes `url`, and why each other does not.
pub(super) fn explain(
    asked: &Check,
    url: &Uri,
    router: &Router,
    loaded: &Loaded,
) -> Result<(), Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("not a URL, {why}: {url}"));
    let authority = url.authority().map(Authority::as_str);
    let host = authority.map(host::canonical).transpose().map_err(|error| wrong(&error))?;
    let (path, ambiguity) = match path::read(url.path()) {
        Ok(reading) => (reading.matched, None),
        Err(error) if error.is_ambiguous() => {
            let read = path::read_ambiguous(url.path()).map_err(|error| wrong(&error))?;
            (read.into(), Some(error))
        }
        Err(error) => return Err(wrong(&error)),
    };
    let mut headers: HeaderMap = asked.headers.iter().cloned().collect();
    if matches!(url.scheme_str(), Some("ws" | "wss")) {
        upgrade::insert(&mut headers);
    }
    let query = Query {
        listener: came_in_by(url, &loaded.plan.listeners)?,
        host: host.as_ref().map(|host| &*host.name),
        path: &path,
        is_websocket: has_token(&headers, UPGRADE, "websocket"),
        method: &asked.method,
        headers: &headers,
    };
    let outcomes = router.explain(&query);
    let taken = outcomes.iter().find(|(_, outcome)| *outcome == MatchOutcome::Taken);
    let taken = taken.map(|(index, _)| *index);
    if let Some(error) = ambiguity
        && !taken.is_some_and(|index| loaded.plan.routes[index].raw_path)
    {
        output::print_lines(&format!("{url}: answered 400, {error}"))?;
        return Err(Failure::Said(Failure::NO));
    }
    let access = match taken {
        Some(index) => access(asked, &loaded.plan.routes[index], loaded)?,
        None => None,
    };
    let access = access.as_ref();
    output::print(&match asked.format() {
        Format::Text => {
            story(url, taken, &outcomes, loaded) + &access.map(rules).unwrap_or_default()
        }
        Format::Json => {
            let mut facts = facts(url, taken, &outcomes, loaded);
            facts["access"] = access.map(rule_facts).unwrap_or_default();
            format!("{facts:#}\n")
        }
    })?;
    match taken {
        Some(_) => Ok(()),
        None => Err(Failure::Said(Failure::NO)),
    }
}

/// What the rules of a route would answer.
struct AccessAnswers {
    /// Whether one of them is enough.
    is_any: bool,
    /// Their names, with what each says.
    rules: Vec<(Arc<str>, String)>,
}

/// Bytes of a token's file at most.
const TOKEN_FILE_BYTES_MAX: u64 = 64 << 10;

fn access(asked: &Check, route: &Route, loaded: &Loaded) -> Result<Option<AccessAnswers>, Failure> {
    let Some(demand) = &route.access else { return Ok(None) };
    let token = asked.token.as_deref().map(read_token).transpose()?;
    let showing = Showing { client: asked.client, token: token.as_deref() };
    let named = |name: &Arc<str>| {
        let rule = loaded.plan.access.iter().find(|rule| rule.name == *name)?;
        Some((Arc::clone(name), access::explain(rule, &showing)))
    };
    let rules = demand.names().iter().filter_map(named).collect();
    Ok(Some(AccessAnswers { is_any: matches!(demand, AccessDemand::Any(_)), rules }))
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::No(format!("the token cannot be read: {why}: `{}`", file.display()))
    };
    let mut text = String::new();
    let source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(|error| wrong(&error))?),
    };
    let read = source.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| wrong(&error))?;
    let text = text.trim();
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).to_owned())
}

fn rules(access: &AccessAnswers) -> String {
    let all = if access.is_any { "one of" } else { "each of" };
    let mut text = format!("\naccess, {all}:\n");
    let width = access.rules.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, says) in &access.rules {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:width$}  {says}");
    }
    text
}

fn rule_facts(access: &AccessAnswers) -> serde_json::Value {
    let rules: Vec<_> =
        access.rules.iter().map(|(name, says)| json!({ "rule": &**name, "says": says })).collect();
    json!({ "any": access.is_any, "rules": rules })
}

/// The listener a request for `url` would come in by: of those that speak its scheme, the one on
/// its port, else the first. A path alone comes in by any.
fn came_in_by<'a>(url: &Uri, listeners: &'a [Arc<Listener>]) -> Result<Option<&'a str>, Failure> {
    if url.scheme().is_none() {
        return Ok(listeners.first().map(|listener| &*listener.name));
    }
    let secure = matches!(url.scheme_str(), Some("https" | "wss"));
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let on_port = |listener: &&&Arc<Listener>| match listener.address {
        Address::Inet(address) => address.port() == port,
        Address::Unix(_) => false,
    };
    let speaking: Vec<_> =
        listeners.iter().filter(|listener| listener.tls.is_some() == secure).collect();
    match speaking.iter().find(on_port).or(speaking.first()) {
        Some(found) => Ok(Some(&found.name)),
        None if secure => Err(Failure::No(format!("no listener speaks TLS: {url}"))),
        None => Err(Failure::No(format!("no listener speaks plain HTTP: {url}"))),
    }
}

fn story(
    url: &Uri,
    taken: Option<usize>,
    outcomes: &[(usize, MatchOutcome)],
    loaded: &Loaded,
) -> String {
    let routes = &loaded.plan.routes;
    let mut text = match taken {
        Some(index) => format!("{url}: {}\n\n", deed(&routes[index])),
        None => format!("{url}: no route takes it, the answer is 404\n\n"),
    };
    let width = routes.iter().map(|route| route.identity.len()).max().unwrap_or_default();
    for (index, outcome) in outcomes {
        let mark = if taken == Some(*index) { '>' } else { ' ' };
        let name = &routes[*index].identity;
        let place = place(loaded, *index);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark} {name:width$}  {outcome}  ({place})");
    }
    text
}

fn facts(
    url: &Uri,
    taken: Option<usize>,
    outcomes: &[(usize, MatchOutcome)],
    loaded: &Loaded,
) -> serde_json::Value {
    let routes = &loaded.plan.routes;
    let others: Vec<_> = outcomes
        .iter()
        .map(|(index, outcome)| {
            json!({
                "route": &*routes[*index].identity,
                "outcome": outcome.to_string(),
                "place": place(loaded, *index),
            })
        })
        .collect();
    json!({
        "url": url.to_string(),
        "taken": taken.map(|index| &*routes[index].identity),
        "does": taken.map(|index| deed(&routes[index])),
        "routes": others,
    })
}

fn place(loaded: &Loaded, route: usize) -> String {
    loaded.route_spans.get(route).map_or_else(String::new, |span| loaded.sources.place(*span))
}

/// What a route does, in a few words.
fn deed(route: &Route) -> String {
    match &route.action {
        Action::Pool(to) => format!("to pool `{}`", to.name),
        Action::Files(files) => {
            let rest = files.pool.as_ref().map(|to| format!(", else to pool `{}`", to.name));
            format!("files below `{}`{}", files.root.display(), rest.unwrap_or_default())
        }
        Action::Redirect(redirect) => format!("{} to `{}`", redirect.status.as_u16(), redirect.to),
        Action::Respond(respond) => format!("answered {}", respond.status.as_u16()),
        Action::Api(api) => format!("asked about sessions of {}", api.routes.join(", ")),
    }
}
