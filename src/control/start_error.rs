//! Why a process could not be started.

use std::fmt;
use std::io;

use crate::listen::OpenError;

/// A process that could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong; this is its report.
    Config(String),
    /// Nothing can be built from the configuration.
    Build(String),
    /// These addresses cannot be listened on.
    Listeners(Vec<OpenError>),
    /// The process that served before does not go on with the upgrade.
    Predecessor(io::Error),
    /// The system gave no thread.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(report) => f.write_str(report.trim_end()),
            StartError::Build(why) => write!(f, "the configuration cannot be put to work: {why}"),
            StartError::Listeners(errors) => {
                let lines: Vec<String> = errors.iter().map(with_hint).collect();
                f.write_str(&lines.join("\n"))
            }
            StartError::Predecessor(error) => {
                write!(f, "the process that serves does not go on with the upgrade: {error}")
            }
            StartError::System(error) => write!(f, "the system gave no thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// An error and what can be done about it, on two lines.
pub(super) fn with_hint(error: &OpenError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}
