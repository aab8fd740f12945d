//! A request that the limits of its route let pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::admit::Asked;
use super::conn::App;
use super::grant::{Authorized, Granted};
use super::record::RequestRecord;
use super::request_values::RequestValues;
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::base::network::ClientNetwork;
use crate::base::task;
use crate::config::plan::{RequestKey, SessionExcess, SessionRule};
use crate::limit::{RateLimit, SessionPlace, SharedAllowance};
use crate::live::LiveRoute;
use crate::registry::LiveSessions;

/// Which limit of a route has nothing left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LimitRefusal {
    /// `handshakes` or `requests`; there is one again after this time.
    Rate(Duration),
    /// `sessions`.
    Sessions,
    /// `body_bytes_max`.
    Body,
}

/// How soon a client may look whether one of its sessions has ended.
const SESSIONS_RETRY: Duration = Duration::from_secs(1);

impl Authorized {
    /// Takes what the request needs of its route's limits.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn counted(
        self,
        app: &App,
        record: &mut RequestRecord,
    ) -> Result<Granted, LimitRefusal> {
        let values = self.values();
        let Authorized { asked, route, .. } = &self;
        let limits = &route.limits;
        // What no backend is asked for is a plain request, whatever it calls itself.
        let has_pool = route.action.pool().is_some();
        let places = if asked.asks_websocket && has_pool {
            record.handshake();
            draw(app, &limits.handshakes, values)?;
            let messages = messages(app, limits.messages.as_ref(), values);
            places(app, &limits.sessions, messages, values)?
        } else {
            draw(app, &limits.requests, values)?;
            check_length(asked, route)?;
            None
        };
        Ok(Granted::new(self, places))
    }
}

/// Takes one of each.
fn draw(
    app: &App,
    limits: &[(RequestKey, RateLimit)],
    values: RequestValues<'_>,
) -> Result<(), LimitRefusal> {
    for (key, limit) in limits {
        if let Some(value) = value(key, values) {
            limit.take(&app.buckets, &value, values.asked.at).map_err(LimitRefusal::Rate)?;
        }
    }
    Ok(())
}

/// Takes a place of each.
fn places(
    app: &App,
    limits: &[(SessionRule, Box<str>)],
    messages: Option<SharedAllowance>,
    values: RequestValues<'_>,
) -> Result<Option<Box<HeldPlaces>>, LimitRefusal> {
    let mut places = Vec::new();
    for (rule, name) in limits {
        let Some(value) = value(&rule.key, values) else { continue };
        let oldest_goes = rule.excess == SessionExcess::Oldest;
        let place = app.places.take(name, &value, rule.max, oldest_goes);
        places.push(place.ok_or(LimitRefusal::Sessions)?);
    }
    if places.is_empty() && messages.is_none() {
        return Ok(None);
    }
    Ok(Some(Box::new(HeldPlaces { places, messages, sessions: app.sessions.clone() })))
}

/// What the session to come may send with all others of its key.
fn messages(
    app: &App,
    limit: Option<&(RequestKey, Arc<RateLimit>, u64)>,
    values: RequestValues<'_>,
) -> Option<SharedAllowance> {
    let (key, limit, burst) = limit?;
    Some(SharedAllowance::new(limit, &app.buckets, &value(key, values)?, *burst))
}

/// What a request counts by: a request without the value by its client, lest leaving it out help.
/// Of those behind a proxy that tells nothing of them none counts: they would all be one.
fn value(key: &RequestKey, values: RequestValues<'_>) -> Option<Vec<u8>> {
    let own = match key {
        RequestKey::Client => None,
        key => values.key(key).map(|value| [b"=", &*value].concat()),
    };
    own.or_else(|| {
        let Asked { conn, client_addr, .. } = values.asked;
        match conn.listener.client_network(*client_addr) {
            ClientNetwork::Unshared => None,
            network => Some(format!("{network:?}").into_bytes()),
        }
    })
}

fn check_length(asked: &Asked, route: &LiveRoute) -> Result<(), LimitRefusal> {
    let Some(max) = route.plan.limits.body_bytes_max else { return Ok(()) };
    let length = asked.head.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) { Err(LimitRefusal::Body) } else { Ok(()) }
}

/// The places of a session, or of one to come.
pub(super) struct HeldPlaces {
    places: Vec<SessionPlace>,
    /// What its client may send with others.
    messages: Option<SharedAllowance>,
    sessions: LiveSessions,
}

impl HeldPlaces {
    /// What the session's client may send with others of its key.
    pub(super) fn take_messages(&mut self) -> Option<SharedAllowance> {
        self.messages.take()
    }

    /// The session has begun; those whose places it got end.
    pub(super) fn seated(&self, session: SessionId) {
        for oldest in self.places.iter().filter_map(|place| place.seated(session)) {
            let sessions = self.sessions.clone();
            task::spawn("excess", async move { sessions.kick(oldest).await });
        }
    }
}

impl LimitRefusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            LimitRefusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            LimitRefusal::Rate(_) | LimitRefusal::Sessions => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn retry_after(self) -> Option<Duration> {
        match self {
            LimitRefusal::Rate(wait) => Some(wait),
            LimitRefusal::Sessions => Some(SESSIONS_RETRY),
            LimitRefusal::Body => None,
        }
    }
}

impl Label for LimitRefusal {
    fn label(&self) -> &'static str {
        match self {
            LimitRefusal::Rate(_) => "rate_limit",
            LimitRefusal::Sessions => "session_limit",
            LimitRefusal::Body => "body_too_large",
        }
    }
}

impl fmt::Display for LimitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitRefusal::Rate(_) => "too many requests",
            LimitRefusal::Sessions => "too many WebSockets",
            LimitRefusal::Body => "the request's body is too large",
        })
    }
}
