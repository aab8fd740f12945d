//! tidegate beside its peers on the same work, in one run: `cargo bench --bench compare --
//! [SCENARIO …]`.
//!
//! Rounds are interleaved (every peer once a round), the proxy is pinned to one core and load and
//! backend to another, CPU time and memory are read from the system. How to read what it prints,
//! and what it needs, is in `benches/README.md`.

// The load generator is no part of the crate: its tasks are its own.
#![allow(clippy::disallowed_methods)]

use std::path::PathBuf;
use std::time::Duration;

mod codec;
mod figures;
mod load;
mod measure;
mod peers;
mod reach;
mod relay;
mod results;
mod scanner;
mod scenario;
mod system;

use measure::Effort;
use peers::Peer;
use results::Results;
use scenario::{SCENARIOS, Scenario};

/// Memory hardly differs from round to round, and a round of it takes minutes.
const IDLE_ROUNDS_MAX: usize = 3;

/// What is to be reached is judged by its bound: one round of memory is enough.
const REACH_IDLE_ROUNDS: usize = 1;

/// Every line of what is to be reached within the time a machine can be kept quiet.
const REACH_WARM_UP: Duration = Duration::from_millis(250);
const REACH_MEASURE: Duration = Duration::from_millis(700);

/// What is run, from the command line.
struct Options {
    scenarios: Vec<Scenario>,
    rounds: usize,
    effort: Effort,
    peers: Option<Vec<String>>,
    json: Option<PathBuf>,
    reach: bool,
}

impl Options {
    fn parse() -> Result<Options, String> {
        let mut options = Options {
            scenarios: Vec::new(),
            rounds: 15,
            effort: Effort {
                warm_up: Duration::from_millis(400),
                measure: Duration::from_secs(1),
                sessions: 9_000,
                quiet: Duration::from_secs(30),
            },
            peers: None,
            json: None,
            reach: false,
        };
        let mut words = std::env::args().skip(1);
        if std::env::args().any(|word| word == "--reach") {
            options.reach = true;
            options.effort.warm_up = REACH_WARM_UP;
            options.effort.measure = REACH_MEASURE;
        }
        while let Some(word) = words.next() {
            let mut text = || words.next().ok_or(format!("`{word}` needs a value"));
            let mut number = || -> Result<u64, String> {
                let value = text()?;
                value.parse().map_err(|_| format!("`{word}` needs a number, not: {value}"))
            };
            match word.as_str() {
                "--rounds" => options.rounds = number()?.max(1) as usize,
                "--warm-up" => options.effort.warm_up = Duration::from_millis(number()?),
                "--measure" => options.effort.measure = Duration::from_millis(number()?.max(50)),
                "--sessions" => options.effort.sessions = number()?.clamp(200, 9_500) as usize,
                "--quiet" => options.effort.quiet = Duration::from_secs(number()?),
                "--peers" => options.peers = Some(text()?.split(',').map(String::from).collect()),
                "--json" => options.json = Some(text()?.into()),
                // Heard already; the other is Cargo's own word for a bench run.
                "--reach" | "--bench" => {}
                _ => options.add(&word)?,
            }
        }
        if options.scenarios.is_empty() {
            let needed = |name: &str| !options.reach || reach::scenarios().any(|n| n == name);
            options.scenarios = SCENARIOS.into_iter().filter(|s| needed(s.name)).collect();
        }
        Ok(options)
    }

    /// Adds the scenarios whose name is, or begins with, `word`.
    fn add(&mut self, word: &str) -> Result<(), String> {
        let exact = SCENARIOS.iter().any(|scenario| scenario.name == word);
        let named = |s: &&Scenario| s.name == word || (!exact && s.name.starts_with(word));
        let found: Vec<Scenario> = SCENARIOS.iter().filter(named).copied().collect();
        if found.is_empty() {
            return Err(format!("unknown scenario: {word}\n{}", usage()));
        }
        self.scenarios.extend(found);
        Ok(())
    }
}

fn usage() -> String {
    format!(
        "scenarios, or what their names begin with: {}\noptions: --rounds N, --peers NAME,NAME, \
         --reach, --json FILE, --warm-up MS, --measure MS; for idle: --sessions N, --quiet SECONDS",
        SCENARIOS.map(|scenario| scenario.name).join(", ")
    )
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, address, backend] = &words[..]
        && flag == "--relay"
    {
        let address = address.parse().expect("an address to listen on");
        relay::run(address, backend.parse().expect("a backend's address")).expect("a socket");
        return;
    }
    if let Err(fault) = run() {
        eprintln!("{fault}");
        std::process::exit(2);
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse()?;
    let peers = Peer::found(options.peers.as_deref())?;
    println!("machine: {}", system::machine());
    for peer in &peers {
        println!("peer: {} ({})", peer.name(), peer.version());
    }
    if system::cores() < 2 {
        return Err("two cores are needed: one for the proxy, one for the load".into());
    }
    let mut results = Results { peers, measured: Vec::new(), scanner: Vec::new() };
    // On the load's core: it is as fast as the proxy's, and nothing else runs there now.
    system::pin(system::cores() - 1);
    results.scanner =
        (0..options.rounds).map(|_| Some(scanner::nanoseconds_per_frame(64))).collect();
    for scenario in options.scenarios {
        let rounds = match (scenario.kind.is_long(), options.reach) {
            (true, true) => options.rounds.min(REACH_IDLE_ROUNDS),
            (true, false) => options.rounds.min(IDLE_ROUNDS_MAX),
            (false, _) => options.rounds,
        };
        let needed = |peer: &Peer| !options.reach || reach::needs(scenario.name, peer);
        results.run(scenario, rounds, options.effort, needed);
        results.table(results.measured.len() - 1);
    }
    if options.reach {
        reach::print(&results);
    }
    if let Some(path) = options.json {
        let mut report = results.json(options.rounds);
        report["reach"] = reach::json(&results);
        let text = format!("{report:#}\n");
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
