//! `tidegate demo`: the proxy, two backends and a page in one process, without a file.

mod backend;
mod certificates;
mod site;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::args::Demo;
use super::config_file;
use super::exit::Failure;
use super::run;
use crate::base::worker::Workers;
use crate::config;
use crate::config::plan::Address;
use crate::control::{ConfigSource, Options};

/// The backends' names: the subprotocols they take, and what the page shows.
const BACKENDS: [&str; 2] = ["one", "two"];

/// Runs the demo until it is told to stop.
pub(super) fn demo(asked: &Demo) -> Result<(), Failure> {
    site::try_ports(asked)?;
    let files = certificates::prepare(&asked.certs).map_err(|error| {
        let dir = asked.certs.display();
        Failure::Run(format!(
            "cannot make certificates in `{dir}`: {error}; take another place with `--certs DIR`"
        ))
    })?;
    let workers = Workers::start(1).map_err(Failure::run)?;
    let backends = open_backends(&workers).map_err(Failure::run)?;
    let toml = site::toml(asked, &files, &backends);
    let loaded = config::load_text(Path::new(site::FILE), &toml, &config::process_environment)
        .map_err(config_file::refused)?;
    eprintln!("{}\n", site::about_trust(&files));
    let source = ConfigSource::made({
        let plan = Arc::clone(&loaded.plan);
        move || Ok(Arc::clone(&plan))
    });
    run::serve(Options::new(source), &loaded.plan.log, |handle| {
        let bound = |name| match handle.address(name) {
            Some(Address::Inet(address)) => address,
            _ => SocketAddr::new(asked.address, 0),
        };
        print!("{}", site::welcome(&files, bound("https"), bound("http")));
        eprintln!("\nCtrl-C stops it.");
    })?;
    // The backends were there to the end.
    drop(workers);
    Ok(())
}

/// Opens all backends on the one worker given, and gives their addresses.
fn open_backends(workers: &Workers) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = std::sync::mpsc::channel();
    let open = move || {
        let hall = backend::hall();
        let opened: io::Result<Vec<_>> =
            BACKENDS.iter().map(|name| backend::open(name, &hall)).collect();
        // The one who asked waits below.
        let _ = answer.send(opened);
    };
    workers.queues().try_run_on(0, open).map_err(|_| io::Error::other("the worker is gone"))?;
    answered.recv().map_err(|_| io::Error::other("the worker is gone"))?
}

#[cfg(test)]
mod tests;
