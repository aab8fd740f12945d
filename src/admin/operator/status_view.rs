//! `tidegate status` for people: who runs, with what, and tables of backends and drains.

use std::fmt::Write as _;

use serde_json::Value;

use super::process_status::{
    BackendStatus, CertificateStatus, DrainStatus, KeySetStatus, ProcessStatus, SourceStatus,
};
use super::selectors::age;
use super::text_table::TextTable;

/// All of it; `older` is what each older process said.
pub(super) fn text(status: &ProcessStatus, older: &[Value]) -> String {
    let (backends, drains) = (backends(&status.backends), drains(&status.drains));
    let (probes, key_sets) = (probes(&status.backends), key_sets(&status.key_sets));
    let certificates = certificates(&status.certificates);
    let (head, sources) = (head(status), sources(&status.sources));
    let blocks =
        [head, processes(older), backends, sources, probes, key_sets, certificates, drains];
    let written: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    written.join("\n\n")
}

/// A word, and what is to be said of it.
fn line(text: &mut String, word: &str, of: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n{word:<15}{of}");
}

fn head(status: &ProcessStatus) -> String {
    let ProcessStatus { version, phase, pid, sessions, older_sessions, held, .. } = status;
    let up = age(status.uptime_seconds);
    let mut text = format!("tidegate {version}, {phase}, process {pid}, up {up}");
    let in_force = age(status.configuration_age_seconds);
    let (configuration, generation) = (&status.configuration, status.generation);
    line(
        &mut text,
        "configuration",
        format_args!("{configuration}, generation {generation}, in force for {in_force}"),
    );
    line(&mut text, "workers", format_args!("{}", status.workers));
    let listeners = status.listeners.iter().map(|one| format!("{} {}", one.name, one.address));
    let listeners = listeners.collect::<Vec<_>>().join(", ");
    line(&mut text, "listeners", format_args!("{listeners}"));
    let older = match older_sessions {
        0 => String::new(),
        older => format!(" ({} here, {older} in older processes)", sessions - older),
    };
    line(&mut text, "sessions", format_args!("{sessions}{older}, {held} held"));
    let ProcessStatus { connections, leases, tasks, .. } = status;
    line(&mut text, "connections", format_args!("{connections} ({leases} leases, {tasks} tasks)"));
    text
}

fn backends(backends: &[BackendStatus]) -> String {
    let mut table = TextTable::new(["POOL", "BACKEND", "STATE", "SESSIONS", "SHARE", "WAITING"]);
    for one in backends {
        let of_pool = backends.iter().filter(|other| other.pool == one.pool);
        let all: usize = of_pool.map(|other| other.sessions).sum();
        let share = (100 * one.sessions + all / 2).checked_div(all);
        table.add([
            one.pool.clone(),
            one.backend.clone(),
            one.state.clone(),
            one.sessions.to_string(),
            share.map_or("-".to_owned(), |percent| format!("{percent}%")),
            one.handshakes_waiting.to_string(),
        ]);
    }
    table.to_string()
}

fn sources(sources: &[SourceStatus]) -> String {
    let mut table =
        TextTable::new(["POOL", "SOURCE", "MEMBERS", "MISSING", "ANSWERED", "LAST ERROR"]);
    for one in sources {
        table.add([
            one.pool.clone(),
            one.source.clone(),
            one.members.to_string(),
            one.missing.to_string(),
            one.age_seconds.map_or("never".to_owned(), |seconds| age(seconds) + " ago"),
            one.error.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

fn probes(backends: &[BackendStatus]) -> String {
    let mut table = TextTable::new(["POOL", "BACKEND", "PROBES", "FOR", "LAST", "LAST ERROR"]);
    let probed = backends.iter().filter_map(|one| Some((one, one.probe.as_ref()?)));
    for (one, probe) in probed {
        table.add([
            one.pool.clone(),
            one.backend.clone(),
            probe.verdict.clone(),
            age(probe.since_seconds),
            probe.age_seconds.map_or("never".to_owned(), |seconds| age(seconds) + " ago"),
            probe.error.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

fn key_sets(sets: &[KeySetStatus]) -> String {
    let mut table = TextTable::new(["RULE", "KEYS", "FETCHED", "FROM", "LAST ERROR"]);
    for one in sets {
        table.add([
            one.rule.clone(),
            one.keys.to_string(),
            one.age_seconds.map_or("never".to_owned(), |seconds| age(seconds) + " ago"),
            one.url.clone(),
            one.error.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

fn certificates(certificates: &[CertificateStatus]) -> String {
    let mut table =
        TextTable::new(["CERTIFICATE", "EXPIRES IN", "ORDER IN", "FAILED", "LAST ERROR"]);
    for one in certificates {
        let order = match &one.ordered_by {
            Some(pid) => format!("now, by {pid}"),
            None => age(one.order_in_seconds),
        };
        table.add([
            one.name.clone(),
            one.expires_in_seconds.map_or("not issued".to_owned(), age),
            order,
            one.failures.to_string(),
            one.error.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.to_string()
}

fn drains(drains: &[DrainStatus]) -> String {
    let mut table =
        TextTable::new(["DRAIN", "PID", "REASON", "OF", "DONE", "LEFT", "MOVED", "THEN"]);
    for one in drains {
        let then = if one.cuts { "cut" } else { "given up" };
        table.add([
            one.drain.to_string(),
            one.pid.to_string(),
            one.reason.clone(),
            one.of.clone(),
            format!("{} of {}", one.sessions.saturating_sub(one.left), one.sessions),
            one.left.to_string(),
            one.moved.to_string(),
            format!("{then} in {}", age(one.cut_in_seconds)),
        ]);
    }
    table.to_string()
}

fn processes(older: &[Value]) -> String {
    let mut table = TextTable::new(["OLDER", "SESSIONS", "UP", "VERSION", "CONFIGURATION"]);
    for row in older {
        let here = &row["here"];
        // One that has not answered told how many sessions it has, and nothing else.
        let sessions = here["sessions"].as_u64().or(row["sessions"].as_u64());
        let text = |key: &str| here[key].as_str().unwrap_or("-").to_owned();
        table.add([
            row["pid"].to_string(),
            sessions.unwrap_or_default().to_string(),
            here["uptime_seconds"].as_f64().map_or("-".to_owned(), age),
            text("version"),
            text("configuration"),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::process_status::ListenerStatus;
    use super::*;

    fn key_sets() -> Vec<KeySetStatus> {
        vec![
            KeySetStatus {
                rule: "login".into(),
                url: "https://login.example.com/jwks.json".into(),
                keys: 2,
                age_seconds: Some(90.0),
                error: None,
            },
            KeySetStatus {
                rule: "other".into(),
                url: "https://other.example/keys".into(),
                error: Some("the answer's status is 500".into()),
                ..KeySetStatus::default()
            },
        ]
    }

    fn certificates() -> Vec<CertificateStatus> {
        vec![
            CertificateStatus {
                name: "example.com".into(),
                expires_in_seconds: Some(5_184_000.0),
                order_in_seconds: 2_592_000.0,
                ..CertificateStatus::default()
            },
            CertificateStatus {
                name: "www.example.com".into(),
                order_in_seconds: 120.0,
                failures: 2,
                error: Some("the authority refuses: no".into()),
                ..CertificateStatus::default()
            },
        ]
    }

    #[test]
    fn a_person_reads_tables() {
        let backend = |backend: &str, state: &str, sessions| BackendStatus {
            pool: "chat".to_owned(),
            backend: backend.to_owned(),
            state: state.to_owned(),
            sessions,
            ..BackendStatus::default()
        };
        let drain = DrainStatus {
            pid: 41,
            drain: 3,
            reason: "command".to_owned(),
            of: "pool `chat`".to_owned(),
            sessions: 60,
            left: 48,
            moved: 5,
            cut_in_seconds: 65.0,
            cuts: true,
            ..DrainStatus::default()
        };
        let status = ProcessStatus {
            version: "1.2.3".to_owned(),
            pid: 42,
            phase: "running".to_owned(),
            uptime_seconds: 7_400.0,
            configuration: "/etc/tidegate/tidegate.toml".to_owned(),
            generation: 3,
            configuration_age_seconds: 90.0,
            workers: 2,
            listeners: vec![ListenerStatus { name: "https".into(), address: "[::]:443".into() }],
            sessions: 63,
            older_sessions: 60,
            held: 1,
            connections: 70,
            leases: 65,
            tasks: 72,
            backends: vec![
                backend("10.0.0.1:3000", "up", 42),
                backend("10.0.0.12:3000", "ejected", 21),
            ],
            key_sets: key_sets(),
            certificates: certificates(),
            drains: vec![drain],
            ..ProcessStatus::default()
        };
        let here = json!({
            "sessions": 57, "uptime_seconds": 90_000.0, "version": "1.2.2",
            "configuration": "tidegate.toml",
        });
        let older = [
            json!({ "pid": 41, "answered": true, "here": here }),
            json!({ "pid": 40, "answered": false, "sessions": 3 }),
        ];
        assert_eq!(text(&status, &older), include_str!("status_view.txt").trim_end());
        let (drains, backends, key_sets, certificates) = Default::default();
        let idle = ProcessStatus { drains, backends, key_sets, certificates, ..status };
        assert!(!text(&idle, &[]).contains("\n\n"));
    }
}
