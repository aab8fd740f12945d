//! `tidegate run`: the proxy, until it is told to stop.

use super::args::ConfigFile;
use super::config_file;
use super::exit::Failure;
use crate::config::plan;
use crate::control::{self, Handle, Options, Source, StartError};
use crate::observe::log;

/// Runs the configuration meant.
pub(super) fn run(asked: &ConfigFile) -> Result<(), Failure> {
    let file = config_file::find(asked)?;
    // Read before there is a log, so that a person reads the report as it was drawn.
    let loaded = config_file::load(&file)?;
    serve(Source::File(file), &loaded.plan.log, |_| {})
}

/// Starts the log and runs the process; `ready` is called when every listener accepts.
pub(super) fn serve(
    source: Source,
    log: &plan::Log,
    ready: impl FnOnce(&Handle),
) -> Result<(), Failure> {
    let log = log::start(&log_options(log)).map_err(Failure::run)?;
    let options = Options {
        log: Some(log.handle()),
        log_dropped: Some(log.dropped()),
        ..Options::new(source)
    };
    // What was left at a hard stop is in the log; it was asked for, so it is no failure.
    control::run(options, ready).map(drop).map_err(not_started)
}

fn log_options(log: &plan::Log) -> log::Options<'_> {
    log::Options {
        filter: &log.filter,
        format: match log.format {
            plan::LogFormat::Auto => log::Format::Auto,
            plan::LogFormat::Text => log::Format::Text,
            plan::LogFormat::Json => log::Format::Json,
        },
        access: log.access,
        queue_max: log.queue_max,
    }
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(report) => Failure::Config(report + "\n"),
        StartError::Build(_) => Failure::Config(format!("error: {error}\n")),
        StartError::Listeners(_) | StartError::System(_) => Failure::run(error),
    }
}
