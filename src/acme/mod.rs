//! Certificates ordered from an authority that speaks ACME (RFC 8555).
//!
//! **In:** what the plan says of the authority, the names wanted, and the directory of state.
//! **Out:** certificates, put where handshakes look for them; answers to the authority's questions
//! whether a name is ours. **Never here:** a handshake, a request, a session, a worker's thread:
//! [`keep`] runs on a thread of its own, which files and the authority may hold up.
//!
//! What is pure stands apart: [`schedule`] says when a certificate is renewed and how long a failed
//! order waits; `state_dir` says how files are called. Several instances that share the directory
//! order each name once (`name_lock`), and each answers for all (`challenges`).

#[cfg(feature = "acme")]
mod account;
#[cfg(feature = "acme")]
mod ca_client;
#[cfg(feature = "acme")]
mod challenge_answer;
#[cfg(feature = "acme")]
mod challenge_kind;
mod challenges;
#[cfg(feature = "acme")]
mod dns_hook;
#[cfg(feature = "acme")]
mod failure_note;
#[cfg(feature = "acme")]
mod keep;
#[cfg(feature = "acme")]
mod name_lock;
#[cfg(feature = "acme")]
mod name_record;
#[cfg(feature = "acme")]
mod order_context;
#[cfg(feature = "acme")]
mod order_error;
#[cfg(feature = "acme")]
mod order_task;
#[cfg(feature = "acme")]
mod ordering;
#[cfg(feature = "acme")]
mod schedule;
#[cfg(feature = "acme")]
mod state_dir;
mod states;
#[cfg(feature = "acme")]
mod stored;
#[cfg(feature = "acme")]
mod wanted;

pub use challenges::{CHALLENGE_PATH, Challenges};
#[cfg(feature = "acme")]
pub use keep::keep;
pub use states::{NameState, NameStates};
#[cfg(feature = "acme")]
pub use wanted::AcmeWork;
