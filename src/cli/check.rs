//! `tidegate check`: all that is wrong with a configuration, and which route takes a URL.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

mod explain;
mod member_files;
#[cfg(feature = "acme")]
mod ordered;
mod traps;

use super::args::{Check, Format};
use super::config_file;
use super::exit::Failure;
use super::output;
use crate::base::clock;
use crate::config::{self, Loaded, NamedFiles, Refused};
use crate::report::{Report, Sources};
use crate::router::Router;

/// What stands for standard input where a file is named.
const STANDARD_INPUT: &str = "-";

/// Prints the findings, or with `--explain` the answer, on standard output.
pub(super) fn check(asked: &Check) -> Result<(), Failure> {
    let named_files = if asked.no_files { NamedFiles::Skip } else { NamedFiles::Read };
    let (name, outcome) = load(asked, named_files)?;
    let (loaded, findings, sources) = match outcome {
        Ok(loaded) => {
            let router = Router::build(&loaded.plan.routes);
            let findings = all_findings(&loaded, &router, named_files);
            let sources = loaded.sources.clone();
            (Some((loaded, router)), findings, sources)
        }
        Err(refused) => (None, refused.report, refused.sources),
    };
    let is_refused = loaded.is_none() || findings.errors() > 0;
    match (loaded, &asked.explain) {
        (Some((loaded, router)), Some(text)) if !is_refused => {
            let url = explain::url_of(text, &loaded.plan.listeners)?;
            explain::explain(asked, &url, &router, &loaded)
        }
        _ => {
            tell(asked.format(), &findings, &sources)?;
            if is_refused {
                return Err(Failure::Said(Failure::CONFIG));
            }
            eprintln!("{name} can be taken");
            Ok(())
        }
    }
}

/// What the configuration is called, and what came of reading it.
fn load(
    asked: &Check,
    named_files: NamedFiles,
) -> Result<(String, Result<Loaded, Refused>), Failure> {
    let environment = &config::process_environment;
    let file = match &asked.named {
        Some(named) => named.clone(),
        None => config_file::find(&asked.file)?,
    };
    if file == Path::new(STANDARD_INPUT) {
        // Files that it names are relative to the working directory.
        let name = "(standard input)";
        let stdin = std::io::stdin().lock();
        let outcome = config::load_from(Path::new(name), stdin, environment, named_files);
        return Ok((name.to_owned(), outcome));
    }
    let outcome = config::load_file(&file, environment, named_files);
    Ok((file.display().to_string(), outcome))
}

/// The warnings of a configuration, and what else is to be said of it here and now.
fn all_findings(loaded: &Loaded, router: &Router, named_files: NamedFiles) -> Report {
    let mut findings = loaded.warnings.clone();
    traps::add_unreachable(router, loaded, &mut findings);
    if named_files == NamedFiles::Read {
        let now = clock::since_1970();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        traps::add_expiries(loaded, now, &mut findings);
        #[cfg(feature = "acme")]
        ordered::add_ordered(&loaded.plan, now, &mut findings);
        traps::add_uncovered(loaded, &mut findings);
        traps::add_sockets(loaded, &mut findings);
        member_files::add_unread(&loaded.plan, &mut findings);
    }
    loaded.redact(&mut findings);
    traps::add_case(router, loaded, &mut findings);
    findings.sort();
    findings
}

/// A second since 1970 as a person reads it.
fn date(seconds: i64) -> String {
    let since = Duration::from_secs(seconds.try_into().unwrap_or(0));
    let text = httpdate::fmt_http_date(UNIX_EPOCH + since);
    text.trim_end_matches(" GMT").to_owned() + " UTC"
}

fn tell(format: Format, findings: &Report, sources: &Sources) -> Result<(), Failure> {
    output::print(&match format {
        Format::Text => config_file::draw(findings, sources, std::io::stdout().is_terminal()),
        Format::Json => findings.json(sources),
    })
}

#[cfg(test)]
mod tests;
