//! The snapshot in force: built aside from a plan, swapped whole.
//!
//! **In:** a plan and the snapshot before. **Out:** an immutable snapshot that reuses what is
//! equal.
//! **Never here:** a change after it was built; sockets of clients.
