//! What can be typed to a running proxy.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::ConfigFile;

/// Where the running proxy is reached, and how its answer is printed.
#[derive(Args, Debug)]
pub(in crate::cli) struct Place {
    #[command(flatten)]
    pub(in crate::cli) file: ConfigFile,
    /// The operator's socket of the running proxy, in place of the configuration's
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Reload {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Take it even when more than `reload.drain_max` of the sessions would end
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Say what would happen, and let nothing happen
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Upgrade {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

/// What narrows sessions down; all that is given must be true of a session.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Which sessions")]
pub(in crate::cli) struct Filters {
    /// Those of a route, by its name, or by its path, or as `tidegate sessions` shows it
    #[arg(long, value_name = "ROUTE")]
    pub(in crate::cli) route: Option<String>,
    /// Those of a pool
    #[arg(long, value_name = "POOL")]
    pub(in crate::cli) pool: Option<String>,
    /// Those on a backend, by its address
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) backend: Option<String>,
    /// Those that came in by a listener
    #[arg(long, value_name = "LISTENER")]
    pub(in crate::cli) listener: Option<String>,
    /// Those of a client's IP address, or of a network such as `10.0.0.0/8`
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) client: Option<String>,
    /// Those that are older, such as `1h`
    #[arg(long, value_name = "AGE")]
    pub(in crate::cli) older_than: Option<String>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Sessions {
    #[command(flatten)]
    pub(in crate::cli) who: Filters,
    /// List at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(in crate::cli) limit: usize,
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

/// How fast sessions are told, and whether it is waited for.
#[derive(Args, Debug)]
#[command(next_help_heading = "How")]
pub(in crate::cli) struct Pace {
    /// Spread them over this time at least
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) window: Option<String>,
    /// Sessions per second at most, such as `100/s`; more sessions lengthen the window
    #[arg(long, value_name = "RATE")]
    pub(in crate::cli) rate: Option<String>,
    /// Say how many sessions it would touch, and touch none
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Wait until the last one has gone, and say what became of them
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) wait: bool,
}

/// How those are closed that are let go.
#[derive(Args, Debug)]
#[command(next_help_heading = "How")]
pub(in crate::cli) struct Closing {
    /// Cut what is left after this time; 30 s after the window when not given
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) deadline: Option<String>,
    /// The close code for the clients, such as `4000`
    #[arg(long, value_name = "CODE")]
    pub(in crate::cli) code: Option<u16>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["route", "pool", "backend", "listener", "all"]))]
pub(in crate::cli) struct Drain {
    /// The sessions of a route; new ones may come
    #[arg(long, value_name = "ROUTE", conflicts_with_all = ["pool", "backend", "listener", "all"])]
    pub(in crate::cli) route: Option<String>,
    /// The sessions of a pool; new ones may come. With `--backend`: of this pool only
    #[arg(long, value_name = "POOL", conflicts_with_all = ["listener", "all"])]
    pub(in crate::cli) pool: Option<String>,
    /// The sessions of a backend, by its address; it gets no new ones until it is enabled. On
    /// routes with `hold` they go on with another backend, where there is one
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["listener", "all"])]
    pub(in crate::cli) backend: Option<String>,
    /// The sessions that came in by a listener; new ones may come
    #[arg(long, value_name = "LISTENER", conflicts_with = "all")]
    pub(in crate::cli) listener: Option<String>,
    /// Every session; new ones may come
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Disable even the last backend of a pool
    #[arg(long, requires = "backend")]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) closing: Closing,
    #[command(flatten)]
    pub(in crate::cli) pace: Pace,
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

const MOVE: &str = "\
Sessions of routes without `hold`, and those that no other backend has room for, are counted and
stay as they are; `tidegate drain --backend` lets go of them as well. The backend gets no new
sessions until `tidegate enable`: it would have the fewest, and fill again at once.";

#[derive(Args, Debug)]
#[command(after_help = MOVE)]
pub(in crate::cli) struct Move {
    /// The backend to leave, by its address; it gets no new sessions until it is enabled
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) from: String,
    /// Its pool, where it is in several and one is meant
    #[arg(long, value_name = "POOL")]
    pub(in crate::cli) pool: Option<String>,
    /// Only the sessions of a route
    #[arg(long, value_name = "ROUTE")]
    pub(in crate::cli) route: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) pace: Pace,
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true)
    .args(["ids", "all", "route", "pool", "backend", "listener", "client", "older_than"]))]
pub(in crate::cli) struct Kick {
    /// Sessions by their ids, as `tidegate sessions` and the log show them
    #[arg(value_name = "ID")]
    pub(in crate::cli) ids: Vec<String>,
    /// Every session
    #[arg(long)]
    pub(in crate::cli) all: bool,
    #[command(flatten)]
    pub(in crate::cli) who: Filters,
    #[command(flatten)]
    pub(in crate::cli) closing: Closing,
    #[command(flatten)]
    pub(in crate::cli) pace: Pace,
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Enable {
    /// The backend, by its address
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::cli) backend: String,
    /// Its pool, where it is in several and one is meant
    #[arg(long, value_name = "POOL")]
    pub(in crate::cli) pool: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) place: Place,
}
