//! Plain HTTP answered: files, redirects, fixed responses, requests to a pool.
//!
//! **In:** a request and its route's action. **Out:** a response whose body streams.
//! **Never here:** WebSockets, routing.
