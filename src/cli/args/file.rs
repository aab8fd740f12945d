//! Which configuration is meant.

use std::path::PathBuf;

use clap::Args;

const CONFIG_SEARCH: &str = "\
The configuration; the first of `./tidegate.toml`, `./config/tidegate.toml` and \
`/etc/tidegate/tidegate.toml` that exists when not given";

/// The configuration's file.
#[derive(Args, Debug)]
pub(in crate::cli) struct ConfigFile {
    #[arg(long, short, value_name = "FILE", env = "TIDEGATE_CONFIG", help = CONFIG_SEARCH)]
    pub(in crate::cli) config: Option<PathBuf>,
}
