//! `tidegate run`: the proxy, until it is told to stop.

use std::io;

use super::args::ConfigFile;
use super::config_file;
use super::exit::Failure;
use crate::config::plan;
use crate::control::{self, ConfigSource, Handle, Herald, Options, Program, StartError};
use crate::observe::log;

/// Runs the configuration meant.
pub(super) fn run(asked: &ConfigFile) -> Result<(), Failure> {
    // Before anything else: where another process waits for this one, it hears of every failure.
    let herald = Herald::from_environment().map_err(Failure::run)?;
    begin(asked, &herald).inspect_err(|failure| {
        herald.failed(matches!(failure, Failure::Config(_)), failure.text());
    })
}

fn begin(asked: &ConfigFile, herald: &Herald) -> Result<(), Failure> {
    let system = |what| move |error: io::Error| Failure::run(format!("{what}: {error}"));
    let program = Program::this().map_err(system("this program's file is not found"))?;
    let inherited = control::inherited().map_err(system("sockets of the service manager"))?;
    let gone = system("the process that serves does not go on with the upgrade");
    let predecessor = herald.predecessor().map_err(gone)?;
    let file = config_file::find(asked)?;
    // Read before there is a log, so that a person reads the report as it was drawn.
    let loaded = config_file::load(&file)?;
    let options = Options {
        inherited,
        predecessor,
        program: Some(program),
        ..Options::new(ConfigSource::File(file))
    };
    serve(options, &loaded.plan.log, |_| {})
}

/// Starts the log and runs the process; `ready` is called when every listener accepts.
pub(super) fn serve(
    options: Options,
    log: &plan::Log,
    ready: impl FnOnce(&Handle),
) -> Result<(), Failure> {
    let log = log::start(&log_options(log)).map_err(Failure::run)?;
    let options = Options { log: Some(log.handle()), log_dropped: Some(log.dropped()), ..options };
    // What was left at a hard stop is in the log; it was asked for, so it is no failure.
    control::run(options, ready).map(drop).map_err(not_started)
}

fn log_options(log: &plan::Log) -> log::LogOptions<'_> {
    log::LogOptions {
        filter: &log.filter,
        format: match log.format {
            plan::LogFormat::Auto => log::LineFormat::Auto,
            plan::LogFormat::Text => log::LineFormat::Text,
            plan::LogFormat::Json => log::LineFormat::Json,
        },
        access: log.access,
        queue_bytes_max: log.queue_bytes_max,
    }
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(report) => Failure::Config(report + "\n"),
        StartError::Build(_) => Failure::Config(format!("error: {error}\n")),
        StartError::Listeners(_) | StartError::Predecessor(_) | StartError::System(_) => {
            Failure::run(error)
        }
    }
}
