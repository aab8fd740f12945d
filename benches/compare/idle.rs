//! Memory of an idle session, as a slope: sessions that have relayed 16 KiB both ways and are
//! quiet.

use std::time::Duration;

use crate::load::{self, Work};
use crate::peers::Peer;
use crate::system;

/// Idle sessions, plain or TLS to the client.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    tls: bool,
}

/// What there is.
pub const SCENARIOS: [Scenario; 2] =
    [Scenario { name: "idle-plain", tls: false }, Scenario { name: "idle-tls", tls: true }];

/// What each session relays both ways before it is quiet.
const RELAYED_BYTES: usize = 16 * 1024;

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Prints each peer's memory per session between 1,000 (or a ninth) and `sessions` sessions.
pub fn run(scenario: &Scenario, peers: &[Peer], sessions: usize, quiet: u64, json: bool) {
    let least = (sessions / 9).max(100);
    println!("\n{}: resident memory per session, from {least} to {sessions}", scenario.name);
    println!(
        "{:<10} {:>14} {:>14} {:>12}",
        "peer", "B per session", "MiB at most", "peer / tidegate"
    );
    let mut ours = f64::NAN;
    for (who, peer) in peers.iter().enumerate() {
        match measure(scenario, peer, least, sessions, quiet) {
            Ok((slope, most)) => {
                if who == 0 {
                    ours = slope;
                }
                let (name, mib) = (peer.name(), most as f64 / f64::from(1 << 20));
                println!("{name:<10} {slope:>14.0} {mib:>14.1} {:>12.1}", slope / ours);
                if json {
                    let what = format!("{{\"scenario\":\"{}\",\"peer\":\"{name}\"", scenario.name);
                    println!("{what},\"bytes_per_session\":{slope:.0}}}");
                }
            }
            Err(fault) => eprintln!("{}: {fault}", peer.name()),
        }
    }
}

fn measure(
    scenario: &Scenario,
    peer: &Peer,
    least: usize,
    most: usize,
    quiet: u64,
) -> Result<(f64, u64), String> {
    let mut load = load::start(system::cores() - 1, RELAYED_BYTES);
    let running = peer.start(0, load.backend)?;
    load.aim(running.target(scenario.tls), Work::Once { size: RELAYED_BYTES });
    let at = |count: usize| {
        if !load.open(count) {
            return Err(format!("not all of {count} sessions opened"));
        }
        std::thread::sleep(Duration::from_secs(quiet));
        Ok(system::memory(&running.pids()))
    };
    let (first, second) = (at(least)?, at(most)?);
    // The load goes first: that the proxy then leaves is no loss.
    drop(load);
    Ok(((second as f64 - first as f64) / (most - least) as f64, second))
}
