//! What can be typed to a running proxy: how it is reached, beside each command's own fields.

use std::path::PathBuf;

use clap::Args;

use super::file::ConfigFile;

/// The variable that names the operator's socket.
pub(in crate::cli) const SOCKET_VARIABLE: &str = "TIDEGATE_CONTROL";

const SOCKET_SEARCH: &str = "\
The operator's socket of the running proxy; else the environment's `TIDEGATE_CONTROL`, else \
`[control]` of the configuration, of which nothing else is read";

/// Where the running proxy is reached, and how its answer is printed.
#[derive(Args, Debug)]
#[command(next_help_heading = "The running proxy")]
pub(in crate::cli) struct ProxyTarget {
    #[command(flatten)]
    pub(in crate::cli) file: ConfigFile,
    #[arg(long, value_name = "PATH", help = SOCKET_SEARCH)]
    pub(in crate::cli) socket: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A command to the running proxy.
#[derive(Args, Debug)]
pub(in crate::cli) struct ToProxy<R: Args> {
    #[command(flatten)]
    pub(in crate::cli) request: R,
    #[command(flatten)]
    pub(in crate::cli) target: ProxyTarget,
}
