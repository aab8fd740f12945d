//! Guides are run as they are written. What a block of `console` shows after `$` is typed, in
//! order, in a directory of the guide's own, and must print what the page says below it. A block of
//! `toml` is the configuration from there on. What happens otherwise is told by a comment that no
//! reader sees, `<!-- WORDS -->`, which the guide's scene carries out. A block below
//! `<!-- not run: REASON -->` is left aside; [`blocks`] counts the reasons.
//!
//! `TIDEGATE_BLESS=1` writes what was printed into the page instead.

mod blocks;
mod configurations;
mod links;
mod markdown;
mod scene;
mod tables;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

/// A part of a guide that does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A comment's words.
    Cue(String),
    /// A configuration.
    Toml(String),
    /// What is typed.
    Typed(String),
}

/// A page, line by line, and what is to be done at each.
pub struct Guide {
    path: PathBuf,
    lines: Vec<String>,
}

/// A guide at work: where it runs, and what stands in it for what is there.
pub struct Stage {
    pub dir: TempDir,
    /// What the page says for what is really there, such as an address.
    pub names: Vec<(String, String)>,
}

impl Guide {
    /// The page of `config/guides` with this name.
    pub fn open(name: &str) -> Guide {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/guides").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        Guide { path, lines: text.lines().map(str::to_owned).collect() }
    }

    /// Carries it out; `act` does what comments say, and configurations.
    pub async fn play(&self, stage: &mut Stage, mut act: impl AsyncFnMut(&mut Stage, Step)) {
        let (mut page, mut faults, mut aside) = (String::new(), String::new(), false);
        let mut lines = self.lines.iter().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            writeln!(page, "{line}").unwrap();
            let cue = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            if let Some(cue) = cue {
                aside = cue.starts_with(markdown::NOT_RUN);
                if !aside {
                    act(stage, Step::Cue(cue.to_owned())).await;
                }
                continue;
            }
            if !line.starts_with("```") || std::mem::take(&mut aside) {
                continue;
            }
            if line != "```console" && line != "```toml" {
                continue;
            }
            let mut block = Vec::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                block.push(line.as_str());
            }
            if line == "```toml" {
                let toml = block.iter().fold(String::new(), |text, line| text + line + "\n");
                page += &toml;
                act(stage, Step::Toml(stage.real(&toml))).await;
            } else {
                for (typed, said) in typed(&block) {
                    let printed = stage.run(&typed).await;
                    if alike(&printed) != alike(&said) {
                        let at = format!("{}:{}", self.path.display(), number + 1);
                        write!(faults, "{at}: `{typed}` prints\n{printed}and not\n{said}").unwrap();
                    }
                    write!(page, "$ {typed}\n{printed}").unwrap();
                    act(stage, Step::Typed(typed)).await;
                }
            }
            page += "```\n";
        }
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&self.path, page).unwrap();
        } else {
            assert!(faults.is_empty(), "\n{faults}(TIDEGATE_BLESS=1 writes the page anew)");
        }
    }
}

/// What is typed in a block, and what it says that is printed.
fn typed(block: &[&str]) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(typed), _) => commands.push((typed.to_owned(), String::new())),
            (None, Some((_, said))) => *said += &format!("{line}\n"),
            (None, None) => panic!("a block of `console` begins with `$ `, not with `{line}`"),
        }
    }
    commands
}

impl Stage {
    pub fn new() -> Stage {
        Stage { dir: tempfile::tempdir().unwrap(), names: Vec::new() }
    }

    /// What the page calls `shown` is really `real`.
    pub fn name(&mut self, shown: impl ToString, real: impl ToString) {
        self.names.push((shown.to_string(), real.to_string()));
    }

    /// The page's words as they are typed here.
    fn real(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    /// What was printed here as the page has it; in a table the column behind it stays where it is.
    fn shown(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (shown, real)| {
            let cell = Regex::new(&format!("{}(  +)?", regex::escape(real))).unwrap();
            let narrow = |found: &regex::Captures<'_>| match found.get(1) {
                Some(_) => format!("{shown:<0$}  ", found[0].len() - 2),
                None => shown.clone(),
            };
            cell.replace_all(&text, narrow).into_owned()
        })
    }

    /// Types a line into a shell that finds this tidegate; what it prints, as on a terminal.
    async fn run(&self, typed: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{{ {}; }} 2>&1", self.real(typed)));
        command.current_dir(self.dir.path());
        command.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
        command.env_remove("TIDEGATE_CONFIG").env_remove("TIDEGATE_CONTROL");
        // Backends and clients live on this thread.
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "`{typed}` has failed: {printed}");
        self.shown(&printed)
    }
}

/// What differs from run to run made alike: ids, processes, ports of clients, ages, the spaces of a
/// table.
fn alike(printed: &str) -> String {
    const KINDS: [(&str, &str); 11] = [
        (r"\b[0-9a-f]{12}-[0-9a-f]{16}\b", "ID"),
        (r"\b127\.0\.0\.1:[0-9]{5}\b", "CLIENT"),
        (r"\b[0-9]+(s|m[0-9]{2}s|h[0-9]{2}m|d[0-9]{2}h)\b", "AGE"),
        (r"\b(process|pid) [0-9]+", "PROCESS"),
        (r"\([0-9]+ leases, [0-9]+ tasks\)", "(LEASES)"),
        (r" +", " "),
        (r"(?m)^workers [0-9]+$", "workers N"),
        // A round trip is known once a ping was answered.
        (r"B (-|AGE|<?[0-9.]+[mµu]?s) ", "B RTT "),
        // Columns of processes: of sessions, of drains, of older processes.
        (r"(?m)^ID [0-9]+ ", "ID PID "),
        (r"(?m)^([0-9]+) [0-9]+ (drain|move) ", "$1 PID $2 "),
        (r"(?m)^[0-9]+ ([0-9]+ AGE )", "PID $1"),
    ];
    KINDS.iter().fold(printed.to_owned(), |text, (pattern, word)| {
        Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}

#[test]
fn what_differs_from_run_to_run_is_alike() {
    let one = "ID  PID\n8f3b52c49d1e-0000000000000001  4711   127.0.0.1:50112  1m05s\n";
    let other = "ID  PID\n000000000000-0000000100000100  13 127.0.0.1:40001  3s\n";
    assert_eq!(alike(one), alike(other));
    assert_eq!(alike("18B  9ms  -"), alike("18B  -    -"));
    assert_ne!(alike("chat  3"), alike("chat  4"));
}
