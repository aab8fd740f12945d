//! What requests to the API have in common: whose sessions they are about, and why they are
//! refused.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::json::answer as reply;
use super::older_instances::{OlderInstances, OpenRequest};
use crate::base::body::{self, Body, TooLong};
use crate::base::network::ClientNetwork;
use crate::config::plan::{ApiRight, Push};
use crate::registry::{EVENT_READERS_MAX, LiveSessions, PushBudget, Selector, SessionEvents};

/// How soon a caller may come again that found no room.
const RETRY: Duration = Duration::from_secs(1);

/// A route whose sessions may be asked about.
#[derive(Clone, Debug)]
pub struct CoveredRoute {
    /// How its clients are pushed to, where they are.
    pub push: Option<Arc<Push>>,
    /// How far the end of a session may be put off that its rules end.
    pub extension_max: Duration,
}

/// Whether the routes with these identities, and no others, may be asked about at this moment.
pub type IsInForce = Arc<dyn Fn(&BTreeSet<Arc<str>>) -> bool + Send + Sync>;

/// Whose sessions are asked about, and how they are reached.
pub struct ApiContext {
    /// The sessions of all workers.
    pub sessions: LiveSessions,
    /// The processes before this one; `None` where one after it asks.
    pub older: Option<Arc<dyn OlderInstances>>,
    /// Whose sessions, as the configuration names routes.
    pub named: Vec<Arc<str>>,
    /// These routes, by identity.
    pub routes: HashMap<Arc<str>, CoveredRoute>,
    /// What may be asked.
    pub may: Vec<ApiRight>,
    /// What the shares of who asks are counted by.
    pub client: ClientNetwork,
    /// Whether it may be asked as API Gateway is, too.
    pub has_aws: bool,
    /// Whether these may be asked about still, by the configuration in force; for streams, which
    /// outlive reloads.
    pub is_in_force: IsInForce,
    /// What becomes of sessions.
    pub events: Arc<SessionEvents>,
    /// What all messages under way may have.
    pub budget: Arc<PushBudget>,
}

impl ApiContext {
    /// The sessions that may be asked about.
    pub(super) fn covered(&self) -> Selector {
        Selector::AnyOf(self.routes.keys().cloned().map(Selector::Route).collect())
    }

    /// Begins a request that is about the sessions of older processes as well.
    ///
    /// # Errors
    /// Another process takes over from this one; nothing was done.
    pub(super) fn enter(&self) -> Result<Option<OpenRequest>, ApiRefusal> {
        let Some(older) = &self.older else { return Ok(None) };
        older.enter().map(Some).ok_or(ApiRefusal::Replaced)
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

    /// How far the end of this route's sessions may be put off.
    pub(super) fn extension_max(&self, route: &Arc<str>) -> Duration {
        self.routes.get(route).map(|route| route.extension_max).unwrap_or_default()
    }

    /// Whether this may be asked here.
    pub(super) fn need(&self, right: ApiRight) -> Result<(), ApiRefusal> {
        match self.may.contains(&right) {
            true => Ok(()),
            false => Err(ApiRefusal::Right(right)),
        }
    }

    /// Bytes of the longest message that any of its routes takes.
    pub(super) fn message_bytes_max(&self) -> usize {
        let pushes = self.routes.values().filter_map(|route| route.push.as_ref());
        pushes.map(|push| push.message_bytes_max).max().unwrap_or_default()
    }
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiRefusal {
    /// It is wrong.
    BadRequest(String),
    /// There is no such thing here.
    NotFound,
    /// It is for one session, which has ended or never was.
    Gone,
    /// By these methods only.
    Method(Vec<Method>),
    /// The route does not let it be asked.
    Right(ApiRight),
    /// A browser asks for a page of another site.
    Origin,
    /// It asks by a name that any site can have resolve to us.
    Host,
    /// It is for one session, whose client has as much on its way as it may.
    NoRoom,
    /// It is for one session, whose client cannot get it.
    Undeliverable,
    /// It is for one session, of a route whose clients are not pushed to.
    Unpushable,
    /// Its body has more bytes than this.
    TooLarge(usize),
    /// All messages under way have as many bytes as they may.
    Full,
    /// More changes of one session come at once than may wait for it.
    Busy,
    /// As many follow events as may, of all clients or of this one.
    Readers,
    /// Another process has taken over, and answers for both.
    Replaced,
    /// It is about a session that may live in an older process, which does not answer.
    Unanswered {
        /// Which.
        pid: u32,
        /// Why.
        why: String,
    },
}

impl ApiRefusal {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiRefusal::BadRequest(_) | ApiRefusal::Undeliverable | ApiRefusal::Unpushable => {
                StatusCode::BAD_REQUEST
            }
            ApiRefusal::NoRoom => StatusCode::TOO_MANY_REQUESTS,
            ApiRefusal::NotFound => StatusCode::NOT_FOUND,
            ApiRefusal::Gone => StatusCode::GONE,
            ApiRefusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            ApiRefusal::Right(_) | ApiRefusal::Origin | ApiRefusal::Host => StatusCode::FORBIDDEN,
            ApiRefusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ApiRefusal::Full
            | ApiRefusal::Busy
            | ApiRefusal::Readers
            | ApiRefusal::Replaced
            | ApiRefusal::Unanswered { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The same for people.
    pub fn reason(&self) -> String {
        match self {
            ApiRefusal::BadRequest(why) => why.clone(),
            ApiRefusal::NotFound => {
                "here are /v1/push, /v1/sessions, /v1/count and /v1/events".to_owned()
            }
            ApiRefusal::Gone => "no such session lives".to_owned(),
            ApiRefusal::Method(_) => "this is asked by another method".to_owned(),
            ApiRefusal::Right(_) => "the route's `api.may` does not have it".to_owned(),
            ApiRefusal::Origin => "a page of another site may not ask this".to_owned(),
            ApiRefusal::Host => {
                "any site may have this name resolve to here: ask by an address, by \
                                 `localhost`, or by the `host` of the route; or give it `access`"
                    .to_owned()
            }
            ApiRefusal::NoRoom => {
                "the client has as many messages on their way as it may".to_owned()
            }
            ApiRefusal::Undeliverable => {
                "the client cannot get it, by its extensions or its route's `push`".to_owned()
            }
            ApiRefusal::Unpushable => "the session lives, and its route has no `push`".to_owned(),
            ApiRefusal::TooLarge(max) => format!("more than {max} bytes"),
            ApiRefusal::Full => {
                "too many bytes of messages are under way, of all callers or of this one \
                 (`limits.push_bytes_max`)"
                    .to_owned()
            }
            ApiRefusal::Busy => "the session has too many changes to make at once".to_owned(),
            ApiRefusal::Readers => format!(
                "as many follow events as may: {EVENT_READERS_MAX}, of which one client may have \
                 half"
            ),
            ApiRefusal::Replaced => "another process has taken over: connect anew".to_owned(),
            ApiRefusal::Unanswered { pid, why } => format!("older process {pid}: {why}"),
        }
    }

    /// The answer.
    pub fn answer(&self) -> Response<Body> {
        let (status, why) = (self.status(), self.reason());
        let mut answer = reply(status, &json!({ "error": why }));
        if let ApiRefusal::Method(methods) = self {
            let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
            // cannot fail: names of methods.
            let names = HeaderValue::try_from(names.join(", ")).expect("names of methods");
            answer.headers_mut().insert(ALLOW, names);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, RETRY.as_secs().into());
        }
        if *self == ApiRefusal::Replaced {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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

/// What a body says, which is a JSON object: of a list, fields would be read by their order.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiRefusal> {
    if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        let why = "the body's JSON: must be an object".to_owned();
        return Err(ApiRefusal::BadRequest(why));
    }
    serde_json::from_slice(body)
        .map_err(|error| ApiRefusal::BadRequest(format!("the body's JSON: {error}")))
}
