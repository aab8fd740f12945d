//! What a request is routed by.

use http::{HeaderMap, Method};

/// What a request is routed by.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The name of the listener it came in by; `None` is by none that a route could name.
    pub listener: Option<&'a str>,
    /// Its host: lower case, without port or final dot; `None` in an HTTP/1.0 request without one.
    pub host: Option<&'a str>,
    /// Its path as it is matched: see [`Reading`](crate::wire::path::Reading).
    pub path: &'a str,
    /// Whether it is a WebSocket handshake.
    pub is_websocket: bool,
    /// Its method.
    pub method: &'a Method,
    /// Its header fields.
    pub headers: &'a HeaderMap,
}
