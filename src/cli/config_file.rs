//! Which configuration is meant, and its report on a terminal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::args::ConfigFile;
use super::exit::Failure;
use crate::config::{self, Loaded, Refused};
use crate::report::{Colour, Report, Sources};

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 3] = ["tidegate.toml", "config/tidegate.toml", "/etc/tidegate/tidegate.toml"];

/// The path of the configuration meant.
pub(super) fn find(named: &ConfigFile) -> Result<PathBuf, Failure> {
    if let Some(path) = &named.config {
        return Ok(path.clone());
    }
    let found = PLACES.iter().map(Path::new).find(|place| place.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        let places = PLACES.map(|place| format!("`{place}`")).join(", ");
        Failure::Usage(format!(
            "no configuration is there: {places}\nhint: name one with `--config FILE`; `tidegate \
             init -o tidegate.toml` writes one to begin with"
        ))
    })
}

/// Reads it, with its warnings.
pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    config::load(path, &config::process_environment).map_err(refused)
}

/// A refused configuration as a command's failure, its report drawn for standard error.
pub(super) fn refused(refused: Refused) -> Failure {
    Failure::Config(draw(&refused.report, &refused.sources, std::io::stderr().is_terminal()))
}

/// A report as text, coloured on a terminal unless `NO_COLOR` is set.
pub(super) fn draw(report: &Report, sources: &Sources, is_terminal: bool) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if is_terminal && !plain { Colour::Ansi } else { Colour::Plain };
    report.text(sources, colour)
}
