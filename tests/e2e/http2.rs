//! HTTP/2 to clients: plain requests, and WebSockets by extended CONNECT (RFC 8441).

mod ends;
pub mod front;
mod handshakes;
mod many;
mod parity;
mod spellings;

use front::text;
pub use front::{Front, Streams};
