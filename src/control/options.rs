//! What a supervisor is started with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::development;
use super::upgrade::{Predecessor, Program};
use crate::admin::ReloadRefused;
use crate::base::lock::lock;
use crate::config::plan::Plan;
use crate::config::{self, Refused};
use crate::listen::Inherited;
use crate::observe::log;
use crate::report::{Diagnostic, Findings};
use crate::tls::{DevelopmentAuthority, Keeping};

/// A function that makes configurations; its error says why there is none.
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

    /// What `make` gives, which each reload asks anew; its error says why there is none.
    pub fn made(make: impl FnMut() -> Result<Arc<Plan>, String> + Send + 'static) -> ConfigSource {
        ConfigSource::Made(Arc::new(Mutex::new(make)))
    }

    /// Whether this is the file it is read from, by whatever name.
    pub(super) fn is_file(&self, named: &Path) -> bool {
        let ConfigSource::File(own) = self else { return false };
        let whole = |path: &Path| path.canonicalize().ok();
        own == named || whole(own).is_some_and(|own| whole(named) == Some(own))
    }

    /// A file, named from the working directory where the source's own is: what both name beside
    /// them has the same name then, and is no change.
    pub(super) fn alike(&self, named: &Path) -> PathBuf {
        let is_relative = matches!(self, ConfigSource::File(own) if own.is_relative());
        let directory = if is_relative { std::env::current_dir().ok() } else { None };
        let relative = directory.as_ref().and_then(|here| named.strip_prefix(here).ok());
        relative.unwrap_or(named).to_owned()
    }

    /// Reads the configuration: the plan and its warnings, or what was refused. What it wants made
    /// is kept or not.
    pub(super) fn load(&self, authority: &DevelopmentAuthority, keeping: Keeping) -> ReadConfig {
        let (mut plan, warnings) = self.read()?;
        match development::add_certificates(&mut plan, authority, keeping) {
            Ok(()) => Ok((plan, warnings)),
            Err(error) => {
                Err(RefusedSource::of(Diagnostic::error("certificate", error.to_string())))
            }
        }
    }

    fn read(&self) -> ReadConfig {
        match self {
            ConfigSource::Made(make) => match lock(make)() {
                Ok(plan) => Ok((plan, Findings::default())),
                Err(error) => Err(RefusedSource::of(Diagnostic::error("made", error))),
            },
            ConfigSource::File(path) => match config::load(path, &config::process_environment) {
                Ok(config::Loaded { plan, warnings: report, sources, .. }) => {
                    Ok((plan, Findings { report, sources }))
                }
                Err(Refused { report, sources, files }) => {
                    let why = ReloadRefused::Config(Findings { report, sources });
                    Err(RefusedSource { why, files })
                }
            },
        }
    }
}

/// What came of reading a configuration: the plan and its warnings.
pub(super) type ReadConfig = Result<(Arc<Plan>, Findings), RefusedSource>;

/// A configuration that could not be read.
pub(super) struct RefusedSource {
    /// Why; as a rule all that is wrong with it.
    pub(super) why: ReloadRefused,
    /// The files that it named, as far as it could be read.
    pub(super) files: Vec<PathBuf>,
}

impl RefusedSource {
    /// One whose text is not known.
    pub(super) fn of(finding: Diagnostic) -> RefusedSource {
        RefusedSource { why: ReloadRefused::Config(Findings::of(finding)), files: Vec::new() }
    }
}

/// What a supervisor is started with.
pub struct Options {
    /// Where configurations come from.
    pub source: ConfigSource,
    /// Who makes certificates for development.
    pub development: Arc<DevelopmentAuthority>,
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
            development: Arc::default(),
            inherited: Vec::new(),
            predecessor: None,
            program: None,
            log: None,
            log_dropped: None,
        }
    }
}
