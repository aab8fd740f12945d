//! How a command fails, and the exit code that says so.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It failed while running.
    Run(String),
    /// The command line is wrong in a way that only shows later.
    Usage(String),
    /// The configuration is refused; this is the report, printed as it is.
    Config(String),
    /// The answer is no.
    No(String),
    /// The answer is no, and it was given as data already.
    Said(u8),
}

impl Failure {
    /// It failed while running; the message says what can be done.
    pub(super) fn run(message: impl Display) -> Failure {
        Failure::Run(message.to_string())
    }

    /// The process's exit code, as `--help` lists them.
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Run(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Config(_) => Failure::CONFIG,
            Failure::No(_) => Failure::NO,
            Failure::Said(code) => *code,
        }
    }

    /// The configuration is refused.
    pub(super) const CONFIG: u8 = 3;
    /// The answer is no.
    pub(super) const NO: u8 = 4;
    /// Ctrl-C, as shells tell it.
    pub(super) const INTERRUPTED: u8 = 130;

    /// The message; empty where it was given as data.
    pub(super) fn text(&self) -> &str {
        match self {
            Failure::Run(text) | Failure::Usage(text) | Failure::No(text) => text,
            Failure::Config(report) => report,
            Failure::Said(_) => "",
        }
    }

    /// Prints the message, and gives the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Failure::Run(text) | Failure::Usage(text) | Failure::No(text) => {
                eprintln!("error: {text}");
            }
            // A report brings its own words.
            Failure::Config(report) => eprint!("{report}"),
            Failure::Said(_) => {}
        }
        ExitCode::from(self.code())
    }
}
