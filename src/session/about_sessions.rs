//! Requests about live sessions: whose they are, by the route that answers, or by the process after
//! this one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::conn::App;
use super::grant::Granted;
use crate::access::Policy;
use crate::action::api::{self, ApiContext, ApiRefusal, CoveredRoute};
use crate::action::api::{InstanceQuestion, IsInForce, PushRequest};
use crate::base::body::Body;
use crate::base::network::ClientNetwork;
use crate::config::plan;
use crate::handshake::is_origin_allowed;
use crate::live::LiveRoute;
use crate::rewrite;
use crate::wire::host;

/// Answers about live sessions.
pub(super) async fn answer(
    app: &Arc<App>,
    granted: Granted,
    asked: &plan::Api,
    body: Body,
) -> Response<Body> {
    let older = Some(Arc::clone(&app.older));
    let is_in_force = is_in_force(app, &granted.route, asked);
    let client = granted.asked.conn.listener.client_network(granted.asked.client_addr);
    let context = ApiContext { older, is_in_force, client, ..context(app, asked) };
    let target = &granted.asked.target;
    let below = target.below(Some(&granted.route.plan));
    // A route for `/v1` is asked for `/v1/push` as well.
    let is_below = ["/v1/", "/@connections/"].iter().any(|first| below.starts_with(first));
    let path = if is_below { &below } else { &target.path };
    let mut answer = match foreign(&granted) {
        Some(refusal) => api::refuse(&context, path, &refusal),
        None => api::answer(&context, &granted.asked.head, path, body).await,
    };
    rewrite::apply(answer.headers_mut(), &granted.answer_changes);
    answer
}

/// Why a request is refused that a page of another site may have a visitor's browser send: with the
/// visitor's cookies, or from where none but the machine itself may ask.
fn foreign(granted: &Granted) -> Option<ApiRefusal> {
    let Granted { asked, route, .. } = granted;
    let headers = &asked.head.headers;
    let same = plan::Origins { same: true, listed: Vec::new() };
    let is_site = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let is_own = is_origin_allowed(headers, Some(&same), asked.target.authority.as_ref())
        && headers.get_all("sec-fetch-site").iter().all(is_site);
    if !is_own {
        return Some(ApiRefusal::Origin);
    }
    let is_open = route.access.is_none() && asked.conn.peer_addr.is_some();
    let takes_any_name = route.plan.host == plan::HostPattern::Any;
    let name = asked.target.host.as_deref();
    let is_rebound = is_open && takes_any_name && name.is_some_and(host::can_be_rebound);
    is_rebound.then_some(ApiRefusal::Host)
}

/// Whether the route is still what it is now, and about the same routes.
fn is_in_force(app: &Arc<App>, route: &Arc<LiveRoute>, asked: &plan::Api) -> IsInForce {
    let (app, asked) = (Arc::clone(app), asked.clone());
    // What it was is not kept alive for this.
    let (identity, route) = (Arc::clone(&route.plan.identity), Arc::downgrade(route));
    // Not yet: a reload may have come since the route was found.
    let looked = AtomicU64::new(0);
    Arc::new(move |about: &BTreeSet<Arc<str>>| {
        let snapshot = app.live.now();
        if looked.swap(snapshot.generation, Relaxed) == snapshot.generation {
            return true;
        }
        let is_same = snapshot.route(&identity).is_some_and(|now| {
            // The same where nothing about it changed, its access rules neither.
            Arc::downgrade(now).ptr_eq(&route)
        });
        let covered = snapshot.routes.iter().map(|route| &route.plan.identity);
        let covered = covered.filter(|identity| asked.covers(identity));
        is_same && covered.collect::<BTreeSet<_>>().into_iter().eq(about)
    })
}

/// Sends a message for an operator, to any session that can be pushed to.
pub async fn push(app: &App, request: PushRequest) -> (StatusCode, Value) {
    let all = plan::Api { routes: vec!["*".into()], may: Vec::new(), aws: false };
    let context = ApiContext { older: Some(Arc::clone(&app.older)), ..context(app, &all) };
    said(api::push(&context, request).await)
}

/// Answers the process after this one about the sessions that live here.
pub async fn answer_newer(app: &App, question: &str) -> (StatusCode, Value) {
    let read = serde_json::from_str::<InstanceQuestion>(question);
    let read = read.map_err(|error| ApiRefusal::BadRequest(error.to_string()));
    let answered = match read {
        Ok(InstanceQuestion { routes, request }) => {
            // What may be asked was looked at there.
            let routes = routes.into_iter().map(Into::into).collect();
            let context = context(app, &plan::Api { routes, may: Vec::new(), aws: false });
            api::answer_newer(&context, request).await
        }
        Err(refusal) => Err(refusal),
    };
    said(answered.map(|json| (StatusCode::OK, json)))
}

fn said(answered: Result<(StatusCode, Value), ApiRefusal>) -> (StatusCode, Value) {
    let refused = |refusal: ApiRefusal| (refusal.status(), json!({ "error": refusal.reason() }));
    answered.unwrap_or_else(refused)
}

fn context(app: &App, asked: &plan::Api) -> ApiContext {
    let snapshot = app.live.now();
    let covered = snapshot.routes.iter().filter(|route| asked.covers(&route.plan.identity));
    let covered = covered.map(|route| {
        let access = route.access.as_ref();
        let extension_max = access.map(Policy::extension_max).unwrap_or_default();
        let push = route.plan.push.clone();
        (Arc::clone(&route.plan.identity), CoveredRoute { push, extension_max })
    });
    ApiContext {
        sessions: app.sessions.clone(),
        older: None,
        named: asked.routes.clone(),
        routes: covered.collect(),
        may: asked.may.clone(),
        // Of an operator, or of the process after this one.
        client: ClientNetwork::Unshared,
        has_aws: asked.aws,
        is_in_force: Arc::new(|_: &BTreeSet<Arc<str>>| true),
        events: Arc::clone(&app.events),
        budget: Arc::clone(&app.pushes),
    }
}
