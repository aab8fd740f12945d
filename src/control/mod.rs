//! The process: supervisor, reload, file watch, drain, admin.
//!
//! **In:** signals, commands, files that changed. **Out:** snapshots put in force, sessions let go.
//! **Never here:** a byte of a session.
