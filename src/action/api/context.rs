//! What requests to the API have in common: whose sessions they are about, and why they are
//! refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;

use super::json::answer as reply;
use crate::base::body::{self, Body, TooLong};
use crate::config::plan::{ApiRight, Push};
use crate::registry::{LiveSessions, PushBudget, Selector};

/// How soon a caller may come again that found no room.
const RETRY: Duration = Duration::from_secs(1);

/// Whose sessions are asked about, and how they are reached.
pub struct ApiContext {
    /// The sessions of all workers.
    pub sessions: LiveSessions,
    /// The routes, by identity, with how their clients are pushed to, where they are.
    pub routes: HashMap<Arc<str>, Option<Arc<Push>>>,
    /// What may be asked.
    pub may: Vec<ApiRight>,
    /// What all messages under way may have.
    pub budget: Arc<PushBudget>,
}

impl ApiContext {
    /// The sessions that may be asked about.
    pub(super) fn covered(&self) -> Selector {
        Selector::AnyOf(self.routes.keys().cloned().map(Selector::Route).collect())
    }

    /// Of these the ones that may be asked about.
    pub(super) fn only_covered(&self, selector: Selector) -> Selector {
        // What labels there are must stand at the top, where they are looked up.
        let mut parts = match selector {
            Selector::AllOf(parts) => parts.to_vec(),
            one => vec![one],
        };
        parts.push(self.covered());
        Selector::AllOf(parts.into())
    }

    /// Bytes of the longest message that any of its routes takes.
    pub(super) fn message_bytes_max(&self) -> usize {
        let pushes = self.routes.values().flatten();
        pushes.map(|push| push.message_bytes_max).max().unwrap_or_default()
    }
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiRefusal {
    /// It is wrong.
    BadRequest(String),
    /// There is no such thing here.
    NotFound(&'static str),
    /// It is for one session, which has ended or never was.
    Gone,
    /// By these methods only.
    Method(&'static [Method]),
    /// The route does not let it be asked.
    Right(ApiRight),
    /// Its body has more bytes than this.
    TooLarge(usize),
    /// All messages under way have as many bytes as they may.
    Full,
}

impl ApiRefusal {
    /// The answer.
    pub fn answer(&self) -> Response<Body> {
        let (status, why) = match self {
            ApiRefusal::BadRequest(why) => (StatusCode::BAD_REQUEST, why.clone()),
            ApiRefusal::NotFound(why) => (StatusCode::NOT_FOUND, (*why).to_owned()),
            ApiRefusal::Gone => (StatusCode::GONE, "no such session lives".to_owned()),
            ApiRefusal::Method(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "this is asked by another method".to_owned())
            }
            ApiRefusal::Right(_) => {
                (StatusCode::FORBIDDEN, "the route's `api.may` does not have it".to_owned())
            }
            ApiRefusal::TooLarge(max) => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("more than {max} bytes"))
            }
            ApiRefusal::Full => {
                let why = "too many bytes of messages are under way (`limits.push_bytes_max`)";
                (StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
            }
        };
        let mut answer = reply(status, &json!({ "error": why }));
        if let ApiRefusal::Method(methods) = self {
            let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
            // cannot fail: names of methods.
            let names = HeaderValue::try_from(names.join(", ")).expect("names of methods");
            answer.headers_mut().insert(ALLOW, names);
        }
        if *self == ApiRefusal::Full {
            answer.headers_mut().insert(RETRY_AFTER, RETRY.as_secs().into());
        }
        answer
    }
}

/// The whole body, of at most so many bytes.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiRefusal> {
    match body::limited(body, bytes_max as u64).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<TooLong>() => Err(ApiRefusal::TooLarge(bytes_max)),
        Err(error) => Err(ApiRefusal::BadRequest(format!("the body: {error}"))),
    }
}
