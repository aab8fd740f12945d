//! The fields of an answer on its way to the client.

use http::header::{HeaderMap, HeaderValue, TRAILER};

use crate::config::plan::FieldChanges;
use crate::wire::fields::{remove_hop_by_hop, remove_reserved};

/// Makes a backend's fields those that go to the client: what is for one hop ends, and so does what
/// only tidegate may say; then the route's changes. Trailers pass, so their names do.
pub fn to_client(headers: &mut HeaderMap, changes: &FieldChanges) {
    let trailer: Vec<HeaderValue> = headers.get_all(TRAILER).iter().cloned().collect();
    remove_hop_by_hop(headers);
    remove_reserved(headers);
    for names in trailer {
        headers.append(TRAILER, names);
    }
    apply(headers, changes);
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
