//! Who may pass: what a route demands of a request, and the verdict.
//!
//! **In:** the plan's rules, and what a request shows of its client. **Out:** a verdict: it may
//! pass, for how long and as whose, or which rule says no and why. **Never here:** routes, what is
//! done with a request that passes, the answer to one that does not.

mod applicant;
mod denial;
mod even_shares;
mod fetch;
mod forward;
mod identity;
mod key_set;
mod pass;
mod passwords;
mod policy;
mod preview;
mod proof;
mod recheck;
mod tokens;
mod verifier;

pub use applicant::{Applicant, AuthRequest, Rechecked, Subrequest, SubrequestFuture};
pub use denial::Denial;
pub use identity::Identity;
pub use key_set::{FetchedKeys, KeySetState};
pub use pass::Pass;
pub use passwords::PasswordChecker;
pub use policy::Policy;
pub use preview::{Showing, explain};
pub use proof::AccessProof;
pub use recheck::RecheckVerdict;
pub use verifier::Verifier;
