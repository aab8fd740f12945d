//! The operator's unix socket: what may change the process, for those who may open the file.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /reload[?force=true][&dry_run=true][&config=/PATH]` | answers when the reload is done |
//! | `POST /upgrade` | answers when another process serves, or does not |
//! | `GET /status` | what lives, which backends are up, which drains are under way |
//! | `POST /sessions` | lists sessions |
//! | `POST /top` | what passes, and the busiest sessions; to be asked again and again |
//! | `POST /tail` | the frames of chosen sessions; to be asked again and again |
//! | `POST /drain` | drains sessions; a backend is disabled as well |
//! | `POST /move` | has a backend's sessions go on with others; it is disabled as well |
//! | `POST /kick` | ends single sessions at once |
//! | `POST /push` | sends sessions a message |
//! | `POST /enable` | gives a backend work again that a command disabled |
//!
//! Of the newest process's commands those about sessions and backends go to the older ones too, and
//! what they answer is added up ([`everywhere`]).
//!
//! What a request asks for is a JSON object in its body, of at most [`BODY_BYTES_MAX`]: the fields
//! of its struct, whose other derive is the command line. Answers are text, or JSON to who accepts
//! it: 200; 400 when the request is wrong; 404 when it names what is not there; 409 when the answer
//! is no; 422 when a configuration or an address is refused; 502 when a new process failed; 503
//! when the process stops.

mod command_log;
mod drains;
mod enable;
mod everywhere;
mod kick;
mod moves;
mod orders;
mod process;
mod process_status;
mod push;
mod reply;
mod request;
mod selectors;
mod sessions;
mod status;
mod status_view;
mod tail;
mod text_table;
mod top;

pub use drains::DrainRequest;
pub use enable::EnableRequest;
pub use kick::KickRequest;
pub use moves::MoveRequest;
pub use process::UpgradeRequest;
pub use push::{PUSH_BODY_BYTES_MAX, PushCommand};
pub use reply::REMARK;
pub use request::{BODY_BYTES_MAX, OperatorRequest};
pub use sessions::SessionsRequest;
pub use status::StatusRequest;
pub use tail::TailRequest;
pub use top::TopRequest;

use std::rc::Rc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as HttpBody;

use super::http::{Caller, Responder, line, method_not_allowed, reads};
use super::older::{OlderAnswer, OlderQuestion};
use super::process::Process;
use crate::base::body::Body;
use everywhere::Asker;
pub(super) use reply::Reply;
use request::read;

const PLACES: &str = "here are POST /reload, /upgrade, /sessions, /top, /tail, /drain, /move, \
                      /kick, /push, /enable, GET /status";

pub(super) fn answers(process: impl Process) -> Responder {
    Rc::new(move |peer, request| {
        let process = process.clone();
        Box::pin(async move { answer(&process, peer, request).await })
    })
}

pub(super) async fn answer<B: HttpBody>(
    process: &impl Process,
    peer: Caller,
    request: Request<B>,
) -> Response<Body>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let as_json = wants_json(&request);
    let (head, body) = request.into_parts();
    match head.uri.path() {
        "/status" if reads(&head.method) => {}
        "/status" => return method_not_allowed("GET, HEAD"),
        "/reload" | "/upgrade" | "/sessions" | "/top" | "/tail" | "/drain" | "/move" | "/kick"
        | "/push" | "/enable" => {
            if head.method != Method::POST {
                return method_not_allowed("POST");
            }
        }
        _ => return line(StatusCode::NOT_FOUND, PLACES),
    }
    let is_push = head.uri.path() == "/push";
    let bytes_max = if is_push { PUSH_BODY_BYTES_MAX } else { BODY_BYTES_MAX };
    let reply = match Limited::new(body, bytes_max).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let reply = execute(process, &head, &body).await;
            let reply = reply.unwrap_or_else(|refusal| refusal);
            // A tail is asked for again and again: the first time it is one more who reads along.
            let is_asked_again = head.uri.path() == "/tail" && reply.json["begun"] == false;
            let is_question = matches!(head.uri.path(), "/status" | "/sessions" | "/top");
            if !is_question && !is_asked_again {
                let body = if is_push { push::without_message(&body).into() } else { body };
                // What a reload asks for is in its query.
                let asked = head.uri.query().map_or(body, |query| query.to_owned().into());
                command_log::write(peer, None, head.uri.path(), &asked, &reply);
            }
            reply
        }
        Err(error) => bad_body(&error),
    };
    reply.response(as_json)
}

/// Does what is asked; an error is an answer too.
async fn execute(process: &impl Process, head: &Parts, body: &[u8]) -> Result<Reply, Reply> {
    match head.uri.path() {
        "/reload" => process::reload(process, head.uri.query()).await,
        "/upgrade" => Ok(process::upgrade(process).await),
        path => execute_all(process, path, body).await,
    }
}

/// The commands that are about what lives, of an operator.
async fn execute_all(process: &impl Process, path: &str, body: &[u8]) -> Result<Reply, Reply> {
    match path {
        // It asks the older ones itself, as the API does.
        "/push" => push::push(process, read(body)?).await,
        path => execute_for(process, Asker::Operator { drain: None }, path, body).await,
    }
}

/// The commands that are about what lives, in this process and in older ones.
async fn execute_for(
    process: &impl Process,
    asker: Asker,
    path: &str,
    body: &[u8],
) -> Result<Reply, Reply> {
    match path {
        "/sessions" => sessions::list(process, asker, read(body)?).await,
        "/top" => top::top(process, asker, read(body)?).await,
        "/tail" => tail::tail(process, asker, read(body)?).await,
        "/drain" => drains::drain(process, asker, read(body)?).await,
        "/move" => moves::move_away(process, asker, read(body)?).await,
        "/kick" => kick::kick(process, asker, read(body)?).await,
        "/enable" => enable::enable(process, asker, read(body)?).await,
        "/status" => status::status(process, asker).await,
        _ => Err(Reply::no(StatusCode::BAD_REQUEST, "it does not know this command")),
    }
}

/// What the admin page may give to this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Given {
    /// Something to be answered, which changes nothing.
    Question,
    /// Something to be done, for operators.
    Command,
}

impl Given {
    /// What is at this path; `None` where the page may not ask it.
    pub(super) fn by_page(path: &str) -> Option<Given> {
        match path {
            "/sessions" | "/top" | "/status" => Some(Given::Question),
            "/drain" | "/move" | "/kick" | "/push" | "/enable" => Some(Given::Command),
            _ => None,
        }
    }
}

/// Does what the admin page asks; `user` is whose command it is.
pub(super) async fn from_page(
    process: &impl Process,
    peer: Caller,
    user: Option<&str>,
    path: &str,
    body: &[u8],
) -> Reply {
    let reply = execute_all(process, path, body).await.unwrap_or_else(|refusal| refusal);
    if Given::by_page(path) == Some(Given::Command) {
        let without = (path == "/push").then(|| push::without_message(body));
        command_log::write(peer, user, path, without.as_deref().unwrap_or(body), &reply);
    }
    reply
}

/// What lives and passes, with the busiest sessions by this column.
pub(super) async fn summary(process: &impl Process, sort: &'static str) -> serde_json::Value {
    let body = serde_json::json!({ "sort": sort }).to_string();
    let asker = Asker::Operator { drain: None };
    let reply = execute_for(process, asker, TopRequest::PATH, body.as_bytes()).await;
    reply.unwrap_or_else(|refusal| refusal).json
}

/// The answer to a body that cannot be read.
pub(super) fn bad_body(error: &dyn std::fmt::Display) -> Reply {
    Reply::no(StatusCode::BAD_REQUEST, format!("the body: {error}"))
}

/// Answers a command of an operator for the process after this one.
pub async fn answer_newer(process: &impl Process, question: &OlderQuestion) -> OlderAnswer {
    let OlderQuestion { path, body, drain } = question;
    let asker = Asker::Newer { drain: *drain };
    let reply = execute_for(process, asker, path, body.as_bytes()).await;
    let Reply { status, json, .. } = reply.unwrap_or_else(|refusal| refusal);
    OlderAnswer { status: status.as_u16(), json }
}

fn wants_json<B>(request: &Request<B>) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().windows(4).any(|word| word == b"json"))
}
