//! A person's words become one call downstairs.
//!
//! **In:** arguments. **Out:** an exit code, data on stdout, messages on stderr.
//! **Never here:** sockets listened on (`demo` aside), decisions about sessions.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod ask;
mod check;
mod config_file;
mod demo;
mod exit;
mod health;
mod operator;
mod operator_socket;
mod run;
mod waiting;

use args::{Arguments, Command, ReferenceFormat};
use exit::Failure;

use crate::config;

/// Runs the command line.
pub fn main() -> ExitCode {
    // Clap itself answers `--help`, and leaves with 2 when the command line is wrong.
    let arguments = Arguments::parse();
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(asked) => run::run(&asked),
        Command::Reference(asked) => {
            print!("{}", reference(asked.format));
            Ok(())
        }
        Command::Check(asked) => check::check(&asked),
        Command::Reload(asked) => operator::reload(asked),
        Command::Status(asked) => operator::ask(&asked),
        Command::Sessions(asked) => operator::ask(&asked),
        Command::Drain(asked) => operator::ask(&asked),
        Command::Move(asked) => operator::ask(&asked),
        Command::Enable(asked) => operator::ask(&asked),
        Command::Kick(asked) => operator::ask(&asked),
        Command::Upgrade(asked) => operator::ask(&asked),
        Command::Demo(asked) => demo::demo(&asked),
        Command::Health(asked) => health::check(&asked),
        Command::Version => {
            println!("tidegate {}", args::LONG_VERSION.as_str());
            Ok(())
        }
    }
}

fn reference(format: ReferenceFormat) -> String {
    match format {
        ReferenceFormat::Markdown => config::reference_markdown(),
        ReferenceFormat::Schema => config::schema_json(),
    }
}
