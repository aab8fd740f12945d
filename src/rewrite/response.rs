//! The fields of an answer on its way to the client.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRAILER, VIA};

use super::outbound::{HANDSHAKE, is_changed};
use crate::config::plan::FieldChanges;
use crate::wire::fields::{Scope, named_by, named_by_connection, scope};
use crate::wire::trailers;

/// Fields added to those of a backend's 101: `Via`, `Date`, `X-Request-Id`.
const ADDED: usize = 3;

/// Makes a backend's fields those that go to the client: what is for one hop ends, and so does what
/// only tidegate may say; then the route's changes. Of trailers those are announced that pass.
pub fn to_client(
    headers: &mut HeaderMap,
    via: &HeaderValue,
    passing: &[HeaderName],
    changes: &FieldChanges,
) {
    let announced = trailers::announced(headers, passing);
    let named = named_by_connection(headers);
    let ends = headers.keys().filter(|name| !goes_on(name, &named));
    for name in ends.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    if let Some(names) = announced {
        headers.insert(TRAILER, names);
    }
    headers.append(VIA, via.clone());
    apply(headers, changes);
}

/// Makes the fields of an informational answer (1xx) those that go to the client. What the route
/// removes or sets goes; it is set on the answer that follows. There is no body, and no length.
pub(super) fn informational(headers: &HeaderMap, changes: &FieldChanges) -> HeaderMap {
    let named = named_by_connection(headers);
    let stays = |name: &HeaderName| {
        *name != CONTENT_LENGTH && goes_on(name, &named) && !is_changed(name, changes)
    };
    let fields = headers.iter().filter(|(name, _)| stays(name));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Makes the fields of a backend's 101 those that go to the client, but for what was agreed on,
/// which is not the route's to change.
pub fn switching(
    fields: Vec<(HeaderName, HeaderValue)>,
    via: &HeaderValue,
    changes: &FieldChanges,
) -> HeaderMap {
    let connection = fields.iter().filter(|(name, _)| *name == CONNECTION);
    let named = named_by(connection.map(|(_, value)| value));
    let stays = |(name, _): &(HeaderName, HeaderValue)| {
        // It has no body, whatever it says of a length (RFC 9110 §8.6).
        let is_own = *name == CONTENT_LENGTH || HANDSHAKE.contains(name);
        !is_own && goes_on(name, &named)
    };
    let room = fields.len() + changes.set.len() + changes.add.len() + ADDED;
    let mut headers = HeaderMap::with_capacity(room);
    headers.extend(fields.into_iter().filter(stays));
    headers.append(VIA, via.clone());
    apply(&mut headers, changes);
    headers
}

/// Whether a backend's field goes on to the client.
fn goes_on(name: &HeaderName, named: &[HeaderName]) -> bool {
    match scope(name) {
        Scope::Hop | Scope::Reserved => false,
        Scope::Unnamed => !named.contains(name),
        Scope::EndToEnd | Scope::Hops => true,
    }
}

/// Applies a route's changes; a name set twice becomes two lines. Whatever is spelt as what is
/// changed goes.
pub fn apply(headers: &mut HeaderMap, changes: &FieldChanges) {
    let changed = headers.keys().filter(|name| is_changed(name, changes));
    for name in changed.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    for (name, value) in changes.set.iter().chain(&changes.add) {
        headers.append(name, value.clone());
    }
}
