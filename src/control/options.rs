//! What a supervisor is started with.

use std::path::PathBuf;
use std::sync::Arc;

use super::upgrade::{Predecessor, Program};
use crate::config::plan::Plan;
use crate::config::{self, Refused};
use crate::listen::Inherited;
use crate::observe::log;
use crate::report::Colour;

/// Where configurations come from.
pub enum ConfigSource {
    /// A file, and all it names; read anew by each reload.
    File(PathBuf),
    /// A function, asked anew by each reload; its error is the report.
    Made(Box<dyn FnMut() -> Result<Arc<Plan>, String> + Send>),
}

impl ConfigSource {
    /// Always the same plan.
    pub fn plan(plan: Plan) -> ConfigSource {
        let plan = Arc::new(plan);
        ConfigSource::Made(Box::new(move || Ok(Arc::clone(&plan))))
    }

    /// Reads the configuration: the plan and its warnings as text, or the report as text.
    pub(super) fn load(&mut self) -> Result<(Arc<Plan>, String), String> {
        match self {
            ConfigSource::Made(make) => Ok((make()?, String::new())),
            ConfigSource::File(path) => match config::load(path, &config::process_environment) {
                Ok(loaded) => {
                    Ok((loaded.plan, loaded.warnings.text(&loaded.sources, Colour::Plain)))
                }
                Err(Refused { report, sources }) => Err(report.text(&sources, Colour::Plain)),
            },
        }
    }

    /// The file itself, which is watched even when no plan could be made of it.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        match self {
            ConfigSource::File(path) => Some(path),
            ConfigSource::Made(_) => None,
        }
    }
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
