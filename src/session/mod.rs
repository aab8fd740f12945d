//! The story of one request, told once; and its record.
//!
//! **In:** a connection's facts and a request. **Out:** a response, and for a WebSocket the session
//! after it. **Never here:** bytes parsed, sockets accepted.
