//! What was measured, and printing it: tables for people, JSON for programs.

use serde_json::{Value, json};

use crate::figures::{Interval, Verdict, median, ratio};
use crate::measure::{Effort, measure};
use crate::peers::{Kind as PeerKind, Peer};
use crate::scenario::Scenario;
use crate::system;

/// A figure of one peer, round by round; none where the round failed.
pub type Rounds = Vec<Option<f64>>;

/// A scenario's figures.
pub struct Measured {
    /// Which scenario.
    pub scenario: Scenario,
    /// By peer, then by column.
    pub figures: Vec<Vec<Rounds>>,
}

/// All of a run.
pub struct Results {
    /// Who was measured; tidegate first.
    pub peers: Vec<Peer>,
    /// What, in order.
    pub measured: Vec<Measured>,
    /// Nanoseconds the frame tracker takes for a 64 B frame, by round.
    pub scanner: Rounds,
}

impl Results {
    /// Runs interleaved rounds of a scenario, every peer that is `needed` once a round, and keeps
    /// what they gave.
    pub fn run(
        &mut self,
        scenario: Scenario,
        rounds: usize,
        effort: Effort,
        needed: impl Fn(&Peer) -> bool,
    ) {
        let columns = scenario.kind.columns().len();
        let mut figures = vec![vec![Rounds::new(); columns]; self.peers.len()];
        for round in 0..rounds {
            for turn in 0..self.peers.len() {
                // Who goes first changes, so that nobody always follows the same neighbour.
                let who = (turn + round) % self.peers.len();
                let peer = &self.peers[who];
                if !peer.speaks(scenario.over) || !needed(peer) {
                    continue;
                }
                let values = match measure(&scenario, peer, effort) {
                    Ok(values) => values.into_iter().map(Some).collect(),
                    Err(fault) => {
                        eprintln!("{}, {}: {fault}", scenario.name, peer.name());
                        vec![None; columns]
                    }
                };
                for (rounds, value) in figures[who].iter_mut().zip(values) {
                    rounds.push(value);
                }
            }
        }
        self.measured.push(Measured { scenario, figures });
    }

    /// A figure of a peer, round by round.
    pub fn rounds(&self, scenario: &str, peer: PeerKind, key: &str) -> Option<&Rounds> {
        let measured = self.measured.iter().find(|m| m.scenario.name == scenario)?;
        let who = self.peers.iter().position(|p| p.kind == peer)?;
        let column = measured.scenario.kind.column(key)?;
        measured.figures[who].get(column).filter(|rounds| rounds.iter().any(Option::is_some))
    }

    /// Prints the table of the scenario that was measured `nth`.
    pub fn table(&self, nth: usize) {
        let measured = &self.measured[nth];
        let columns = measured.scenario.kind.columns();
        println!("\n{}: {}", measured.scenario.name, measured.scenario.doc());
        print!("{:<10}", "peer");
        for column in columns {
            print!(" {:>14}", column.head);
            if column.compared {
                print!(" {:>24}", "tidegate / peer");
            }
        }
        println!();
        for (peer, figures) in self.peers.iter().zip(&measured.figures) {
            if figures[0].iter().all(Option::is_none) {
                println!("{:<10} {:>14}", peer.name(), "–");
                continue;
            }
            print!("{:<10}", peer.name());
            for (place, column) in columns.iter().enumerate() {
                print!(" {:>14}", digits(median(&known(&figures[place]))));
                if column.compared {
                    let us = &measured.figures[0][place];
                    let others = !std::ptr::eq(us, &figures[place]);
                    let ratio = ratio(us, &figures[place]).filter(|_| others);
                    print!(" {:>24}", ratio.map_or("–".into(), |ratio| interval(&ratio)));
                }
            }
            println!();
        }
    }

    /// All of it, for programs.
    pub fn json(&self, rounds: usize) -> Value {
        let mut results = Vec::new();
        for measured in &self.measured {
            for (peer, figures) in self.peers.iter().zip(&measured.figures) {
                for (column, rounds) in measured.scenario.kind.columns().iter().zip(figures) {
                    let Some(own) = Interval::of(&known(rounds)) else { continue };
                    let place = measured.scenario.kind.column(column.key).unwrap_or(0);
                    let ratio = ratio(&measured.figures[0][place], rounds);
                    results.push(json!({
                        "scenario": measured.scenario.name,
                        "peer": peer.name(),
                        "figure": column.key,
                        "median": own.median,
                        "rounds": rounds,
                        "tidegate_over_peer": ratio.map(|r| json!({
                            "median": r.median,
                            "low": r.low,
                            "high": r.high,
                            "sure": r.sure,
                        })),
                    }));
                }
            }
        }
        let peers = self.peers.iter().map(|p| json!({"name": p.name(), "version": p.version()}));
        json!({
            "machine": system::machine(),
            "rounds": rounds,
            "peers": peers.collect::<Vec<_>>(),
            "results": results,
            "scanner_ns_per_frame": median(&known(&self.scanner)),
        })
    }
}

/// The rounds that gave a value.
pub fn known(rounds: &Rounds) -> Vec<f64> {
    rounds.iter().filter_map(|round| *round).collect()
}

/// A ratio and its interval.
pub fn interval(of: &Interval) -> String {
    let mark = if of.sure { "" } else { " ?" };
    format!("{:.2} ({:.2}–{:.2}){mark}", of.median, of.low, of.high)
}

/// As many digits as mean something.
pub fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What several verdicts come to: one that fails decides, then one that is missing or undecided.
pub fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut all = None;
    for verdict in verdicts {
        all = match (all, verdict) {
            (Some(Verdict::Fails), _) | (_, Verdict::Fails) => Some(Verdict::Fails),
            (Some(Verdict::Undecided), _) | (_, Verdict::Undecided) => Some(Verdict::Undecided),
            (None, verdict) => Some(verdict),
            (some, _) => some,
        };
    }
    all.unwrap_or(Verdict::Missing)
}
