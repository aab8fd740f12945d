//! How much one key may have: requests in a time, sessions at once.
//!
//! **In:** a limit, what tells a request apart, the moment. **Out:** whether it may pass, else when
//! to come again, or who is to go. **Never here:** requests, sockets, clocks; the bytes of a key:
//! only a hash of it is kept.

mod allowance;
mod buckets;
mod key_hash;
mod places;
mod rate_limit;

pub use allowance::Allowance;
pub use buckets::Buckets;
pub use places::{SessionPlace, SessionPlaces};
pub use rate_limit::{LimitValue, RateLimit, SharedAllowance};
