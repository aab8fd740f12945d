//! Every fenced block of the README, the guides and the reference is looked after: typed in its
//! guide's scene, taken by the checker, parsed, or the text of a file that tests run. One that is
//! not says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::configurations::{Taken, take};
use super::markdown::{Block, blocks, files, read};

/// Guides that are played, block by block (`scene.rs`).
const PLAYED: [&str; 2] = ["config/guides/first-file.md", "config/guides/operating.md"];

/// Why a block is not run.
const REASONS: [&str; 10] = [
    "another program's configuration",
    "builds the program",
    "needs Docker or a cluster",
    "needs a server of its own",
    "needs systemd",
    "run by tests/interop/push",
    "settings of the system",
    "shows a live view",
    "started by the test",
    "the API is asked by tests/e2e/pushing",
];

/// What became of a block.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    /// Typed, and what it printed compared.
    Typed,
    /// Its commands are ones that there are, with arguments that fit.
    Commands,
    /// A configuration that the checker takes as it is.
    File,
    /// A part of one.
    PartOfFile,
    /// Read by a parser of its kind.
    Parsed,
    /// The text of a file of the repository, which other tests run or read, or of a guide that is
    /// played.
    Quoted,
    /// Not run, for a reason.
    NotRun(String),
}

/// Text that blocks may quote.
struct Quotable(Vec<String>);

impl Quotable {
    fn new() -> Quotable {
        let endings = [".mjs", ".py", ".rs", ".yaml", ".service", ".socket"];
        let found = endings.iter().flat_map(|ending| files("config", ending));
        let played = PLAYED.map(PathBuf::from);
        Quotable(found.chain(played).map(|file| read(&file)).collect())
    }

    fn has(&self, text: &str) -> bool {
        text.len() > 20 && self.0.iter().any(|file| file.contains(text))
    }
}

fn pages() -> Vec<PathBuf> {
    let tops = ["README.md", "config/README.md"].map(PathBuf::from);
    tops.into_iter().chain(files("config/guides", ".md")).collect()
}

/// What becomes of a block, or what is wrong with it.
fn outcome(page: &Path, block: &Block, quotable: &Quotable) -> Result<Outcome, String> {
    if let Some(reason) = &block.not_run {
        if !REASONS.contains(&&**reason) {
            return Err(format!("`{reason}` is no reason that is known"));
        }
        if block.kind == "sh" {
            commands(&block.text).try_for_each(|command| understood(&command))?;
        }
        return Ok(Outcome::NotRun(reason.clone()));
    }
    match &*block.kind {
        "console" if PLAYED.iter().any(|played| page == Path::new(played)) => Ok(Outcome::Typed),
        "console" if quotable.has(&block.text) => Ok(Outcome::Quoted),
        "console" => Err("no test plays this guide".to_owned()),
        "sh" => {
            let written = block.text.lines().filter(|line| !line.trim().is_empty()).count();
            let known: Vec<String> = commands(&block.text).collect();
            if known.len() < written {
                return Err("has commands of other programs: say why it is not run".to_owned());
            }
            known.iter().try_for_each(|command| understood(command))?;
            Ok(Outcome::Commands)
        }
        "toml" => match take(&block.text)? {
            Taken::Whole => Ok(Outcome::File),
            Taken::Part => Ok(Outcome::PartOfFile),
        },
        "json" => match serde_json::from_str::<serde_json::Value>(&block.text) {
            Ok(_) => Ok(Outcome::Parsed),
            Err(error) => Err(error.to_string()),
        },
        "yaml" | "js" | "python" | "rust" if quotable.has(&block.text) => Ok(Outcome::Quoted),
        "yaml" | "js" | "python" | "rust" => Err("is not the text of a file in config".to_owned()),
        kind => Err(format!("no test knows what to do with `{kind}`")),
    }
}

/// The commands of tidegate in a block of a shell's: each line's, as far as it is tidegate's.
fn commands(block: &str) -> impl Iterator<Item = String> {
    let lines = block.replace("\\\n", " ");
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    lines.into_iter().filter_map(|line| {
        let line = line.trim_start_matches("sudo ").trim_start_matches("$ ");
        let end = [" | ", " && ", " || ", " >", " #", ";"];
        let end = end.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
        line[..end].starts_with("tidegate ").then(|| line[..end].trim().to_owned())
    })
}

/// Whether the program takes the command's arguments; it prints its help then, and does nothing.
fn understood(command: &str) -> Result<(), String> {
    let arguments = command.strip_prefix("tidegate").unwrap();
    let typed = format!("{} {arguments} --help", env!("CARGO_BIN_EXE_tidegate"));
    let output = Command::new("sh").arg("-c").arg(typed).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("`{command}`: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

#[test]
fn every_block_is_looked_after() {
    let (mut faults, mut counts) = (Vec::new(), BTreeMap::<Outcome, usize>::new());
    let quotable = Quotable::new();
    for page in pages() {
        let found = blocks(&read(&page))
            .unwrap_or_else(|line| panic!("{}:{line}: a fence that is none", page.display()));
        for block in found {
            match outcome(&page, &block, &quotable) {
                Ok(outcome) => *counts.entry(outcome).or_default() += 1,
                Err(why) => faults.push(format!("{}:{}: {why}", page.display(), block.line)),
            }
        }
    }
    for (outcome, count) in &counts {
        println!("{count:4}  {outcome:?}");
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let unused =
        REASONS.iter().filter(|reason| !counts.contains_key(&Outcome::NotRun(reason.to_string())));
    assert_eq!(unused.count(), 0, "a reason that no block has");
}

/// Names are followed by a build that has the feature.
#[cfg(feature = "dns")]
#[test]
fn what_manifests_hold_is_taken() {
    for file in files("config/compose", ".toml") {
        assert_eq!(take(&read(&file)), Ok(Taken::Whole), "{}", file.display());
    }
    let manifest = read(Path::new("config/kubernetes/tidegate.yaml"));
    let inside = manifest.split_once("tidegate.toml: |\n").unwrap().1.lines();
    let inside = inside.take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: String =
        inside.map(|line| line.trim_start_matches("    ").to_owned() + "\n").collect();
    assert_eq!(take(&text), Ok(Taken::Whole));
}
