//! A person's words become one call downstairs.
//!
//! **In:** arguments. **Out:** an exit code, data on stdout, messages on stderr.
//! **Never here:** sockets listened on (`demo` aside), decisions about sessions.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod check;
mod config_file;
mod exit;
mod health;

use args::{Arguments, Command};
use exit::Failure;

/// Runs the command line.
pub fn main() -> ExitCode {
    // Clap itself answers `--help`, and leaves with 2 when the command line is wrong.
    let arguments = Arguments::parse();
    match obey(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn obey(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(asked) => check::check(&asked),
        Command::Health(asked) => health::check(&asked),
    }
}
