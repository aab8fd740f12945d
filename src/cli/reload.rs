//! `tidegate reload`: an order to the running proxy, over the operator's unix socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Reload;
use super::exit::Failure;
use super::{ask, config_file};

/// How long a reload may take: reading thousands of certificates is not done in a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the proxy reload, and prints on standard output what came of it.
pub(super) fn reload(asked: &Reload) -> Result<(), Failure> {
    let socket = socket(asked)?;
    let target = format!("/reload?force={}&dry_run={}", asked.force, asked.dry_run);
    let (status, told) = post(&socket, &target).map_err(|error| {
        let socket = socket.display();
        Failure::run(format!("no answer from the operator's socket `{socket}`: {error}"))
    })?;
    match status {
        200 => {
            println!("{told}");
            Ok(())
        }
        409 => Err(Failure::No(told)),
        // The report speaks for itself.
        422 => Err(Failure::Config(format!("{told}\n"))),
        _ => Err(Failure::run(told)),
    }
}

fn post(socket: &Path, target: &str) -> io::Result<(u16, String)> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    ask::ask(stream, "POST", target, "localhost")
}

/// The socket named, or else the configuration's; one that would be refused is reported right here.
fn socket(asked: &Reload) -> Result<PathBuf, Failure> {
    if let Some(socket) = &asked.socket {
        return Ok(socket.clone());
    }
    let file = config_file::find(&asked.file)?;
    match config_file::load(&file)?.plan.control.as_ref() {
        Some(control) => Ok(control.socket.clone()),
        None => Err(Failure::Usage(format!(
            "`{}` has no `[control]` socket; add one, name one with `--socket`, or send SIGHUP",
            file.display()
        ))),
    }
}
