//! tidegate beside its peers on the same work, in one run: `cargo bench --bench compare --
//! [SCENARIO …]`.
//!
//! Rounds are interleaved (every peer once a round), the proxy is pinned to one core and load and
//! backend to another, CPU time and memory are read from the system. How to read what it prints,
//! and what it needs, is in `benches/README.md`.

// The load generator is no part of the house: its tasks are its own.
#![allow(clippy::disallowed_methods)]

mod codec;
mod idle;
mod load;
mod messages;
mod peers;
mod system;

use peers::Peer;

/// What is run, from the command line.
struct Options {
    scenarios: Vec<String>,
    rounds: usize,
    sessions_max: usize,
    quiet_seconds: u64,
    json: bool,
}

impl Options {
    fn parse() -> Result<Options, String> {
        let mut options = Options {
            scenarios: Vec::new(),
            rounds: 7,
            sessions_max: 9_000,
            quiet_seconds: 30,
            json: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = || -> Result<usize, String> {
                let value = words.next().ok_or(format!("`{word}` needs a number"))?;
                value.parse().map_err(|_| format!("`{word}` needs a number, not: {value}"))
            };
            match word.as_str() {
                "--rounds" => options.rounds = number()?.max(1),
                "--sessions" => options.sessions_max = number()?.clamp(200, 9_500),
                "--quiet" => options.quiet_seconds = number()? as u64,
                "--json" => options.json = true,
                // Cargo's own word for a bench run.
                "--bench" => {}
                known if messages::find(known).is_some() || idle::find(known).is_some() => {
                    options.scenarios.push(word);
                }
                _ => return Err(format!("unknown scenario: {word}\n{}", usage())),
            }
        }
        if options.scenarios.is_empty() {
            options.scenarios = names();
        }
        Ok(options)
    }
}

fn names() -> Vec<String> {
    let messages = messages::SCENARIOS.iter().map(|scenario| scenario.name);
    messages.chain(idle::SCENARIOS.iter().map(|scenario| scenario.name)).map(String::from).collect()
}

fn usage() -> String {
    format!(
        "scenarios: {}\noptions: --rounds N, --sessions N, --quiet SECONDS, --json",
        names().join(", ")
    )
}

fn main() {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("{fault}");
            std::process::exit(2);
        }
    };
    let peers = Peer::found();
    eprintln!("machine: {}", system::machine());
    for peer in &peers {
        eprintln!("peer: {} ({})", peer.name(), peer.version());
    }
    for name in &options.scenarios {
        if let Some(scenario) = messages::find(name) {
            messages::run(scenario, &peers, options.rounds, options.json);
        } else if let Some(scenario) = idle::find(name) {
            idle::run(scenario, &peers, options.sessions_max, options.quiet_seconds, options.json);
        }
    }
}
