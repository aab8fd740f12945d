//! The alert rules of `config/grafana/alerts.yml`, and the guide's table of them.

use super::expression;

/// How soon somebody has to look.
#[derive(Clone, Copy)]
enum Severity {
    /// Clients are turned away, or soon will be.
    Critical,
    /// Something is not as it was configured to be.
    Warning,
}

/// An alert: where `expression` has a sample for so long, its summary is sent.
pub(super) struct Alert {
    pub(super) name: &'static str,
    pub(super) expression: &'static str,
    lasts: &'static str,
    severity: Severity,
    /// What is wrong; `{{ $labels.x }}` is the sample's label.
    summary: &'static str,
    /// What it says, in the guide's words, and what to do.
    pub(super) says: &'static str,
}

const fn alert(
    name: &'static str,
    expression: &'static str,
    (lasts, severity): (&'static str, Severity),
    summary: &'static str,
    says: &'static str,
) -> Alert {
    Alert { name, expression, lasts, severity, summary, says }
}

use Severity::{Critical, Warning};

pub(super) const ALERTS: [Alert; 15] = [
    alert(
        "TidegateReloadRefused",
        "tidegate_config_last_reload_successful == 0",
        ("1m", Warning),
        "the configuration that was read last was refused",
        "the file is refused; the old one is in force. `tidegate check` says why",
    ),
    alert(
        "TidegateRestartNeeded",
        "tidegate_config_restart_needed == 1",
        ("1h", Warning),
        "a key that applies at a start only was changed",
        "a key that applies at a start only was changed: `tidegate upgrade`, or restart",
    ),
    alert(
        "TidegateCertificateExpires",
        "tidegate_certificate_expiry_timestamp_seconds{certificate!~\"acme:.*\"} - time() \
         < 14 * 86400",
        ("1h", Warning),
        "certificate {{ $labels.certificate }} of {{ $labels.listener }} expires within two weeks",
        "a certificate expires within two weeks",
    ),
    alert(
        "TidegateCertificateNotRenewed",
        "tidegate_certificate_expiry_timestamp_seconds{certificate=~\"acme:.*\"} - time() \
         < 86400",
        ("1h", Warning),
        "certificate {{ $labels.certificate }} of {{ $labels.listener }} is not renewed",
        "a certificate that was to be renewed expires within a day: see `tidegate status`",
    ),
    alert(
        "TidegateCertificateExpired",
        "tidegate_certificate_expiry_timestamp_seconds - time() < 0",
        ("1m", Critical),
        "certificate {{ $labels.certificate }} of {{ $labels.listener }} has expired",
        "a certificate has expired: clients refuse it",
    ),
    alert(
        "TidegateBackendDown",
        "tidegate_backend_up == 0 and on (instance, pool, backend) tidegate_backend_disabled == 0",
        ("1m", Warning),
        "backend {{ $labels.backend }} of pool {{ $labels.pool }} is given no work",
        "a backend is given no work, and no operator's command disabled it",
    ),
    alert(
        "TidegatePoolDown",
        "max by (instance, pool) (tidegate_backend_up) == 0",
        ("30s", Critical),
        "no backend of pool {{ $labels.pool }} is up",
        "no backend of a pool is up",
    ),
    alert(
        "TidegateHandshakesFail",
        "rate(tidegate_handshake_failures_total[5m]) > 0",
        ("5m", Warning),
        "WebSocket handshakes of route {{ $labels.route }} fail: {{ $labels.reason }}",
        "handshakes fail, by `reason`",
    ),
    alert(
        "TidegateConnectionsRefused",
        "rate(tidegate_connections_refused_total[5m]) > 0",
        ("5m", Warning),
        "listener {{ $labels.listener }} refuses connections: {{ $labels.reason }}",
        "a limit is reached, by `reason`",
    ),
    alert(
        "TidegatePoolFull",
        "rate(tidegate_pool_full_total[5m]) > 0",
        ("5m", Warning),
        "pool {{ $labels.pool }} has as many sessions as it may",
        "every backend of a pool has as many sessions as it may",
    ),
    alert(
        "TidegateAcceptPauses",
        "rate(tidegate_accept_backoffs_total[5m]) > 0",
        ("1m", Critical),
        "listener {{ $labels.listener }} pauses: files or memory ran out",
        "files or memory ran out, and clients wait",
    ),
    alert(
        "TidegateFilesRunOut",
        "process_open_fds / process_max_fds > 0.8 and on (instance, job) tidegate_workers",
        ("5m", Warning),
        "more than 80 % of the files that the process may open are open",
        "the process runs out of files: raise `LimitNOFILE`",
    ),
    alert(
        "TidegateSessionsHeldLong",
        "sum by (instance, route) (tidegate_sessions_held) > 0",
        ("2m", Warning),
        "sessions of route {{ $labels.route }} are held: their upstream is away",
        "sessions are held because their upstream does not return",
    ),
    alert(
        "TidegateHoldsFail",
        "rate(tidegate_holds_ended_total{result!~\"resumed|ended\"}[5m]) > 0",
        ("1m", Warning),
        "held sessions of route {{ $labels.route }} were not resumed: {{ $labels.result }}",
        "holds end without an upstream, by `result`",
    ),
    alert(
        "TidegateLogLost",
        "rate(tidegate_log_lines_dropped_total[5m]) > 0",
        ("5m", Warning),
        "log lines are lost because the log is not read",
        "the log is not read",
    ),
];

/// The rules, as Prometheus reads them.
fn rules() -> String {
    let mut text =
        "# Alert rules for Prometheus: name this file in `rule_files`. It is written by a test from
# the same catalogue as the metrics themselves; `config/guides/metrics.md` explains them.
groups:
  - name: tidegate
    rules:
"
        .to_owned();
    for Alert { name, expression, lasts, severity, summary, .. } in &ALERTS {
        let severity = match severity {
            Critical => "critical",
            Warning => "warning",
        };
        text += &format!(
            "      - alert: {name}
        expr: >-
          {expression}
        for: {lasts}
        labels:
          severity: {severity}
        annotations:
          summary: \"{{{{ $labels.instance }}}}: {summary}\"
"
        );
    }
    text
}

#[test]
fn the_alert_rules_are_of_the_catalogue() {
    for alert in &ALERTS {
        let metrics = expression::metrics(alert.expression);
        for label in alert.summary.split("{{ $labels.").skip(1) {
            let label = label.split(" }}").next().unwrap();
            expression::has_label(metrics[0], label, alert.summary);
        }
    }
    super::is_generated("config/grafana/alerts.yml", &rules());
}

/// `promtool` of Prometheus reads the rules; where it is not installed, the test says so.
#[test]
fn promtool_takes_the_alert_rules() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grafana/alerts.yml");
    let mut promtool = std::process::Command::new("promtool");
    match promtool.args(["check", "rules", rules]).output() {
        Ok(done) => {
            let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
            assert!(done.status.success(), "{said}");
            assert!(said.contains(&format!("{} rules found", ALERTS.len())), "{said}");
        }
        Err(error) => eprintln!("skipped: promtool (Debian's package prometheus): {error}"),
    }
}
