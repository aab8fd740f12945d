//! Certificates ordered from an authority that speaks ACME (RFC 8555).
//!
//! **In:** what the plan says of the authority, the names wanted, and the directory of state.
//! **Out:** certificates, put where handshakes look for them; answers to the authority's questions
//! whether a name is ours. **Never here:** a handshake, a request, a session, a worker's thread.
//!
//! What a build without orders has too stands here: the answers, which are none then, and how names
//! stand. All that orders is in `orders`.

mod challenges;
#[cfg(feature = "acme")]
pub mod orders;
mod states;

pub use challenges::{CHALLENGE_PATH, Challenges};
pub use states::{NameState, NameStates};
