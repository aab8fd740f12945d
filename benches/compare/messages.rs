//! CPU per relayed message: clients that each have one message under way, in a closed loop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::load::{self, Work};
use crate::peers::Peer;
use crate::system;

/// A closed loop of echoes.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    clients: usize,
    size: usize,
    tls: bool,
}

/// The closed loops there are.
pub const SCENARIOS: [Scenario; 8] = [
    Scenario { name: "plain-64B-1", clients: 1, size: 64, tls: false },
    Scenario { name: "plain-64B-64", clients: 64, size: 64, tls: false },
    Scenario { name: "plain-64B-1000", clients: 1_000, size: 64, tls: false },
    Scenario { name: "plain-4KiB-64", clients: 64, size: 4_096, tls: false },
    Scenario { name: "plain-1MiB-4", clients: 4, size: 1 << 20, tls: false },
    Scenario { name: "tls-64B-64", clients: 64, size: 64, tls: true },
    Scenario { name: "tls-64B-1000", clients: 1_000, size: 64, tls: true },
    Scenario { name: "tls-1MiB-4", clients: 4, size: 1 << 20, tls: true },
];

/// One round of one peer.
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURE: Duration = Duration::from_secs(2);

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Runs `rounds` interleaved rounds and prints medians and ratios to tidegate's.
pub fn run(scenario: &Scenario, peers: &[Peer], rounds: usize, json: bool) {
    let mut cpu = vec![Vec::new(); peers.len()];
    let mut rate = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        for turn in 0..peers.len() {
            // Who goes first changes, so that nobody always follows the same neighbour.
            let who = (turn + round) % peers.len();
            match measure(scenario, &peers[who]) {
                Ok((micros, messages)) => {
                    cpu[who].push(micros);
                    rate[who].push(messages);
                }
                Err(fault) => eprintln!("{}: {fault}", peers[who].name()),
            }
        }
    }
    println!("\n{}: proxy CPU per message there and back, {rounds} rounds", scenario.name);
    println!("{:<10} {:>12} {:>12} {:>20}", "peer", "µs (median)", "echoes/s", "tidegate / peer");
    for (who, peer) in peers.iter().enumerate() {
        let (micros, echoes) = (median(&cpu[who]), median(&rate[who]));
        let ratio = median_ratio(&cpu[0], &cpu[who]);
        println!("{:<10} {micros:>12.2} {echoes:>12.0} {ratio:>20}", peer.name());
        if json {
            let (scenario, peer) = (scenario.name, peer.name());
            println!("{{\"scenario\":\"{scenario}\",\"peer\":\"{peer}\",\"cpu_us\":{micros:.3}}}");
        }
    }
}

fn measure(scenario: &Scenario, peer: &Peer) -> Result<(f64, f64), String> {
    let mut load = load::start(system::cores() - 1, scenario.size);
    let running = peer.start(0, load.backend)?;
    load.aim(running.target(scenario.tls), Work::Loop { size: scenario.size });
    if !load.open(scenario.clients) {
        return Err("not all sessions opened".into());
    }
    std::thread::sleep(WARM_UP);
    let pids = running.pids();
    let before = (system::cpu_time(&pids), load.progress.echoed.load(Ordering::Relaxed));
    std::thread::sleep(MEASURE);
    let after = (system::cpu_time(&pids), load.progress.echoed.load(Ordering::Relaxed));
    if load.progress.lost.load(Ordering::Relaxed) > 0 {
        return Err("sessions were lost".into());
    }
    // The load goes first: that the proxy then leaves is no loss.
    drop(load);
    let echoes = (after.1 - before.1) as f64;
    let micros = (after.0 - before.0).as_secs_f64() * 1e6;
    Ok((micros / echoes, echoes / MEASURE.as_secs_f64()))
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}

/// Ratios round by round: their median, least and greatest.
pub fn median_ratio(ours: &[f64], theirs: &[f64]) -> String {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    ratios.sort_by(f64::total_cmp);
    match (ratios.first(), ratios.last()) {
        (Some(least), Some(most)) => format!("{:.2} ({least:.2}–{most:.2})", median(&ratios)),
        _ => "–".into(),
    }
}
