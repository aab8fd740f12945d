//! The operator's unix socket: what may change the process, for those who may open the file.
//!
//! `POST /reload[?force=true][&dry_run=true]` answers when the reload is done: 200, 409 when it
//! would end too many sessions, 422 when the configuration or an address is refused. `GET /status`
//! tells what lives. Both answer text, or JSON to who accepts it.

use std::rc::Rc;

use http::{Method, Request, Response, StatusCode, header};
use serde_json::json;

use super::handle::{Handle, Phase};
use super::http::{Answer, line, method_not_allowed, reads, text_as};
use super::report::{Ask, Refused, Reloaded};
use crate::base::body::Body;

pub(super) fn answers(handle: Handle) -> Answer {
    Rc::new(move |request| {
        let handle = handle.clone();
        Box::pin(async move { answer(&handle, &request).await })
    })
}

async fn answer<B>(handle: &Handle, request: &Request<B>) -> Response<Body> {
    match request.uri().path() {
        "/reload" if request.method() == Method::POST => match ask(request.uri().query()) {
            Ok(ask) => told(&handle.reload(ask).await, wants_json(request)),
            Err(unknown) => line(
                StatusCode::BAD_REQUEST,
                &format!("not known: `{unknown}` (`force=true` and `dry_run=true` are)"),
            ),
        },
        "/reload" => method_not_allowed("POST"),
        "/status" if reads(request.method()) => status(handle, wants_json(request)).await,
        "/status" => method_not_allowed("GET, HEAD"),
        _ => line(StatusCode::NOT_FOUND, "here are POST /reload and GET /status"),
    }
}

/// What the query asks for; a word that is not known is refused, lest a typing error forces.
fn ask(query: Option<&str>) -> Result<Ask, &str> {
    let mut ask = Ask::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "force=true" => ask.force = true,
            "force=false" => ask.force = false,
            "dry_run=true" => ask.dry_run = true,
            "dry_run=false" => ask.dry_run = false,
            unknown => return Err(unknown),
        }
    }
    Ok(ask)
}

fn told(reloaded: &Reloaded, as_json: bool) -> Response<Body> {
    let status = match reloaded {
        Reloaded::Taken(_) | Reloaded::Unchanged => StatusCode::OK,
        Reloaded::Refused(Refused::Drain { .. }) => StatusCode::CONFLICT,
        Reloaded::Refused(Refused::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Reloaded::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    match as_json {
        true => text_as(status, "application/json", reloaded.json().to_string()),
        false => line(status, &reloaded.to_string()),
    }
}

async fn status(handle: &Handle, as_json: bool) -> Response<Body> {
    let phase = match handle.phase() {
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Stopped(_) => "stopped",
    };
    let counts = handle.counts().await;
    let facts = json!({
        "phase": phase,
        "generation": handle.generation(),
        "sessions": counts.sessions,
        "connections": counts.connections,
        "leases": counts.leases,
        "tasks": counts.tasks,
    });
    if as_json {
        return text_as(StatusCode::OK, "application/json", facts.to_string());
    }
    let facts = facts.as_object().into_iter().flatten();
    let lines =
        facts.map(|(name, value)| format!("{name}: {}", value.to_string().trim_matches('"')));
    line(StatusCode::OK, &lines.collect::<Vec<_>>().join("\n"))
}

fn wants_json<B>(request: &Request<B>) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().windows(4).any(|word| word == b"json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let forced = Ask { force: true, dry_run: true, if_changed: false };
        assert_eq!(ask(Some("force=true&dry_run=true")), Ok(forced));
        assert_eq!(ask(None), Ok(Ask::default()));
        assert_eq!(ask(Some("forse=true")), Err("forse=true"));
    }
}
