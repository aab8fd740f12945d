//! The operator's unix socket: what may change the process, for those who may open the file.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /reload[?force=true][&dry_run=true]` | answers when the reload is done |
//! | `POST /upgrade` | answers when another process serves, or does not |
//! | `GET /status` | what lives, which backends are in, which drains are under way |
//! | `POST /sessions` | lists sessions |
//! | `POST /drain` | lets sessions go; a backend is taken out as well |
//! | `POST /move` | has a backend's sessions go on with others; it is disabled as well |
//! | `POST /kick` | lets single sessions go at once |
//! | `POST /enable` | gives a backend work again that a command disabled |
//!
//! What a request asks for is a JSON object in its body, of at most [`BODY_BYTES_MAX`]. Answers are
//! text, or JSON to who accepts it: 200; 400 when the request is wrong; 404 when it names what is
//! not there; 409 when the answer is no; 422 when a configuration or an address is refused; 502
//! when a new process failed; 503 when the process stops or has too much to do.

mod drains;
mod filters;
mod moves;
mod sessions;
mod status;

use std::rc::Rc;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as HttpBody;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::handle::{Handle, Phase};
use super::http::{Answer, line, method_not_allowed, reads, text_as};
use super::report::{Ask, Refused, Reloaded};
use super::upgrade::{Failure, NoUpgrade, Upgraded};
use crate::base::body::Body;

/// Bytes a request's body may have.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

const PLACES: &str =
    "here are POST /reload, /upgrade, /sessions, /drain, /move, /kick, /enable, GET /status";

pub(super) fn answers(handle: Handle) -> Answer {
    Rc::new(move |request| {
        let handle = handle.clone();
        Box::pin(async move { answer(&handle, request).await })
    })
}

async fn answer<B: HttpBody>(handle: &Handle, request: Request<B>) -> Response<Body>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let as_json = wants_json(&request);
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    match path {
        "/status" if reads(&head.method) => {
            return status::status(handle).await.response(as_json);
        }
        "/status" => return method_not_allowed("GET, HEAD"),
        "/reload" | "/upgrade" | "/sessions" | "/drain" | "/move" | "/kick" | "/enable" => {}
        _ => return line(StatusCode::NOT_FOUND, PLACES),
    }
    if head.method != Method::POST {
        return method_not_allowed("POST");
    }
    if path == "/reload" {
        return match ask(head.uri.query()) {
            Ok(ask) => told(&handle.reload(ask).await, as_json),
            Err(unknown) => line(
                StatusCode::BAD_REQUEST,
                &format!("not known: `{unknown}` (`force=true` and `dry_run=true` are)"),
            ),
        };
    }
    if path == "/upgrade" {
        return upgraded(&handle.upgrade().await).response(as_json);
    }
    let said = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => order(handle, path, &body.to_bytes()).await,
        Err(error) => Err(Reply::no(StatusCode::BAD_REQUEST, format!("the body: {error}"))),
    };
    said.unwrap_or_else(|refusal| refusal).response(as_json)
}

/// Obeys; an error is an answer too.
async fn order(handle: &Handle, path: &str, body: &[u8]) -> Result<Reply, Reply> {
    match path {
        "/sessions" => sessions::list(handle, read(body)?).await,
        "/drain" => drains::drain(handle, read(body)?).await,
        "/move" => moves::move_away(handle, read(body)?).await,
        "/kick" => drains::kick(handle, read(body)?).await,
        _ => drains::enable(handle, &read(body)?),
    }
}

/// What a request asks for; nothing at all is all the defaults.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Reply::no(StatusCode::BAD_REQUEST, error))
}

/// An answer, for people and for programs.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    text: String,
    json: Value,
}

impl Reply {
    fn yes(text: String, json: Value) -> Reply {
        Reply { status: StatusCode::OK, text, json }
    }

    fn no(status: StatusCode, why: impl ToString) -> Reply {
        let text = why.to_string();
        Reply { status, json: json!({ "outcome": "refused", "why": text }), text }
    }

    fn response(self, as_json: bool) -> Response<Body> {
        match as_json {
            true => text_as(self.status, "application/json", self.json.to_string()),
            false => line(self.status, &self.text),
        }
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
    Reply { status, text: reloaded.to_string(), json: reloaded.json() }.response(as_json)
}

fn upgraded(upgraded: &Upgraded) -> Reply {
    let status = match upgraded {
        Upgraded::Done { .. } => StatusCode::OK,
        Upgraded::Refused(NoUpgrade::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        Upgraded::Refused(_) => StatusCode::CONFLICT,
        Upgraded::Failed(Failure::Config(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Upgraded::Failed(_) => StatusCode::BAD_GATEWAY,
    };
    Reply { status, text: upgraded.to_string(), json: upgraded.json() }
}

/// Refuses orders to a process that lets everything go already.
fn runs(handle: &Handle) -> Result<(), Reply> {
    match handle.phase() {
        Phase::Running => Ok(()),
        Phase::Draining | Phase::Stopped(_) => {
            Err(Reply::no(StatusCode::SERVICE_UNAVAILABLE, "the process stops"))
        }
    }
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

    #[test]
    fn a_body_with_a_word_that_is_not_known_is_refused_and_none_is_the_defaults() {
        assert!(read::<filters::Filters>(b" ").is_ok());
        let refused = read::<filters::Filters>(br#"{"rout": "a"}"#).err().unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.text.contains("unknown field `rout`"), "{}", refused.text);
    }
}
