//! Frames both ways (RFC 6455 §5).
//!
//! **In:** two legs, rules, a seat. **Out:** how it ended, or its parts. **Never here:** HTTP,
//! routes, pools; an allocation, lock, timer or log on the path of a message.
