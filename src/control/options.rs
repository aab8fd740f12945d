//! What a supervisor is started with.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::handle::lock;
use super::upgrade::{Predecessor, Program};
use crate::config::plan::Plan;
use crate::config::{self, Refused};
use crate::listen::Inherited;
use crate::observe::log;
use crate::report::Colour;

/// A function that makes configurations; its error is the report.
type MakeConfig = dyn FnMut() -> Result<Arc<Plan>, String> + Send;

/// Where configurations come from; cheap to clone.
#[derive(Clone)]
pub enum ConfigSource {
    /// A file, and all it names; read anew by each reload.
    File(PathBuf),
    /// A function, asked anew by each reload.
    Made(Arc<Mutex<MakeConfig>>),
}

/// Where it is.
impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigSource::File(path) => path.display().fmt(f),
            ConfigSource::Made(_) => f.write_str("built in"),
        }
    }
}

impl ConfigSource {
    /// Always the same plan.
    pub fn plan(plan: Plan) -> ConfigSource {
        let plan = Arc::new(plan);
        ConfigSource::made(move || Ok(Arc::clone(&plan)))
    }

    /// What `make` gives, which each reload asks anew; its error is the report.
    pub fn made(make: impl FnMut() -> Result<Arc<Plan>, String> + Send + 'static) -> ConfigSource {
        ConfigSource::Made(Arc::new(Mutex::new(make)))
    }

    /// Reads the configuration: the plan and its warnings as text, or what was refused.
    pub(super) fn load(&self) -> Result<(Arc<Plan>, String), RefusedSource> {
        match self {
            ConfigSource::Made(make) => match lock(make)() {
                Ok(plan) => Ok((plan, String::new())),
                Err(report) => Err(RefusedSource { report, files: Vec::new() }),
            },
            ConfigSource::File(path) => match config::load(path, &config::process_environment) {
                Ok(loaded) => {
                    Ok((loaded.plan, loaded.warnings.text(&loaded.sources, Colour::Plain)))
                }
                Err(Refused { report, sources, files }) => {
                    Err(RefusedSource { report: report.text(&sources, Colour::Plain), files })
                }
            },
        }
    }
}

/// A configuration that could not be read.
pub(super) struct RefusedSource {
    /// All that is wrong with it.
    pub(super) report: String,
    /// The files that it named, as far as it could be read.
    pub(super) files: Vec<PathBuf>,
}

/// What a supervisor is started with.
pub struct Options {
    /// Where configurations come from.
    pub source: ConfigSource,
    /// Listening sockets that a service manager opened.
    pub inherited: Vec<Inherited>,
    /// The process that serves until this one is ready.
    pub predecessor: Option<Predecessor>,
    /// What an upgrade starts; without it there is none.
    pub program: Option<Program>,
    /// The process's log, whose filter a reload changes.
    pub log: Option<log::LogHandle>,
    /// The count of lines the log drops.
    pub log_dropped: Option<log::Dropped>,
}

impl Options {
    /// A supervisor for this source, with nothing inherited and no log of its own.
    pub fn new(source: ConfigSource) -> Options {
        Options {
            source,
            inherited: Vec::new(),
            predecessor: None,
            program: None,
            log: None,
            log_dropped: None,
        }
    }
}
