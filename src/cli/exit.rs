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
            Failure::Usage(_) => Failure::USAGE,
            Failure::Config(_) => Failure::CONFIG,
            Failure::No(_) => Failure::NO,
            Failure::Said(code) => *code,
        }
    }

    /// The command line is wrong.
    pub(super) const USAGE: u8 = 2;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser;

    /// The values of a directive of the shipped unit.
    fn directives(name: &str) -> Vec<&'static str> {
        let unit = include_str!("../../config/tidegate.service");
        let lines = unit.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
    }

    #[test]
    fn the_shipped_unit_starts_and_reloads_and_does_not_restart_what_is_refused() {
        let command = |name: &str| {
            let words: Vec<_> = directives(name)[0].split(' ').collect();
            (words[0], Arguments::try_parse_from(&words).unwrap().command)
        };
        let (program, started) = command("ExecStart");
        let Command::Run(run) = started else { panic!("it does not run the proxy") };
        let file = run.file();
        let (with, reloaded) = command("ExecReload");
        let Command::Reload(reload) = reloaded else { panic!("it does not reload by command") };
        assert_eq!((with, &reload.target.file.config), (program, &file.config));
        assert!(!reload.request.dry_run && !reload.request.force);
        // What the unit waits for; and the one that may say `MAINPID=` at an upgrade.
        assert_eq!(
            (directives("Type"), directives("NotifyAccess")),
            (vec!["notify"], vec!["main"])
        );

        let prevented: Vec<u8> = directives("RestartPreventExitStatus")[0]
            .split(' ')
            .map(|code| code.parse().unwrap())
            .collect();
        let refused = [Failure::Usage(String::new()), Failure::Config(String::new())];
        assert_eq!(prevented, refused.map(|failure| failure.code()));
        assert!(!prevented.contains(&Failure::run("an address in use").code()));
        assert!(directives("ExecStartPre").is_empty(), "its exit code would restart the service");
    }
}
