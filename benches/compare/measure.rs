//! One round of one peer.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::figures::percentile;
use crate::load::{self, Load};
use crate::peers::{Peer, Running};
use crate::scenario::{Kind, Over, Scenario};
use crate::system;

/// How long a round is, and how large the idle scenarios are.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Before anything counts.
    pub warm_up: Duration,
    /// What counts.
    pub measure: Duration,
    /// Sessions of the idle scenarios.
    pub sessions: usize,
    /// How long these are quiet.
    pub quiet: Duration,
}

/// How long memory has to be given back after the last session left.
const SETTLE: Duration = Duration::from_secs(10);

/// Below this share of resumed handshakes a round measured something else.
const RESUMED_MIN: f64 = 0.95;

const MIB: f64 = (1 << 20) as f64;

/// Measures `peer`; the figures come in the order of [`Kind::columns`].
pub fn measure(scenario: &Scenario, peer: &Peer, effort: Effort) -> Result<Vec<f64>, String> {
    let mut load = load::start(system::cores() - 1, *scenario);
    let running = peer.start(scenario, 0, load.backend)?;
    match scenario.kind {
        Kind::Idle => return idle(scenario, load, &running, effort),
        Kind::Pinged => return pinged(scenario, load, &running, effort),
        _ => {}
    }
    load.aim(running.target(scenario.over));
    load.open(scenario.clients)?;
    std::thread::sleep(effort.warm_up);
    let pids = running.pids();
    let progress = std::sync::Arc::clone(&load.progress);
    let counts = || {
        let count = [&progress.done, &progress.bytes, &progress.full, &progress.resumed];
        (system::cpu_time(&pids), Instant::now(), count.map(|count| count.load(Ordering::Relaxed)))
    };
    progress.record();
    let before = counts();
    std::thread::sleep(effort.measure);
    let after = counts();
    let latencies = progress.recorded();
    let lost = progress.lost.load(Ordering::Relaxed);
    // The load goes first: that the proxy then leaves is no loss.
    drop(load);
    if lost > 0 {
        return Err(format!("{lost} sessions were lost {}", running.log()));
    }
    let cpu = (after.0.saturating_sub(before.0)).as_secs_f64();
    let seconds = (after.1 - before.1).as_secs_f64();
    let gone = |place: usize| (after.2[place] - before.2[place]) as f64;
    let (done, bytes, full, resumed) = (gone(0), gone(1), gone(2), gone(3));
    if scenario.over == Over::Resumed && resumed < RESUMED_MIN * (full + resumed) {
        return Err(format!("only {resumed} of {} handshakes resumed", full + resumed));
    }
    Ok(match scenario.kind {
        Kind::Echo | Kind::Connect => vec![cpu * 1e6 / done, done / seconds],
        Kind::Up | Kind::Down => vec![cpu / (bytes / 1e9), bytes / 1e6 / seconds],
        Kind::Paced => {
            let at = |share| percentile(&latencies, share) / 1e3;
            vec![at(0.99), at(0.5), at(0.999), cpu * 1e6 / done]
        }
        Kind::Idle | Kind::Pinged => Vec::new(),
    })
}

/// Memory of idle sessions as a slope between a ninth of them and all, and what stays when they
/// have left.
fn idle(
    scenario: &Scenario,
    mut load: Load,
    running: &Running,
    effort: Effort,
) -> Result<Vec<f64>, String> {
    let memory = || system::memory(&running.pids()) as f64;
    std::thread::sleep(Duration::from_secs(1));
    let before = memory();
    load.aim(running.target(scenario.over));
    let least = (effort.sessions / 9).max(100);
    let at = |count: usize| -> Result<f64, String> {
        load.open(count)?;
        std::thread::sleep(effort.quiet);
        Ok(memory())
    };
    let (first, second) = (at(least)?, at(effort.sessions)?);
    if load.progress.lost.load(Ordering::Relaxed) > 0 {
        return Err("sessions were lost".into());
    }
    drop(load);
    std::thread::sleep(SETTLE);
    let after = memory();
    let slope = (second - first) / (effort.sessions - least) as f64;
    Ok(vec![slope, before / MIB, second / MIB, after / MIB, after / before])
}

/// CPU of idle sessions whose peers answer pings, and how these are spread: after one quiet time,
/// in which those that just opened settle, another is watched second by second.
fn pinged(
    scenario: &Scenario,
    mut load: Load,
    running: &Running,
    effort: Effort,
) -> Result<Vec<f64>, String> {
    load.aim(running.target(scenario.over));
    load.open(effort.sessions)?;
    std::thread::sleep(effort.quiet);
    let pids = running.pids();
    let counts = || {
        let pings = load.progress.pings.load(Ordering::Relaxed) as f64;
        (system::cpu_time(&pids).as_secs_f64(), pings, Instant::now())
    };
    let first = counts();
    let (mut last, mut cpu_peak, mut pings_peak) = (first, 0.0_f64, 0.0_f64);
    while first.2.elapsed() < effort.quiet {
        std::thread::sleep(Duration::from_secs(1));
        let now = counts();
        let seconds = (now.2 - last.2).as_secs_f64();
        cpu_peak = cpu_peak.max((now.0 - last.0) / seconds);
        pings_peak = pings_peak.max((now.1 - last.1) / seconds);
        last = now;
    }
    if load.progress.lost.load(Ordering::Relaxed) > 0 {
        return Err("sessions were lost".into());
    }
    let seconds = (last.2 - first.2).as_secs_f64();
    let mean = |first: f64, last: f64| (last - first) / seconds;
    Ok(vec![mean(first.0, last.0) * 1e3, cpu_peak * 1e3, mean(first.1, last.1), pings_peak])
}
