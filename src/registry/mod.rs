//! The live sessions of a worker: mailboxes and deadlines.
//!
//! **In:** a session's facts; notes from above. **Out:** a seat, through which a session hears
//! notes and its deadline. **Never here:** a session's bytes; a lock, channel or timer per session.
