//! Which configuration is meant.

use std::path::PathBuf;

use clap::Args;

const CONFIG_SEARCH: &str = "\
The configuration; the first of `./tidegate.toml`, `./config/tidegate.toml` and \
`/etc/tidegate/tidegate.toml` that exists when not given";

/// What `tidegate run` is told.
#[derive(Args, Debug)]
pub(in crate::cli) struct Run {
    /// The configuration, as with `--config`
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

impl Run {
    /// The file named, either way.
    pub(in crate::cli) fn file(self) -> ConfigFile {
        ConfigFile { config: self.named.or(self.file.config) }
    }
}

/// The configuration's file.
#[derive(Args, Debug)]
pub(in crate::cli) struct ConfigFile {
    #[arg(long, short, value_name = "FILE", env = "TIDEGATE_CONFIG", help = CONFIG_SEARCH)]
    pub(in crate::cli) config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Arguments, Command};

    #[test]
    fn run_takes_its_file_with_and_without_the_option() {
        let file = |words: &[&str]| {
            let words = [&["tidegate", "run"], words].concat();
            match Arguments::try_parse_from(words).unwrap().command {
                Command::Run(run) => run.file().config.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        for words in [&["a.toml"][..], &["--config", "a.toml"], &["-c", "a.toml"]] {
            assert_eq!(file(words).to_str(), Some("a.toml"), "{words:?}");
        }
    }
}
