//! Which route takes a request.
//!
//! **In:** the plan's conditions; then host, path, method and fields. **Out:** the index of a
//! route, and why the others were not taken. **Never here:** I/O, actions.
