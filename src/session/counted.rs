//! A request that the limits of its route let pass.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;

use super::admit::Asked;
use super::conn::App;
use super::grant::{Authorized, Granted};
use super::held_places::HeldPlaces;
use super::limit_refusal::LimitRefusal;
use super::record::RequestRecord;
use super::request_values::RequestValues;
use crate::base::network::ClientNetwork;
use crate::config::plan::{RequestKey, SessionExcess, SessionRule};
use crate::limit::{RateLimit, SharedAllowance};
use crate::live::LiveRoute;

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
    Ok(HeldPlaces::of(places, messages, &app.sessions))
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
