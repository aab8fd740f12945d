//! The head that goes upstream, made in one pass over the client's.

use std::sync::Arc;

use http::Method;
use http::header::{
    self, CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, VIA,
};
use http::uri::PathAndQuery;

use crate::config::plan::FieldChanges;
use crate::wire::fields::{Scope, is_same_spelt, named_by_connection, scope};
use crate::wire::forwarded::{self, Hop, HopFields};
use crate::wire::list::has_token;
use crate::wire::proxy::ProxyEnds;
use crate::wire::request_id::X_REQUEST_ID;
use crate::wire::trailers;

/// The head of a request that goes upstream. It is made from a client's head and consumes it, so
/// that no head can go upstream as it came: what is for one hop has ended, what only tidegate may
/// say is tidegate's, the hops before us are named, and the route's changes are made.
#[derive(Clone, Debug)]
pub struct Outbound {
    method: Method,
    target: PathAndQuery,
    /// In the order they are written; `Host` first (RFC 9110 §7.2).
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Whether the client waits to be told to send its body.
    expects_continue: bool,
    /// The trailer fields that pass.
    trailers: Arc<[HeaderName]>,
    /// The ends of the client's connection, for backends that are told them beside HTTP.
    ends: Option<ProxyEnds>,
}

/// What decides about the fields of a head on its way.
#[derive(Clone, Copy, Debug)]
pub struct FieldFilter<'a> {
    /// What this hop saw of the request.
    pub hop: Hop<'a>,
    /// Whether what the client says of those before it is believed.
    pub is_trusted: bool,
    /// `Host` towards the backend.
    pub host: Option<&'a HeaderValue>,
    /// What this proxy adds to `Via`.
    pub via: &'a HeaderValue,
    /// The request's `X-Request-Id`.
    pub request_id: &'a HeaderValue,
    /// Whether it is a WebSocket handshake, whose own fields are made anew for each backend.
    pub is_handshake: bool,
    /// The route's changes, which have the last word.
    pub changes: &'a FieldChanges,
    /// The trailer fields that pass.
    pub trailers: &'a Arc<[HeaderName]>,
}

/// The fields of an opening handshake (RFC 6455 §11.3).
pub const HANDSHAKE: [HeaderName; 5] = [
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];

/// Fields added to those of a client: `Host`, `Trailer`, `TE`, `Connection`, `Via`, `X-Request-Id`,
/// and those of `forwarded`.
const ADDED: usize = 13;

impl Outbound {
    /// Makes the head.
    pub fn new(
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        passage: &FieldFilter<'_>,
    ) -> Outbound {
        let FieldFilter { hop, is_trusted, host, changes, trailers, .. } = passage;
        let announced = trailers::announced(&headers, trailers);
        let named = named_by_connection(&headers);
        // A handshake has none.
        let reads_trailers = !passage.is_handshake && has_token(&headers, TE, "trailers");
        let hops = HopFields::of(&headers, *hop, *is_trusted);
        let expects_continue = !passage.is_handshake && has_token(&headers, EXPECT, "100-continue");
        let room = headers.len() + changes.set.len() + changes.add.len() + ADDED;
        let mut fields = Vec::with_capacity(room);
        let mut add = |name: HeaderName, value: HeaderValue| {
            if !is_changed(&name, changes) {
                fields.push((name, value));
            }
        };
        if let Some(host) = host {
            add(HOST, (*host).clone());
        }
        // A further line of the same name comes without it.
        let mut current = None;
        for (name, value) in headers {
            if let Some(name) = name {
                current = passage.lets(&name, &named).then_some(name);
            }
            if let Some(name) = &current {
                add(name.clone(), value);
            }
        }
        if let Some(names) = announced {
            add(TRAILER, names);
        }
        // For the next hop only, and so named (RFC 9110 §10.1.4).
        if reads_trailers {
            add(TE, HeaderValue::from_static("trailers"));
            add(CONNECTION, HeaderValue::from_static("TE"));
        }
        add(VIA, passage.via.clone());
        add(X_REQUEST_ID, passage.request_id.clone());
        hops.give(add);
        fields.extend(changes.set.iter().chain(&changes.add).cloned());
        let (trailers, ends) = (Arc::clone(trailers), None);
        Outbound { method, target, fields, expects_continue, trailers, ends }
    }

    /// Has the backend told of these ends, where its pool asks for a PROXY header.
    pub fn announcing(self, ends: Option<ProxyEnds>) -> Outbound {
        Outbound { ends, ..self }
    }

    /// The ends of the client's connection.
    pub fn ends(&self) -> Option<ProxyEnds> {
        self.ends
    }

    /// The trailer fields that pass.
    pub fn trailers(&self) -> &Arc<[HeaderName]> {
        &self.trailers
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// Whether the client sends its body only when it is told to (RFC 9110 §10.1.1). That is the
    /// backend's to answer.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The fields, in the order they are written.
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.fields
    }

    /// The fields as a map.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            headers.append(name, value.clone());
        }
        headers
    }
}

/// A handshake is kept for as long as its session lives, to be said again: as text.
impl Outbound {
    /// The target, then the ends of the client's connection, where they are told, and the fields, a
    /// line each: no value has a line's end in it (RFC 9110 §5.5).
    pub fn store(&self) -> Vec<u8> {
        let mut text = self.target.as_str().as_bytes().to_vec();
        text.push(b'\n');
        if let Some(ends) = self.ends {
            // No field has a name that begins so.
            text.extend_from_slice(format!(":{ends}\n").as_bytes());
        }
        for (name, value) in &self.fields {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        text
    }

    /// What [`Outbound::store`] made of a handshake's head.
    pub fn restore(text: &[u8]) -> Option<Outbound> {
        let mut lines = text.split(|byte| *byte == b'\n').peekable();
        let target = PathAndQuery::try_from(lines.next()?).ok()?;
        let ends = lines.next_if(|line| line.starts_with(b":"));
        let ends = ends.and_then(|line| std::str::from_utf8(&line[1..]).ok()?.parse().ok());
        let field = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            Some((name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?))
        };
        let fields = lines.filter(|line| !line.is_empty()).map(field).collect::<Option<_>>()?;
        let trailers = Arc::default();
        let (method, expects_continue) = (Method::GET, false);
        Some(Outbound { method, target, fields, expects_continue, trailers, ends })
    }
}

impl FieldFilter<'_> {
    /// Whether a client's field of this name passes.
    fn lets(&self, name: &HeaderName, named: &[HeaderName]) -> bool {
        match scope(name) {
            // The route's, or the one that counts. A handshake has no body, and so no length.
            Scope::EndToEnd => *name != HOST && !self.is_handshake,
            // Said anew to the backend that is asked: see `expects_continue`.
            Scope::Unnamed if *name == EXPECT => false,
            Scope::Unnamed if self.is_handshake && HANDSHAKE.contains(name) => false,
            Scope::Unnamed => !named.contains(name),
            Scope::Hop | Scope::Reserved => false,
            Scope::Hops => self.is_trusted && !forwarded::is_told_anew(name),
        }
    }
}

/// Whether the route removes or sets the field, in any spelling: who reads fields as CGI does knows
/// no other `X_User` than `X-User`.
pub(super) fn is_changed(name: &HeaderName, changes: &FieldChanges) -> bool {
    changes.remove.iter().any(|removed| is_same_spelt(name, removed))
        || changes.set.iter().any(|(set, _)| is_same_spelt(name, set))
}
