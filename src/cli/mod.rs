//! A person's words become one call downstairs.
//!
//! **In:** arguments. **Out:** an exit code, data on stdout, messages on stderr.
//! **Never here:** sockets listened on (`demo` aside), decisions about sessions.

use std::process::ExitCode;

mod args;
mod ask;
mod check;
mod config_file;
mod demo;
mod exit;
mod health;
mod init;
mod manual;
mod operator;
mod operator_socket;
mod output;
mod push_command;
mod run;
mod tail;
mod top;
mod waiting;

use args::{Arguments, Command, ReferenceFormat};
use exit::Failure;

use crate::action;
use crate::config;

/// Runs the command line.
pub fn main() -> ExitCode {
    match execute(Arguments::typed().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(asked) => run::run(&asked.file()),
        Command::Reference(asked) => output::print(&reference(asked.format)),
        Command::Openapi => output::print(&action::api::openapi_json()),
        Command::Completions(asked) => manual::completions(&asked),
        Command::Man(asked) => manual::manual(&asked),
        Command::Init(asked) => init::init(&asked),
        Command::Check(asked) => check::check(&asked),
        Command::Reload(asked) => operator::reload(asked),
        Command::Status(asked) => operator::ask(&asked),
        Command::Sessions(asked) => operator::sessions(asked),
        Command::Top(asked) => top::top(&asked),
        Command::Tail(asked) => tail::tail(&asked),
        Command::Drain(asked) => operator::ask(&asked),
        Command::Move(asked) => operator::ask(&asked),
        Command::Enable(asked) => operator::ask(&asked),
        Command::Kick(asked) => operator::ask(&asked),
        Command::Push(asked) => push_command::push(asked),
        Command::Upgrade(asked) => operator::ask(&asked),
        Command::Demo(asked) => demo::demo(&asked),
        Command::Health(asked) => health::check(&asked),
        Command::Version => {
            output::print_lines(&format!("{} {}", args::NAME, args::LONG_VERSION.as_str()))
        }
    }
}

fn reference(format: ReferenceFormat) -> String {
    match format {
        ReferenceFormat::Markdown => config::reference_markdown(),
        ReferenceFormat::Schema => config::schema_json(),
    }
}
