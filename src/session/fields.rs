//! The fields of a head on its way upstream and back: what is for one hop ends here, and who asks
//! is told anew.

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderValue, TE, TRAILER, UPGRADE};

use super::conn::Conn;
use super::target::Target;
use crate::config::plan::FieldChanges;
use crate::wire::fields::{remove_hop_by_hop, remove_reserved};
use crate::wire::forwarded::{self, Hop};
use crate::wire::list::has_token;

/// Makes a client's fields those that go upstream; `host` is the route's own.
pub(super) fn onward(
    headers: &mut HeaderMap,
    conn: &Conn,
    target: &Target,
    host: Option<&HeaderValue>,
    changes: &FieldChanges,
) {
    let reads_trailers = has_token(headers, TE, "trailers");
    end_hop(headers);
    if reads_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // The client is told to go on when a backend is there to read its body.
    headers.remove(EXPECT);
    let asked = target.authority.as_ref();
    let hop = Hop {
        client: conn.client,
        proto: conn.scheme(),
        host: asked.and_then(|asked| asked.to_str().ok()),
        port: conn.port,
    };
    forwarded::rewrite(headers, &hop, conn.is_trusted());
    match host.or(asked) {
        Some(host) => drop(headers.insert(HOST, host.clone())),
        None => drop(headers.remove(HOST)),
    }
    apply(headers, changes);
}

/// Makes a backend's fields those that go to the client.
pub(super) fn homeward(headers: &mut HeaderMap, changes: &FieldChanges) {
    end_hop(headers);
    apply(headers, changes);
}

/// Says that a WebSocket is what may be asked for.
pub(super) fn offer_upgrade(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
}

/// Ends what is for one hop, and what only tidegate may say. Trailers pass, so their names do.
fn end_hop(headers: &mut HeaderMap) {
    let trailer: Vec<HeaderValue> = headers.get_all(TRAILER).iter().cloned().collect();
    remove_hop_by_hop(headers);
    remove_reserved(headers);
    for names in trailer {
        headers.append(TRAILER, names);
    }
}

/// Applies a route's changes; a name set twice becomes two lines.
pub(super) fn apply(headers: &mut HeaderMap, changes: &FieldChanges) {
    for name in changes.remove.iter().chain(changes.set.iter().map(|(name, _)| name)) {
        headers.remove(name);
    }
    for (name, value) in &changes.set {
        headers.append(name, value.clone());
    }
}
