//! A WebSocket handshake, from the client's request to a verified upstream (RFC 6455 §4).
//!
//! **In:** a request and a pool. **Out:** an upstream that has answered a checked 101, or the
//! answer to give instead. **Never here:** frames.
