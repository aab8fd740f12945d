//! What is changed of a message on its way.
//!
//! **In:** a client's head, what was seen of its connection, what a route changes. **Out:** the
//! head that goes upstream; the fields of an answer that go to the client. **Never here:** sockets,
//! backends, who may pass.

mod outbound;
mod response;

pub use outbound::{FieldFilter, HANDSHAKE, Outbound};
pub use response::{apply, switching, to_client};

#[cfg(test)]
pub(crate) mod tests;
