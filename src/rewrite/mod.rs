//! What is changed of a message on its way.
//!
//! **In:** a client's head, what was seen of its connection, what a route changes. **Out:** the
//! head that goes upstream, and its path; the fields of an answer, and of informational ones before
//! it, that go to the client, where they lead, and how its body is compressed; how names are spelt.
//! **Never here:** sockets, backends, who may pass.

mod compress;
mod informational;
mod outbound;
mod response;
mod reverse;
mod spelling;
mod upstream_path;

pub use compress::{ENCODER_BYTES_MAX, compress, may_compress, vary};
pub use informational::{Informational, Informed};
pub use outbound::{FieldFilter, HANDSHAKE, Outbound};
pub use response::{apply, switching, to_client};
pub use reverse::ReverseMapping;
pub use spelling::{spell_answer, spell_request};
pub use upstream_path::upstream_path;

#[cfg(test)]
pub(crate) mod tests;
