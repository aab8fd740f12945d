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
pub enum Source {
    /// A file, and all it names; read anew by each reload.
    File(PathBuf),
    /// A function, asked anew by each reload; its error is the report.
    Made(Box<dyn FnMut() -> Result<Arc<Plan>, String> + Send>),
}

impl Source {
    /// Always the same plan.
    pub fn plan(plan: Plan) -> Source {
        let plan = Arc::new(plan);
        Source::Made(Box::new(move || Ok(Arc::clone(&plan))))
    }

    /// Reads the configuration: the plan and its warnings as text, or the report as text.
    pub(super) fn load(&mut self) -> Result<(Arc<Plan>, String), String> {
        match self {
            Source::Made(make) => Ok((make()?, String::new())),
            Source::File(path) => match config::load(path, &config::process_environment) {
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
            Source::File(path) => Some(path),
            Source::Made(_) => None,
        }
    }
}

/// What a supervisor is started with.
pub struct Options {
    /// Where configurations come from.
    pub source: Source,
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
    pub fn new(source: Source) -> Options {
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
