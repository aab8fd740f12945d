//! What the dashboard shows, in rows: chosen by hand, held against the catalogue by `dashboard`.

/// A panel of the dashboard.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) series: Series,
}

/// What a panel draws.
pub(super) enum Series {
    /// Expressions without selectors, each with its legend; `RANGE` is the interval of a
    /// rate, `OURS` keeps what other programs report from the metrics of every process.
    Expressions(&'static [(&'static str, &'static str)]),
    /// Median and slowest hundredth of a histogram, by a label that may be empty.
    Quantiles(&'static str, &'static str),
}

impl Series {
    /// Its expressions, each with its legend.
    pub(super) fn expressions(&self) -> Vec<(String, String)> {
        let owned = |(expression, legend): &(&str, &str)| ((*expression).into(), (*legend).into());
        match self {
            Series::Expressions(series) => series.iter().map(owned).collect(),
            Series::Quantiles(histogram, label) => {
                let by = if label.is_empty() { "le".into() } else { format!("le, {label}") };
                let of = if label.is_empty() { "".into() } else { format!(", {{{{{label}}}}}") };
                let series = |quantile, name| {
                    let rates = format!("sum by ({by}) (rate({histogram}_bucket[RANGE]))");
                    let expression = format!("histogram_quantile({quantile}, {rates})");
                    (expression, format!("{name}{of}"))
                };
                vec![series("0.5", "median"), series("0.99", "99 %")]
            }
        }
    }
}

const fn panel(
    title: &'static str,
    unit: &'static str,
    series: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, series: Series::Expressions(series) }
}

const fn quantiles(title: &'static str, histogram: &'static str, by: &'static str) -> Panel {
    Panel { title, unit: "s", series: Series::Quantiles(histogram, by) }
}

/// The first row: one number each.
pub(super) const NOW: &[Panel] = &[
    panel("Sessions", "short", &[("sum(tidegate_sessions_live)", "")]),
    panel("Sessions held", "short", &[("sum(tidegate_sessions_held)", "")]),
    panel("Messages a second", "cps", &[("sum(rate(tidegate_messages_total[RANGE]))", "")]),
    panel("Bytes a second", "Bps", &[("sum(rate(tidegate_bytes_total[RANGE]))", "")]),
    panel("Backends up", "short", &[("sum(tidegate_backend_up)", "")]),
    panel("CPU cores used", "none", &[("sum(rate(process_cpu_seconds_total[RANGE]) OURS)", "")]),
    panel("Memory", "bytes", &[("sum(process_resident_memory_bytes OURS)", "")]),
    panel(
        "Configuration refused",
        "short",
        &[("sum(1 - tidegate_config_last_reload_successful)", "")],
    ),
];

/// The rows behind it, each by its title.
pub(super) const ROWS: &[(&str, &[Panel])] = &[
    (
        "Sessions",
        &[
            panel(
                "Sessions live",
                "short",
                &[("sum by (route) (tidegate_sessions_live)", "{{route}}")],
            ),
            panel(
                "Sessions opened",
                "cps",
                &[("sum by (route) (rate(tidegate_sessions_opened_total[RANGE]))", "{{route}}")],
            ),
            panel(
                "Sessions ended, by why",
                "cps",
                &[("sum by (end) (rate(tidegate_sessions_ended_total[RANGE]))", "{{end}}")],
            ),
            panel(
                "Messages",
                "cps",
                &[(
                    "sum by (route, side) (rate(tidegate_messages_total[RANGE]))",
                    "{{route}}, from {{side}}",
                )],
            ),
            panel(
                "Bytes",
                "Bps",
                &[(
                    "sum by (route, side) (rate(tidegate_bytes_total[RANGE]))",
                    "{{route}}, from {{side}}",
                )],
            ),
            quantiles("Round trip of pings", "tidegate_ping_seconds", "side"),
            quantiles("How long sessions lasted", "tidegate_session_seconds", ""),
            quantiles("Handshakes: time to the answer", "tidegate_handshake_seconds", ""),
            panel(
                "Handshakes that failed",
                "cps",
                &[(
                    "sum by (route, reason) (rate(tidegate_handshake_failures_total[RANGE]))",
                    "{{route}}: {{reason}}",
                )],
            ),
        ],
    ),
    (
        "Restarts of backends",
        &[
            panel(
                "Sessions held",
                "short",
                &[("sum by (route) (tidegate_sessions_held)", "{{route}}")],
            ),
            panel(
                "Holds that ended, by result",
                "cps",
                &[("sum by (result) (rate(tidegate_holds_ended_total[RANGE]))", "{{result}}")],
            ),
            quantiles("How long upstreams were away", "tidegate_hold_seconds", ""),
            panel(
                "Sessions that drains still close",
                "short",
                &[("sum by (reason) (tidegate_drain_sessions_left)", "{{reason}}")],
            ),
            panel(
                "Sessions asked to move",
                "cps",
                &[("sum by (pool) (rate(tidegate_rebalance_asked_total[RANGE]))", "{{pool}}")],
            ),
            panel(
                "Sessions of older processes",
                "short",
                &[("sum(tidegate_older_sessions_live)", "sessions")],
            ),
        ],
    ),
    (
        "Plain requests",
        &[
            panel(
                "Requests, by status",
                "reqps",
                &[("sum by (status) (rate(tidegate_requests_total[RANGE]))", "{{status}}")],
            ),
            quantiles("Time to the answer", "tidegate_request_seconds", "route"),
            panel(
                "Requests answered by tidegate itself",
                "reqps",
                &[("sum by (reason) (rate(tidegate_requests_refused_total[RANGE]))", "{{reason}}")],
            ),
        ],
    ),
    (
        "Backends",
        &[
            panel("Up", "short", &[("tidegate_backend_up", "{{backend}}")]),
            panel("Sessions", "short", &[("tidegate_backend_sessions", "{{backend}}")]),
            panel(
                "Handshakes that wait",
                "short",
                &[("tidegate_backend_handshakes_waiting", "{{backend}}")],
            ),
            panel(
                "Answers to plain requests",
                "reqps",
                &[(
                    "sum by (backend, status) (rate(tidegate_backend_requests_total[RANGE]))",
                    "{{backend}}: {{status}}",
                )],
            ),
            panel(
                "Answers to handshakes",
                "cps",
                &[(
                    "sum by (backend, status) (rate(tidegate_backend_handshakes_total[RANGE]))",
                    "{{backend}}: {{status}}",
                )],
            ),
            panel("Found", "short", &[("tidegate_discovery_members", "{{source}}")]),
            panel("Missing in answers", "short", &[("tidegate_discovery_missing", "{{source}}")]),
            panel("Age of answers", "s", &[("tidegate_discovery_age_seconds", "{{source}}")]),
            panel("Pass their probes", "short", &[("tidegate_backend_probe_up", "{{backend}}")]),
            panel(
                "Probes",
                "cps",
                &[(
                    "sum by (backend, outcome) (rate(tidegate_backend_probes_total[RANGE]))",
                    "{{backend}}: {{outcome}}",
                )],
            ),
            panel(
                "Connections that failed",
                "cps",
                &[(
                    "sum by (backend, reason) (rate(tidegate_dial_failures_total[RANGE]))",
                    "{{backend}}: {{reason}}",
                )],
            ),
        ],
    ),
    (
        "Clients' connections",
        &[
            panel(
                "Open",
                "short",
                &[("sum by (listener) (tidegate_connections_open)", "{{listener}}")],
            ),
            panel(
                "Accepted",
                "cps",
                &[(
                    "sum by (listener) (rate(tidegate_connections_accepted_total[RANGE]))",
                    "{{listener}}",
                )],
            ),
            panel(
                "Refused",
                "cps",
                &[(
                    "sum by (listener, reason) (rate(tidegate_connections_refused_total[RANGE]))",
                    "{{listener}}: {{reason}}",
                )],
            ),
            panel(
                "TLS handshakes",
                "cps",
                &[(
                    "sum by (listener) (rate(tidegate_tls_handshakes_total[RANGE]))",
                    "{{listener}}",
                )],
            ),
            panel(
                "TLS handshakes that failed",
                "cps",
                &[(
                    "sum by (reason) (rate(tidegate_tls_handshake_failures_total[RANGE]))",
                    "{{reason}}",
                )],
            ),
            panel(
                "HTTP/2 streams",
                "short",
                &[("sum by (listener) (tidegate_http2_streams_open)", "{{listener}}")],
            ),
            panel(
                "Kept out by access rules",
                "cps",
                &[(
                    "sum by (rule, reason) (rate(tidegate_access_denied_total[RANGE]))",
                    "{{rule}}: {{reason}}",
                )],
            ),
        ],
    ),
    (
        "The process",
        &[
            panel(
                "CPU cores used",
                "none",
                &[("rate(process_cpu_seconds_total[RANGE]) OURS", "{{instance}}")],
            ),
            panel("Memory", "bytes", &[("process_resident_memory_bytes OURS", "{{instance}}")]),
            panel(
                "Files open, of those there may be",
                "percentunit",
                &[("tidegate_files_open / tidegate_files_max", "{{instance}}")],
            ),
            panel(
                "Connections of each worker",
                "short",
                &[("tidegate_worker_connections", "{{instance}}, worker {{worker}}")],
            ),
            panel(
                "Reloads, by outcome",
                "cps",
                &[("sum by (outcome) (rate(tidegate_reloads_total[RANGE]))", "{{outcome}}")],
            ),
            panel(
                "Until the certificate expires",
                "s",
                &[(
                    "tidegate_certificate_expiry_timestamp_seconds - time()",
                    "{{listener}}: {{certificate}}",
                )],
            ),
        ],
    ),
];
