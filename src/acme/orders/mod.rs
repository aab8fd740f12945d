//! Orders: [`keep`] runs on a thread of its own, which files and the authority may hold up.
//!
//! What is pure stands apart: `schedule` says when a certificate is renewed and how long a failed
//! order waits; `state_dir` says how files are called. Several instances that share the directory
//! order each name once (`name_lock`), and each answers for all (`stored`).

mod account;
mod ca_client;
mod challenge_answer;
mod challenge_kind;
mod dns_hook;
mod failure_note;
mod keep;
mod name_lock;
mod name_record;
mod order_context;
mod order_error;
mod order_task;
mod ordering;
mod published;
mod schedule;
mod state_dir;
mod stored;
mod stored_names;
mod wanted;

pub use keep::keep;
pub use stored_names::{show_stored, stored_names};
pub use wanted::AcmeWork;
