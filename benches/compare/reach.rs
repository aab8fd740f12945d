//! What tidegate is to reach beside its peers, line by line, and whether a run shows it.

use serde_json::{Value, json};

use crate::figures::{Interval, Verdict, median, ratio};
use crate::peers::{self, Kind};
use crate::results::{Results, Rounds, all, interval, known};

/// A line, judged.
struct Line {
    /// What is to be.
    text: String,
    /// What was seen.
    seen: String,
    /// Whether it is.
    verdict: Verdict,
}

/// What a figure is held against.
enum Against {
    /// One peer's, of the same rounds.
    Peer(Kind),
    /// That of every rival: the best decides.
    Rivals,
    /// Itself.
    Nobody,
}

use Against::{Nobody, Peer, Rivals};

/// Scenario, figure, what it is held against, and the most it may be.
type Goal = (&'static str, &'static str, Against, f64);

const GOALS: [Goal; 31] = [
    ("plain-64B-64", "cpu_us", Peer(Kind::Relay), 1.1),
    ("plain-64B-1000", "cpu_us", Peer(Kind::Relay), 1.2),
    ("plain-64B-1000", "cpu_us", Rivals, 1.0),
    ("tls-64B-64", "cpu_us", Peer(Kind::Nginx), 0.85),
    ("tls-64B-1000", "cpu_us", Peer(Kind::Nginx), 0.7),
    ("plain-1MiB-4", "cpu_us", Rivals, 1.0),
    ("plain-1MiB-4", "rate", Rivals, 1.0),
    ("tls-1MiB-4", "cpu_us", Rivals, 1.0),
    ("tls-1MiB-4", "rate", Rivals, 1.0),
    ("plain-up", "cpu_s_gb", Rivals, 1.0),
    ("plain-up", "mb_s", Rivals, 1.0),
    ("plain-down", "cpu_s_gb", Rivals, 1.0),
    ("plain-down", "mb_s", Rivals, 1.0),
    ("tls-up", "cpu_s_gb", Rivals, 1.0),
    ("tls-up", "mb_s", Rivals, 1.0),
    ("tls-down", "cpu_s_gb", Rivals, 1.0),
    ("tls-down", "mb_s", Rivals, 1.0),
    ("plain-idle", "session_bytes", Nobody, 1_536.0),
    ("tls-idle", "session_bytes", Nobody, 6_144.0),
    ("plain-idle", "left_ratio", Nobody, 2.0),
    ("tls-idle", "left_ratio", Nobody, 2.0),
    ("tls-connect", "cpu_us", Peer(Kind::Nginx), 0.5),
    ("tls-resumed", "cpu_us", Peer(Kind::Nginx), 0.5),
    ("plain-connect", "cpu_us", Peer(Kind::Nginx), 0.75),
    ("plain-paced", "p99_us", Rivals, 1.0),
    ("tls-paced", "p99_us", Rivals, 1.0),
    ("h2-64B-64", "cpu_us", Rivals, 1.0),
    ("h2-64B-1000", "cpu_us", Rivals, 1.0),
    ("h2-up", "cpu_s_gb", Rivals, 1.0),
    ("h2-down", "cpu_s_gb", Rivals, 1.0),
    ("h2-paced", "p99_us", Rivals, 1.0),
];

/// The scanner's share of a relayed message.
const SCANNER_SHARE_MAX: f64 = 0.02;

/// The scenario its message is taken from.
const SCANNER_SCENARIO: &str = "plain-64B-64";

/// The scenarios the lines need.
pub fn scenarios() -> impl Iterator<Item = &'static str> {
    GOALS.iter().map(|goal| goal.0)
}

/// Whether a line needs `peer` measured in `scenario`.
pub fn needs(scenario: &str, peer: &peers::Peer) -> bool {
    let asked_for = |against: &Against| match against {
        Peer(kind) => peer.kind == *kind,
        Rivals => peer.is_rival(),
        Nobody => false,
    };
    peer.kind == Kind::Tidegate || GOALS.iter().any(|goal| goal.0 == scenario && asked_for(&goal.2))
}

/// Figures of which more is better.
fn is_rate(key: &str) -> bool {
    matches!(key, "rate" | "mb_s")
}

/// Prints every line, and whether it is reached.
pub fn print(results: &Results) {
    println!("\nreach, each ratio with its 95 % interval:");
    for line in lines(results) {
        println!("{:<13} {:<62} {}", line.verdict.word(), line.text, line.seen);
    }
}

/// The same for programs.
pub fn json(results: &Results) -> Value {
    let lines = lines(results)
        .into_iter()
        .map(|line| json!({"line": line.text, "seen": line.seen, "verdict": line.verdict.word()}));
    Value::Array(lines.collect())
}

/// Every line, judged by these results.
fn lines(results: &Results) -> Vec<Line> {
    let mut lines: Vec<Line> = GOALS.iter().map(|goal| judge(results, goal)).collect();
    lines.push(scanner(results));
    lines
}

fn judge(results: &Results, (scenario, key, against, most): &Goal) -> Line {
    let sign = if is_rate(key) { "rivals / us" } else { "us" };
    let ours = results.rounds(scenario, Kind::Tidegate, key);
    let name =
        |kind: &Kind| results.peers.iter().find(|p| p.kind == *kind).map_or("peer", |p| p.name());
    let text = match against {
        Peer(kind) => format!("{scenario} {key}: ≤ {most} × {}", name(kind)),
        Rivals => format!("{scenario} {key}: {sign} ≤ {most} × the best peer"),
        Nobody => format!("{scenario} {key}: ≤ {most}"),
    };
    let compare = |kind: Kind| -> Option<(Kind, Interval)> {
        let theirs = results.rounds(scenario, kind, key)?;
        let pair = if is_rate(key) { ratio(theirs, ours?) } else { ratio(ours?, theirs) };
        Some((kind, pair?))
    };
    let seen: Vec<(&str, Interval)> = match against {
        Peer(kind) => compare(*kind).map(|(kind, pair)| (name(&kind), pair)).into_iter().collect(),
        Rivals => {
            let rivals = results.peers.iter().filter(|peer| peer.is_rival());
            let mut pairs: Vec<_> =
                rivals.filter_map(|peer| Some((peer.name(), compare(peer.kind)?.1))).collect();
            // The one that is hardest to be level with comes first.
            pairs.sort_by(|a, b| b.1.median.total_cmp(&a.1.median));
            pairs
        }
        Nobody => {
            let own = ours.and_then(|rounds| Interval::of(&known(rounds)));
            own.map(|own| ("tidegate", own)).into_iter().collect()
        }
    };
    let verdict = match against {
        // Memory does not depend on who else runs: a few rounds that agree are enough.
        Nobody => all(seen.iter().map(|(_, own)| Interval { sure: true, ..*own }.at_most(*most))),
        _ => all(seen.iter().map(|(_, pair)| pair.at_most(*most))),
    };
    let seen = seen.first().map(|(who, pair)| match against {
        Rivals => format!("{} to {who}", interval(pair)),
        _ => interval(pair),
    });
    Line { text, seen: seen.unwrap_or_else(|| "–".into()), verdict }
}

fn scanner(results: &Results) -> Line {
    let text = format!("scanner: ≤ {SCANNER_SHARE_MAX} of a message's CPU in {SCANNER_SCENARIO}");
    let line = |seen: String, verdict| Line { text: text.clone(), seen, verdict };
    let Some(micros) = results.rounds(SCANNER_SCENARIO, Kind::Tidegate, "cpu_us") else {
        return line("–".into(), Verdict::Missing);
    };
    // There and back is two frames.
    let share = |nanoseconds: f64, micros: f64| 2.0 * nanoseconds / 1e3 / micros;
    let pairs = results.scanner.iter().zip(micros);
    let shares: Rounds = pairs.map(|(ns, us)| Some(share((*ns)?, (*us)?))).collect();
    let Some(share) = Interval::of(&known(&shares)) else {
        return line("–".into(), Verdict::Missing);
    };
    let nanoseconds = median(&known(&results.scanner));
    let seen = format!(
        "{nanoseconds:.1} ns a frame, {:.2} % ({:.2}–{:.2})",
        share.median * 100.0,
        share.low * 100.0,
        share.high * 100.0
    );
    line(seen, share.at_most(SCANNER_SHARE_MAX))
}
