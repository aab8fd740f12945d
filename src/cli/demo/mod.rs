//! `tidegate demo`: the proxy, its backends, a byte tunnel beside it and a page that shows the
//! difference, in one process, without a file.

mod backend;
mod page;
mod site;
mod socket;
mod tunnel;

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use super::args::Demo;
use super::config_file;
use super::exit::Failure;
use super::output;
use super::run;
use crate::base::worker::Workers;
use crate::config;
use crate::config::plan::{Address, DevelopmentCertificate, Plan};
use crate::control::{ConfigSource, Options};
use crate::tls::{DevelopmentAuthority, Keeping, MadeCertificate};
use backend::Restarts;
use site::Behind;

/// The backends' names, which each of them knows itself by.
const BACKENDS: [&str; 2] = ["one", "two"];

/// Runs the demo until it is told to stop.
pub(super) fn demo(asked: &Demo) -> Result<(), Failure> {
    site::try_ports(asked)?;
    let files = certificate(&asked.certs)?;
    let workers = Workers::start(1).map_err(Failure::run)?;
    let (behind, restarts) = match &asked.backend {
        Some(own) => (Behind::of(own), None),
        None => {
            let (backends, restarts) = open_backends(&workers).map_err(Failure::run)?;
            (Behind::demo(&backends), Some(restarts))
        }
    };
    let listener = TcpListener::bind((asked.address, asked.tunnel_port)).map_err(|error| {
        let port = asked.tunnel_port;
        Failure::Run(format!("cannot listen on port {port} for the byte tunnel: {error}"))
    })?;
    let tunnel = behind.dialled().is_some().then(|| listener.local_addr()).transpose();
    let tunnel = tunnel.map_err(Failure::run)?;
    let facts = site::facts(asked, &behind, tunnel);
    let page = on_worker(&workers, move || page::open(&facts, restarts)).map_err(Failure::run)?;
    let toml = site::toml(asked, &files, page, &behind);
    let loaded = config::load_text(Path::new(site::FILE), &toml, &config::process_environment)
        .map_err(config_file::refused)?;
    if let Some(to) = behind.dialled() {
        carry(&workers, listener, &loaded.plan, to).map_err(Failure::run)?;
    }
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
        // It serves all the same where nobody reads this.
        let _ =
            output::print(&site::welcome(asked, &files, &behind, bound("https"), bound("http")));
        eprintln!("\nCtrl-C stops it.");
    })?;
    // The backends were there to the end.
    drop(workers);
    Ok(())
}

/// The certificate for development in this directory, made there where it is missing.
fn certificate(directory: &Path) -> Result<MadeCertificate, Failure> {
    let not_made = |error: &dyn Display| {
        let dir = directory.display();
        Failure::Run(format!(
            "cannot make certificates in `{dir}`: {error}; take another place with `--certs DIR`"
        ))
    };
    let names = ["localhost", "127.0.0.1", "::1"].map(Arc::from).into();
    let wanted = DevelopmentCertificate { directory: directory.to_owned(), names };
    let made = DevelopmentAuthority::default().certificate(&wanted, Keeping::Kept);
    let made = made.map_err(|error| not_made(&error))?;
    match &made.not_kept {
        Some(error) => Err(not_made(error)),
        None => Ok(made),
    }
}

/// Opens all backends on the one worker given; gives their addresses and what kills them.
fn open_backends(workers: &Workers) -> io::Result<(Vec<SocketAddr>, Restarts)> {
    let restarts = Restarts::new();
    let of = restarts.clone();
    let open = move || BACKENDS.iter().map(|name| backend::open(name, &of)).collect();
    Ok((on_worker(workers, open)?, restarts))
}

/// Opens the byte tunnel on the one worker given, with the certificate of the plan's TLS listener.
fn carry(workers: &Workers, listener: TcpListener, plan: &Plan, to: String) -> io::Result<()> {
    let tls = plan.listeners.iter().find_map(|listener| listener.tls.clone());
    let tls = tls.ok_or_else(|| io::Error::other("no listener speaks TLS"))?;
    on_worker(workers, move || tunnel::open(listener, &tls, to))
}

/// Opens something on the one worker given, where its tasks may be spawned.
fn on_worker<T: Send + 'static>(
    workers: &Workers,
    open: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (answer, answered) = std::sync::mpsc::channel();
    // The one who asked waits below.
    let job = move || drop(answer.send(open()));
    workers.queues().try_run_on(0, job).map_err(|_| io::Error::other("the worker is gone"))?;
    answered.recv().map_err(|_| io::Error::other("the worker is gone"))?
}

#[cfg(test)]
mod tests;
