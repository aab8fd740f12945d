//! The fields of an answer on its way to the client.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRAILER, UPGRADE};

use super::outbound::HANDSHAKE;
use crate::config::plan::FieldChanges;
use crate::wire::fields::{Scope, named_by, named_by_connection, scope};

/// Makes a backend's fields those that go to the client: what is for one hop ends, and so does what
/// only tidegate may say; then the route's changes.
pub fn to_client(headers: &mut HeaderMap, changes: &FieldChanges) {
    let named = named_by_connection(headers);
    let ends = headers.keys().filter(|name| !goes_on(name, &named));
    for name in ends.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    apply(headers, changes);
}

/// Makes the fields of a backend's 101 those that go to the client, but for what was agreed on,
/// which is not the route's to change.
pub fn switching(fields: Vec<(HeaderName, HeaderValue)>, changes: &FieldChanges) -> HeaderMap {
    let connection = fields.iter().filter(|(name, _)| *name == CONNECTION);
    let named = named_by(connection.map(|(_, value)| value));
    let stays = |(name, _): &(HeaderName, HeaderValue)| {
        *name != UPGRADE && !HANDSHAKE.contains(name) && goes_on(name, &named)
    };
    let mut headers = fields.into_iter().filter(stays).collect();
    apply(&mut headers, changes);
    headers
}

/// Whether a backend's field goes on to the client.
fn goes_on(name: &HeaderName, named: &[HeaderName]) -> bool {
    match scope(name) {
        // Trailers pass, so their names do.
        Scope::Hop => *name == TRAILER,
        Scope::Reserved => false,
        Scope::Unnamed => !named.contains(name),
        Scope::EndToEnd | Scope::Hops => true,
    }
}

/// Applies a route's changes; a name set twice becomes two lines.
pub fn apply(headers: &mut HeaderMap, changes: &FieldChanges) {
    for name in changes.remove.iter().chain(changes.set.iter().map(|(name, _)| name)) {
        headers.remove(name);
    }
    for (name, value) in &changes.set {
        headers.append(name, value.clone());
    }
}
