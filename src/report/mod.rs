//! Diagnostics as data, and their printers.
//!
//! **In:** findings with their spans. **Out:** text with line, caret and hint, or JSON.
//! **Never here:** what is right or wrong.
