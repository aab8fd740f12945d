//! Where the running proxy is reached: the operator's socket, and who named it.

use std::env;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::args::operator::{ProxyTarget, SOCKET_VARIABLE};
use super::config_file;
use super::exit::Failure;
use crate::config;

/// Where the socket is when neither a flag, nor the environment, nor a configuration says it: as
/// `[control]` has it by default.
const DEFAULT: &str = "/run/tidegate/control.sock";

/// How long an answer may take: reading thousands of certificates is not done in a moment, and an
/// upgrade may take `upgrade.timeout`.
const PATIENCE: Duration = Duration::from_secs(120);

/// The operator's socket.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct OperatorSocket {
    path: PathBuf,
    named_by: NamedBy,
}

/// Who named it.
#[derive(PartialEq, Eq, Debug)]
enum NamedBy {
    Flag,
    Environment,
    File(PathBuf),
    Nobody,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedBy::Flag => f.write_str("`--socket` names it"),
            NamedBy::Environment => write!(f, "the variable `{SOCKET_VARIABLE}` names it"),
            NamedBy::File(file) => write!(f, "`control.socket` of `{}` names it", file.display()),
            NamedBy::Nobody => {
                f.write_str("it is the default, for there is no configuration that names another")
            }
        }
    }
}

impl OperatorSocket {
    /// The one that is named: by the flag, else by the environment, else by the configuration, of
    /// which nothing but `[control]` need be right; else the default.
    pub(super) fn find(target: &ProxyTarget) -> Result<OperatorSocket, Failure> {
        let variable = env::var_os(SOCKET_VARIABLE).filter(|value| !value.is_empty());
        let named = |path: PathBuf, named_by| Ok(OperatorSocket { path, named_by });
        if let Some(path) = &target.socket {
            return named(path.clone(), NamedBy::Flag);
        }
        if let Some(path) = variable {
            return named(path.into(), NamedBy::Environment);
        }
        let Ok(file) = config_file::find(&target.file) else {
            return named(DEFAULT.into(), NamedBy::Nobody);
        };
        let found = config::control_socket(&file, &config::process_environment);
        match found.map_err(config_file::refused)? {
            Some(path) => named(path, NamedBy::File(file)),
            None => Err(Failure::Usage(format!(
                "`{}` has no `[control]` socket; add the table `[control]` and reload by SIGHUP, \
                 or name a socket with `--socket` or `{SOCKET_VARIABLE}`",
                file.display()
            ))),
        }
    }

    /// Connects to it.
    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Why there is no answer: which socket, who named it, and what to do.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                "\nhint: a running tidegate makes it when its configuration has the table \
                 `[control]`; `--socket PATH` names another"
            }
            io::ErrorKind::ConnectionRefused => {
                "\nhint: the tidegate that made it has ended; `--socket PATH` names another"
            }
            io::ErrorKind::PermissionDenied => {
                "\nhint: it is open to the user that tidegate runs as, and to root; \
                 `control.mode` opens it to a group"
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "\nhint: tidegate is there and does not answer; its log may say why"
            }
            _ => "",
        };
        let (socket, named_by) = (self.path.display(), &self.named_by);
        Failure::run(format!(
            "no answer from the operator's socket `{socket}`: {error}\n{named_by}{hint}"
        ))
    }
}
