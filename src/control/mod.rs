//! The process: supervisor, reload, file watch, stop, upgrade.
//!
//! **In:** signals, commands, files that changed. **Out:** snapshots put in force, orders to the
//! drain engine, the process that takes over. **Never here:** HTTP; a byte of a session; global
//! state (signals and the service manager apart), so that one test process runs many supervisors.
//!
//! A supervisor has a thread of its own. Whatever changes the process, be it a signal, a request
//! to the operator's socket or a file, becomes a command that this thread takes one at a time.

#[cfg(feature = "acme")]
mod acme;
mod activation;
mod core;
mod development;
mod discovery;
mod finding_log;
mod handle;
mod handler;
mod manager;
mod opening;
mod options;
mod pool_members;
mod probes;
mod process;
mod reading;
mod reload;
mod run;
mod scrape;
mod session_changes;
mod start;
mod start_error;
mod stop;
mod stop_requests;
mod supervisor;
mod traces;
mod upgrade;
mod watch;

pub use activation::inherited;
pub use handle::{COMMANDS_WAITING_MAX, Handle};
pub use options::{ConfigSource, Options};
pub use process::{HURRIED_STOP_GRACE, STOP_GRACE, run};
pub use reading::READ_TIMEOUT;
pub use start_error::StartError;
pub use supervisor::Supervisor;
pub use upgrade::{Herald, Predecessor, Program};

use crate::config::plan;
use crate::observe::log;

/// What the plan asks of the process's log.
pub fn log_options(plan: &plan::Log) -> log::LogOptions<'_> {
    log::LogOptions {
        filter: &plan.filter,
        format: match plan.format {
            plan::LogFormat::Auto => log::LineFormat::Auto,
            plan::LogFormat::Text => log::LineFormat::Text,
            plan::LogFormat::Json => log::LineFormat::Json,
        },
        access: plan.access,
        queue_bytes_max: plan.queue_bytes_max,
    }
}

/// How often the plan asks each session for a line of the log.
fn session_line_every(plan: &plan::Log) -> Option<std::time::Duration> {
    plan.session_every.filter(|_| plan.access)
}

#[cfg(test)]
mod tests;
