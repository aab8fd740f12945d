//! A request that the limits of its route let pass.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;

use super::admit::{Asked, Routed};
use super::conn::App;
use super::grant::{Authorized, Granted};
use super::held_places::HeldPlaces;
use super::limit_refusal::LimitRefusal;
use super::record::RequestRecord;
use super::request_values::RequestValues;
use crate::base::network::ClientNetwork;
use crate::config::plan::{RequestKey, SessionExcess, SessionRule};
use crate::limit::{LimitValue, RateLimit, SharedAllowance};
use crate::live::LiveRoute;

impl Routed {
    /// Takes what the request needs of the limits that go by its client, before anybody is asked
    /// who it is: guesses count, and ask no server without end. What goes by anything else, and is
    /// had by others too, is not for those who may not pass.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn count_client(&self, app: &App) -> Result<(), LimitRefusal> {
        let Routed { asked, route } = self;
        let by_client = rates(asked, route).iter().filter(|(key, _)| *key == RequestKey::Client);
        for (_, limit) in by_client {
            take(app, limit, CountedValue::of_client(asked), asked)?;
        }
        Ok(())
    }
}

impl Authorized {
    /// Takes what the request needs of its route's limits, but for what was taken before.
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
        if opens_session(asked, route) {
            record.handshake();
        }
        let was_counted = route.access.is_some();
        for (key, limit) in rates(asked, route) {
            if !(was_counted && *key == RequestKey::Client) {
                take(app, limit, CountedValue::of(key, values), asked)?;
            }
        }
        let places = if opens_session(asked, route) {
            let messages = messages(app, limits.messages.as_ref(), values);
            places(app, &limits.sessions, messages, values)?
        } else {
            check_length(asked, route)?;
            None
        };
        Ok(Granted::new(self, places))
    }
}

/// Whether a request may open a session: what no backend is asked for is a plain request, whatever
/// it calls itself.
fn opens_session(asked: &Asked, route: &LiveRoute) -> bool {
    asked.asks_websocket && route.action.pool().is_some()
}

/// The limits of requests of its kind.
fn rates<'a>(asked: &Asked, route: &'a LiveRoute) -> &'a [(RequestKey, RateLimit)] {
    match opens_session(asked, route) {
        true => &route.limits.handshakes,
        false => &route.limits.requests,
    }
}

/// Takes one, where there is a value to count by.
fn take(
    app: &App,
    limit: &RateLimit,
    value: Option<CountedValue>,
    asked: &Asked,
) -> Result<(), LimitRefusal> {
    let Some(value) = value else { return Ok(()) };
    limit.take(&app.buckets, value.get(), asked.at).map_err(LimitRefusal::Rate)
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
        let Some(value) = CountedValue::of(&rule.key, values) else { continue };
        let oldest_goes = rule.excess == SessionExcess::Oldest;
        let place = app.places.take(name, &value.own, rule.max, oldest_goes);
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
    let value = CountedValue::of(key, values)?;
    Some(SharedAllowance::new(limit, &app.buckets, value.get(), *burst))
}

/// What a request counts by.
struct CountedValue {
    own: Vec<u8>,
    is_made_up: bool,
    client: Option<Vec<u8>>,
}

impl CountedValue {
    /// The value of a key. A request without it counts by its client, lest leaving it out help.
    fn of(key: &RequestKey, values: RequestValues<'_>) -> Option<CountedValue> {
        let own = match key {
            RequestKey::Client => None,
            key => values.key(key),
        };
        let by_client = CountedValue::of_client(values.asked);
        let Some(own) = own.map(|value| [b"=", &*value].concat()) else { return by_client };
        let is_made_up = key.is_made_up();
        Some(CountedValue { own, is_made_up, client: by_client.map(|client| client.own) })
    }

    /// A request's client. Of those behind a proxy that tells nothing of them none counts: they
    /// would all be one.
    fn of_client(asked: &Asked) -> Option<CountedValue> {
        match asked.conn.listener.client_network(asked.client_addr) {
            ClientNetwork::Unshared => None,
            network => {
                let own = format!("{network:?}").into_bytes();
                Some(CountedValue { own, is_made_up: false, client: None })
            }
        }
    }

    fn get(&self) -> LimitValue<'_> {
        let CountedValue { own, is_made_up, client } = self;
        LimitValue { own, is_made_up: *is_made_up, client: client.as_deref() }
    }
}

fn check_length(asked: &Asked, route: &LiveRoute) -> Result<(), LimitRefusal> {
    let Some(max) = route.plan.limits.body_bytes_max else { return Ok(()) };
    let length = asked.head.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) { Err(LimitRefusal::Body) } else { Ok(()) }
}
