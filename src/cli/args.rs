//! What can be typed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

mod examples;
mod file;
mod init;
pub(super) mod operator;
mod version;

pub(super) use file::{ConfigFile, Run};
pub(super) use init::Init;
pub(super) use version::LONG_VERSION;

use operator::ToProxy;

use crate::admin::{
    DrainRequest, EnableRequest, KickRequest, MoveRequest, PushCommand, ReloadRequest,
    SessionsRequest, StatusRequest, TailRequest, TopRequest, UpgradeRequest,
};

/// The program's name.
pub(super) const NAME: &str = "tidegate";

/// Columns that help takes at most, however wide the terminal is.
const HELP_COLUMNS_MAX: usize = 100;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while running: a port in use, a file that cannot be written,
     no answer from the running proxy, a new process that fails
  2  the command line is wrong
  3  the configuration is refused; nothing was changed
  4  the answer is no: a reload that would end too many sessions, a URL that
     no route takes, a backend that is not there, an upgrade that is not tried

Data goes to standard output, remarks and messages to standard error. Each
command has a page of its own: `tidegate help COMMAND`.";

const RELOAD_EXIT_CODES: &str = "\
Exit codes:
  0  the new configuration is in force, or with --dry-run could be
  1  the running proxy gives no answer, or stops
  2  the command line is wrong
  3  refused: the configuration is wrong, or an address cannot be listened on
  4  refused: more sessions would end than `reload.drain_max` allows (see
     --force), the file named is not the one the running proxy reads (see
     --dry-run), or another process has taken over

All but 0 leave everything as it was.";

const DRAIN_USAGE: &str = "\
tidegate drain --backend ADDRESS [--pool POOL] [OPTIONS]
       tidegate drain --route ROUTE|--pool POOL|--listener NAME|--all|
                      --label NAME=VALUE [OPTIONS]
       tidegate drain --cancel NUMBER";

const KICK_USAGE: &str = "\
tidegate kick [OPTIONS] ID…
       tidegate kick [OPTIONS] --route ROUTE|--pool POOL|--backend ADDRESS|
                     --listener NAME|--client ADDRESS|--older-than AGE|
                     --label NAME=VALUE|--all";

const TAIL_USAGE: &str = "\
tidegate tail [OPTIONS] ID…|--session ID
       tidegate tail [OPTIONS] --label NAME=VALUE|--route ROUTE|--pool POOL|
                     --backend ADDRESS|--listener NAME|--client ADDRESS|--all";

const TAIL_AFTER_HELP: &str = "\
One line a frame, in UTC, until Ctrl-C, or until the last session that was named
has ended; sessions that open later are shown too. FIN is set on the last frame
of a message, RSV1 on the first of a compressed one; the last columns are bytes of
payload, and the time since the frame before it in its session. Frames of
tidegate's own are from `tidegate`: pings, Closes, what is pushed. Where more
passes than can be shown, how much is said. `--json` prints one object a line.";

const PUSH_USAGE: &str = "\
tidegate push [OPTIONS] --text TEXT|--file FILE ID…
       tidegate push [OPTIONS] --text TEXT|--file FILE
                     --label NAME=VALUE|--route ROUTE|--all --yes";

const TOP_AFTER_HELP: &str = "\
On a terminal: `q` or Ctrl-C ends it, `r`, `m` and `b` sort the busiest sessions
by bytes in a second, messages in a second and all bytes, `/` shows only rows in
which a text stands, Escape all of them again. In a pipe it prints a line each
time, or with --json an object.";

/// A WebSocket-aware, TLS-terminating reverse proxy: one binary, one TOML file.
#[derive(Parser, Debug)]
#[command(name = NAME, version, long_version = LONG_VERSION.as_str())]
#[command(after_help = EXIT_CODES, max_term_width = HELP_COLUMNS_MAX)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// What was typed. `--help` is answered here, and a wrong command line ends with 2.
    pub(super) fn typed() -> Arguments {
        let matches = command().get_matches();
        Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command line's declaration, with the examples of each command.
pub(super) fn command() -> clap::Command {
    Arguments::command().mut_subcommands(|command| {
        let after = [
            examples::of(command.get_name()),
            command.get_after_help().map(|after| after.to_string()),
        ];
        let after: Vec<String> = after.into_iter().flatten().collect();
        command.after_help(after.join("\n\n"))
    })
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run the proxy until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR2 upgrades
    Run(Run),
    /// Print a commented configuration to begin with
    Init(Init),
    /// Report all that is wrong with a configuration, or which route takes a URL
    Check(Check),
    /// Reload the running proxy's configuration, or show what that would change
    #[command(after_help = RELOAD_EXIT_CODES)]
    Reload(ToProxy<ReloadRequest>),
    /// Show what runs: pools and backends, drains and how far they are, older processes
    Status(ToProxy<StatusRequest>),
    /// List the running proxy's sessions
    Sessions(ToProxy<SessionsRequest>),
    /// Show what passes in the running proxy, live: rates, routes, backends, the busiest sessions
    Top(Top),
    /// Show the frames that pass in sessions, live: direction, opcode, length, time between
    #[command(override_usage = TAIL_USAGE)]
    Tail(Tail),
    /// Close the sessions of a route, pool, backend or listener, spread over time
    #[command(override_usage = DRAIN_USAGE)]
    Drain(ToProxy<DrainRequest>),
    /// Move a backend's sessions to others, on routes with `hold`; clients do not notice
    Move(ToProxy<MoveRequest>),
    /// Give a backend new sessions again after `drain` or `move`
    Enable(ToProxy<EnableRequest>),
    /// End single sessions at once (1008, after which clients do not come back)
    #[command(override_usage = KICK_USAGE)]
    Kick(ToProxy<KickRequest>),
    /// Send sessions a message, on routes with `push`; their backends do not notice
    #[command(override_usage = PUSH_USAGE)]
    Push(ToProxy<PushCommand>),
    /// Hand the running proxy over to the program's file as it is now
    Upgrade(ToProxy<UpgradeRequest>),
    /// Show tidegate at work: one process, no file, a page with a WebSocket
    Demo(Demo),
    /// Print the reference of the configuration
    Reference(Reference),
    /// Print what the routes with `api` are asked and answer, as an OpenAPI document
    Openapi,
    /// Print completions of this command line for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Manual),
    /// Print the version, the commit, the features, the allocator and the TLS library
    Version,
    /// Ask a running proxy whether it is healthy (for containers' health checks)
    Health(Health),
}

#[derive(Args, Debug)]
#[command(after_help = TOP_AFTER_HELP)]
pub(super) struct Top {
    #[command(flatten)]
    pub(super) asked: ToProxy<TopRequest>,
    /// Print it once, with the rates of one interval, and leave
    #[arg(long, help_heading = "What is printed")]
    pub(super) once: bool,
    /// How often the proxy is asked, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, help_heading = "What is printed",
        value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
}

impl Top {
    /// How often the proxy is asked.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval)
    }
}

#[derive(Args, Debug)]
#[command(after_help = TAIL_AFTER_HELP)]
pub(super) struct Tail {
    #[command(flatten)]
    pub(super) asked: ToProxy<TailRequest>,
    /// Leave after so many frames
    #[arg(long, value_name = "COUNT", help_heading = "What is printed")]
    pub(super) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration, as with `--config`; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(super) named: Option<PathBuf>,
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print one JSON object, as `--format json` does
    #[arg(long)]
    json: bool,
    /// Look at no certificate, key, directory or socket: they may be on another machine
    #[arg(long)]
    pub(super) no_files: bool,
    /// Say which route takes this URL, and why the others do not; `/path` and `host/path` will do
    #[arg(long, value_name = "URL")]
    pub(super) explain: Option<String>,
    /// Say what the route's access rules would answer a client of this address
    #[arg(long, value_name = "ADDRESS", requires = "explain")]
    pub(super) client: Option<IpAddr>,
    /// Say what they would answer to the token in this file; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "explain")]
    pub(super) token: Option<PathBuf>,
    /// The method of the request explained
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "explain")]
    pub(super) method: http::Method,
    /// A field of the request explained, as `Name: value`; may be given again
    #[arg(long = "header", value_name = "FIELD", requires = "explain", value_parser = field)]
    pub(super) headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl Check {
    /// How the findings are printed.
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Where to listen; `0.0.0.0` lets other machines look
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) address: IpAddr,
    /// The port of `https://` and `wss://`
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    pub(super) https_port: u16,
    /// The port of `http://` and `ws://`
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(super) http_port: u16,
    /// Your own backend, put behind `wss://`: `ADDRESS`, `ws://ADDRESS/PATH` or `unix:/PATH`
    #[arg(long, value_name = "ADDRESS")]
    pub(super) backend: Option<String>,
    /// Which of your backend's sessions go on after a restart: those that it confirms, or all, for
    /// one that needs nothing to go on
    #[arg(long, value_enum, default_value_t = DemoResume::Confirmed, requires = "backend")]
    pub(super) resume: DemoResume,
    /// The port of the byte tunnel that is shown beside; 0 is any
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(super) tunnel_port: u16,
    /// Where the development certificates are, or are made
    #[arg(long, value_name = "DIR", default_value = "certs/dev")]
    pub(super) certs: PathBuf,
}

/// `hold.resume` before a visitor's own backend.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DemoResume {
    /// Those that the backend confirms
    Confirmed,
    /// All
    Always,
}

impl DemoResume {
    /// The configuration's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            DemoResume::Confirmed => "confirmed",
            DemoResume::Always => "always",
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Reference {
    /// As a page for people, or as a JSON Schema for editors
    #[arg(long, value_enum, default_value_t = ReferenceFormat::Markdown)]
    pub(super) format: ReferenceFormat,
}

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// Whose: they are printed, for the file that this shell reads
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct Manual {
    /// Write `tidegate.1` and a page for each command into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Health {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// What to ask, in place of the configuration's admin listener
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<http::Uri>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum Format {
    /// With line, caret and hint
    Text,
    /// One JSON object
    Json,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum ReferenceFormat {
    /// For people
    Markdown,
    /// For editors and programs
    Schema,
}

fn field(text: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("not the name of a field: `{name}`"))?;
    let value = value.trim().parse().map_err(|_| "not the value of a field".to_owned())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_that_can_be_typed() {
        for one in command().get_subcommands() {
            let name = one.get_name();
            let examples = examples::EXAMPLES.iter().find(|(of, _)| *of == name);
            let (_, examples) = examples.unwrap_or_else(|| panic!("`{name}` has no example"));
            for (typed, _) in *examples {
                let words = typed.split_whitespace();
                let read = Arguments::try_parse_from(words.clone());
                assert!(read.is_ok(), "`{typed}`: {}", read.unwrap_err());
                assert_eq!(words.clone().nth(1), Some(name), "`{typed}`");
            }
        }
        let named = |name: &str| command().get_subcommands().any(|one| one.get_name() == name);
        assert!(examples::EXAMPLES.iter().all(|(name, _)| named(name)));
    }

    #[test]
    fn help_fits_on_a_terminal_of_80_columns() {
        let mut program = command().term_width(80);
        program.build();
        let mut pages = vec![program.clone()];
        pages.extend(program.get_subcommands().cloned());
        let mut wide = Vec::new();
        for mut page in pages {
            let help = page.render_long_help().to_string();
            let lines = help.lines().filter(|line| line.chars().count() > 80);
            wide.extend(lines.map(|line| format!("{}: {line}", page.get_name())));
        }
        assert!(wide.is_empty(), "{}", wide.join("\n"));
    }

    #[test]
    fn a_field_is_a_name_and_a_value() {
        let (name, value) = field("X-Room: 7:1").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-room", "7:1"));
        assert!(field("X-Room").is_err() && field("bad name: 1").is_err());
    }
}
