//! A person's words become one call downstairs.
//!
//! **In:** arguments. **Out:** an exit code, data on stdout, messages on stderr.
//! **Never here:** sockets of its own (`demo` aside).

use std::process::ExitCode;

/// Runs the command line.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
