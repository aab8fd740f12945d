use std::time::Duration;

use super::catalogue::ALL;
use super::*;
use crate::base::label::Label;
use crate::base::side::Side;
use crate::base::worker::Workers;

mod alerts;
mod dashboard;
mod expression;
mod panels;
mod questions;

/// A label of the tests' own.
struct Word(&'static str);

impl Label for Word {
    fn label(&self) -> &'static str {
        self.0
    }
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// Metrics in which everything was counted at least once.
fn busy() -> Arc<Metrics> {
    let metrics = Metrics::new(2);
    let route = metrics.route(&name("chat"));
    route.session_opened(Duration::from_millis(3));
    route.session_opened(Duration::from_millis(3));
    route.session_ended(Word("idle"), Duration::from_secs(20));
    route.totals.handshakes_failed.count(Word("silent"));
    route.hold_began(Word("lost"));
    route.hold_ended(Word("resumed"), Duration::from_secs(2), 1);
    route.here().relayed(Side::Client, 2, 70);
    route.here().violations[Side::Upstream].add(1);
    route.here().request(http::StatusCode::NOT_FOUND);
    route.here().answered(false, Duration::from_secs(7));
    route.here().answered(true, Duration::from_secs(11));
    route.here().ping[Side::Client].observe(Duration::from_millis(40));
    let listener = metrics.listener(&name("https"));
    listener.accepted.inc();
    listener.open.inc();
    listener.refused.count(Word("connections_max"));
    listener.requests_refused.count(Word("malformed"));
    listener.answers_cut.count(Word("answer_broken"));
    metrics.process.admin_refused.count(Word("host"));
    metrics.process.trace_spans.count(Word("sent"));
    listener.http[HttpVersion::Http2].inc();
    listener.streams.set(3);
    listener.resets[ResetBy::Client].count(Word("cancel"));
    listener.resets[ResetBy::Tidegate].count(Word("refused_stream"));
    listener.http2_failed.count(Word("resets"));
    listener.tls_failures.count(Word("timeout"));
    metrics.access(&name("office")).denied.count(Word("address"));
    metrics.access(&name("login")).key_fetches.inc();
    metrics.access(&name("login")).key_fetch_failures.count(Word("timeout"));
    metrics.access(&name("login")).rechecks.count(Word("good"));
    let pool = metrics.pool(&name("websocket"));
    pool.dial_failures.count("127.0.0.1:9", Word("refused"));
    pool.retries.inc();
    pool.full.inc();
    pool.asked_to_move.add(2);
    pool.would_move.set(7);
    pool.sticky_lost.count(Word("out"));
    metrics.process.reloads.count(Word("taken"));
    metrics.process.upgrades.count(Word("refused"));
    metrics
}

/// The facts for a scrape of them.
fn facts() -> ScrapeFacts {
    let backend = BackendFacts {
        sessions: 4,
        handshakes_waiting: 1,
        up: true,
        disabled: false,
        probe_up: Some(true),
    };
    let answers = Arc::new(BackendMetrics::default());
    answers.probes.count(Word("passed"));
    ScrapeFacts {
        process: ProcessFacts {
            loads: vec![("0".to_owned(), 0), ("1".to_owned(), 5)],
            generation: 3,
            drains: vec![("stop".to_owned(), 2)],
            ..ProcessFacts::default()
        },
        system: SystemFacts {
            cpu: Some(CpuSeconds(1.5)),
            resident: Some(1 << 20),
            virtual_memory: Some(2 << 20),
            files: Some(9),
            threads: Some(3),
            ..SystemFacts::default()
        },
        certificates: vec![(
            [name("https"), name("chain.pem")],
            CertificateExpiry { not_after: 1_800_000_000. },
        )],
        sources: vec![(
            [name("websocket"), name("dns:chat:80")],
            SourceFacts { members: 2, missing: 1, age: Some(1.5) },
        )],
        key_sets: vec![(name("login"), KeySetFacts { keys: 2, fetched: Some(1_700_000_000) })],
        backends: vec![([name("websocket"), name("b")], backend, answers)],
    }
}

fn open_metrics(metrics: &Metrics) -> String {
    metrics.render(&facts(), Exposition::OpenMetrics)
}

#[test]
fn every_metric_is_written_once_as_it_was_declared() {
    let text = open_metrics(&busy());
    let lines_from = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    for metric in ALL.iter().copied().flatten() {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        assert_eq!(lines_from(&format!("# TYPE {} {kind}", metric.name)), 1, "{}", metric.name);
        let ending = match metric.kind {
            MetricKind::Counter => "_total",
            MetricKind::Gauge => "",
            MetricKind::Histogram => "_count",
            MetricKind::Info => "_info",
        };
        let sample = format!("{}{ending}", metric.name);
        let is_sample =
            |line: &&str| line.split([' ', '{']).next().is_some_and(|found| found == sample);
        let line = text.lines().find(is_sample).unwrap_or_else(|| panic!("no {sample}"));
        let labels: Vec<&str> = line.split('"').step_by(2).collect();
        for label in metric.all_labels() {
            assert!(labels.iter().any(|part| part.ends_with(&format!("{label}="))), "{line}");
        }
        assert_eq!(labels.len() - 1, metric.all_labels().count(), "{line}");
    }
    assert_eq!(lines_from("# TYPE"), ALL.iter().map(|group| group.len()).sum::<usize>());
    assert!(text.ends_with("# EOF\n"));
}

/// What a sample's name has behind its family's, by the family's kind.
fn endings(kind: &str) -> &'static [&'static str] {
    match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    }
}

#[test]
fn prometheus_text_declares_each_sample_by_the_name_it_has() {
    let text = busy().render(&facts(), Exposition::Prometheus);
    let (mut family, mut kind) = ("", "");
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap();
            assert!(!families.contains(&family), "{family} is declared twice");
            families.push(family);
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            kind = declared.strip_prefix(family).unwrap().trim();
            let is_counter = family.ends_with("_total");
            assert_eq!(kind == "counter", is_counter, "{line}");
        } else {
            let name = line.split([' ', '{']).next().unwrap();
            let ending = name.strip_prefix(family);
            assert!(ending.is_some_and(|ending| endings(kind).contains(&ending)), "{line}");
        }
    }
    assert_eq!(families.len(), ALL.iter().map(|group| group.len()).sum::<usize>());
}

#[test]
fn counts_appear_with_their_labels() {
    let text = open_metrics(&busy());
    for line in [
        r#"tidegate_sessions_live{route="chat"} 1"#,
        r#"tidegate_sessions_ended_total{route="chat",end="idle"} 1"#,
        r#"tidegate_handshake_failures_total{route="chat",reason="silent"} 1"#,
        r#"tidegate_messages_total{route="chat",side="client"} 2"#,
        r#"tidegate_bytes_total{route="chat",side="upstream"} 0"#,
        r#"tidegate_requests_total{route="chat",status="4xx"} 1"#,
        r#"tidegate_ping_seconds_bucket{le="0.05",route="chat",side="client"} 1"#,
        r#"tidegate_session_seconds_sum{route="chat"} 20.0"#,
        r#"tidegate_connections_refused_total{listener="https",reason="connections_max"} 1"#,
        r#"tidegate_http_connections_open{listener="https",protocol="http/1.1"} 0"#,
        r#"tidegate_http_connections_open{listener="https",protocol="h2"} 1"#,
        r#"tidegate_http2_streams_open{listener="https"} 3"#,
        r#"tidegate_http2_streams_reset_total{listener="https",by="client",code="cancel"} 1"#,
        r#"tidegate_http2_connection_failures_total{listener="https",reason="resets"} 1"#,
        r#"tidegate_backend_sessions{pool="websocket",backend="b"} 4"#,
        r#"tidegate_backend_handshakes_waiting{pool="websocket",backend="b"} 1"#,
        r#"tidegate_sticky_lost_total{pool="websocket",reason="out"} 1"#,
        r#"tidegate_worker_connections{worker="1"} 5"#,
        r#"tidegate_config_generation 3"#,
        r#"tidegate_backend_requests_total{pool="websocket",backend="b",status="5xx"} 0"#,
        concat!(
            r#"tidegate_certificate_expiry_timestamp_seconds"#,
            r#"{listener="https",certificate="chain.pem"} 1800000000.0"#
        ),
        r#"tidegate_handshake_seconds_bucket{le="20.0",route="chat"} 3"#,
        "tidegate_config_last_reload_successful 1",
        "process_cpu_seconds_total 1.5",
        "process_threads 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_label_with_quotes_and_backslashes_is_escaped() {
    let metrics = Metrics::new(1);
    let route = metrics.route(&name("~ ^/\\d+\"x"));
    route.here().request(http::StatusCode::OK);
    let text = open_metrics(&metrics);
    assert!(text.contains(r#"route="~ ^/\\d+\"x""#), "{text}");
}

#[tokio::test]
async fn workers_write_their_own_cells_and_a_scrape_adds_them_up() {
    let workers = Workers::start(3).unwrap();
    let metrics = Metrics::new(3);
    let route = metrics.route(&name("chat"));
    let cells = Arc::clone(&route);
    workers.queues().ask_all(move |_| cells.here().relayed(Side::Client, 1, 10)).await;
    assert_eq!(route.each().count(), 3);
    assert_eq!(route.sum(|cells| &cells.bytes[Side::Client]), 30);
}

#[test]
fn a_route_is_forgotten_when_nobody_holds_its_cells() {
    let metrics = Metrics::new(1);
    let held = metrics.route(&name("held"));
    drop(metrics.route(&name("gone")));
    held.here().request(http::StatusCode::OK);
    metrics.forget_unused();
    let text = open_metrics(&metrics);
    assert!(text.contains(r#"route="held""#) && !text.contains(r#"route="gone""#));
    assert!(Arc::ptr_eq(&held, &metrics.route(&name("held"))));
}

/// The page of all metrics, as the catalogue has them.
fn guide() -> String {
    const HEAD: &str = "# Metrics

`/metrics` of the [admin listener](../README.md) speaks Prometheus' text format 0.0.4, or
OpenMetrics 1.0.0 where `Accept` likes that best. This page is printed from the source.

Every series belongs to something in the configuration, and goes with it: after a reload that
removes a route, a backend or a certificate, and once its last session has ended. No metric has a
session, a client or a path as its label. `route` is the route's name, else its path; `backend` is
the address as it is written. `end` is the word of [the log](logs.md); `reason` of what is refused
is the word of [refusals](refusals.md).

A counter's sample ends in `_total`, an info's in `_info`. A histogram has `_bucket`, `_sum` and
`_count`.
";
    const SECTIONS: [(&[&str], &str); 8] = [
        (&[], "The process"),
        (&["listener"], "By listener"),
        (&["listener", "certificate"], "By certificate"),
        (&["route"], "By route"),
        (&["rule"], "By access rule"),
        (&["pool"], "By pool"),
        (&["pool", "source"], "By source of a pool's members"),
        (&["pool", "backend"], "By backend"),
    ];
    let mut page = HEAD.to_owned() + &questions::section();
    let all: Vec<&Metric> = ALL.iter().copied().flatten().collect();
    let mut printed = 0;
    for (labels, title) in SECTIONS {
        page += &format!("\n## {title}\n\n| metric | kind | labels | what |\n");
        page += "|---|---|---|---|\n";
        for metric in all.iter().filter(|metric| metric.owner_labels == labels) {
            let ending = match metric.kind {
                MetricKind::Counter => "_total",
                MetricKind::Info => "_info",
                MetricKind::Gauge | MetricKind::Histogram => "",
            };
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels: Vec<String> =
                metric.all_labels().map(|label| format!("`{label}`")).collect();
            let (name, help) = (metric.name, metric.help);
            page += &format!("| `{name}{ending}` | {kind} | {} | {help} |\n", labels.join(", "));
            printed += 1;
        }
    }
    assert_eq!(printed, all.len(), "a metric with labels of its own is in no section");
    page += "
## Alerts

[`grafana/alerts.yml`](../grafana/alerts.yml) has these rules for Prometheus (`rule_files`).

| alert | expression | says |
|---|---|---|
";
    for alerts::Alert { name, expression, says, .. } in &alerts::ALERTS {
        // A bar would end the cell.
        let expression = expression.replace('|', "\\|");
        page += &format!("| {name} | `{expression}` | {says} |\n");
    }
    page += "
## The dashboard

[`grafana/tidegate.json`](../grafana/tidegate.json) is a dashboard for Grafana (Dashboards, New,
Import): sessions, restarts of backends, plain requests, backends, clients' connections and the
process, by instance, listener, route and pool, and every other metric behind them. Like the rules
it is written by a test from the catalogue of the metrics, so it names none that is gone.
";
    page
}

/// Fails where a file is not what was generated; `TIDEGATE_BLESS=1` writes it.
fn is_generated(file: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{file} is not as the catalogue has it: TIDEGATE_BLESS=1 prints it");
}

#[test]
fn the_guide_has_every_metric() {
    is_generated("config/guides/metrics.md", &guide());
}
