//! What the guide to the metrics answers: questions, each with an expression of Prometheus'.

use super::expression::metrics;

/// A question that an operator asks, the expression that answers it, and what else there is to say.
pub(super) const QUESTIONS: [(&str, &str, &str); 13] = [
    (
        "How many clients are connected?",
        "sum by (route) (tidegate_sessions_live)",
        "a WebSocket each",
    ),
    (
        "How do sessions end?",
        "sum by (end) (rate(tidegate_sessions_ended_total[5m]))",
        "`client_closed` is the ordinary end, `client_lost` a network that is gone; the rest is in \
         [the log](logs.md#how-sessions-end)",
    ),
    (
        "How many sessions did a restart of the backends cost?",
        "sum by (route) (increase(tidegate_sessions_ended_total{\
         end=~\"upstream_lost|upstream_silent\"}[10m]))",
        "on routes with `hold` this stays at 0 where backends confirm",
    ),
    (
        "Did `hold` work?",
        "sum by (result) (increase(tidegate_holds_ended_total[1h]))",
        "`resumed`: the client noticed nothing",
    ),
    (
        "How long were clients without a backend?",
        "histogram_quantile(0.95, sum by (le) (rate(tidegate_hold_seconds_bucket[1h])))",
        "of sessions that were held",
    ),
    (
        "Why can clients not connect?",
        "sum by (reason) (rate(tidegate_handshake_failures_total[5m]))",
        "each word is in [refusals](refusals.md)",
    ),
    (
        "How long does it take to connect?",
        "histogram_quantile(0.99, sum by (le) (rate(tidegate_handshake_seconds_bucket[5m])))",
        "from the request to the 101, the backend's time included",
    ),
    (
        "How far away are the clients?",
        "histogram_quantile(0.5, sum by (le, side) (rate(tidegate_ping_seconds_bucket[5m])))",
        "round trips of pings, of clients and of backends by `side`",
    ),
    (
        "How many messages pass?",
        "sum by (route, side) (rate(tidegate_messages_total[1m]))",
        "`side` is who sent them",
    ),
    (
        "Are the backends even?",
        "max by (pool) (tidegate_backend_sessions) / avg by (pool) (tidegate_backend_sessions)",
        "1 is even; `tidegate_rebalance_would_move` says how many sessions would have to move",
    ),
    (
        "Is a deploy through?",
        "tidegate_drain_sessions_left",
        "and `tidegate_older_processes` after an upgrade: both come to 0",
    ),
    (
        "Is the file on disk what runs?",
        "tidegate_config_last_reload_successful == 1 and tidegate_config_restart_needed == 0",
        "nothing is answered where it is not",
    ),
    (
        "How much room is left?",
        "1 - process_open_fds / process_max_fds",
        "a session takes two files: [sizing](sizing.md)",
    ),
];

/// The section of the guide.
pub(super) fn section() -> String {
    let mut text = String::from("\n## Questions\n\n| question | expression | |\n|---|---|---|\n");
    for (question, expression, hint) in QUESTIONS {
        // A bar would end the cell.
        let expression = expression.replace('|', "\\|");
        text += &format!("| {question} | `{expression}` | {hint} |\n");
    }
    text
}

#[test]
fn every_question_asks_for_metrics_that_there_are() {
    for (question, expression, _) in QUESTIONS {
        assert!(!metrics(expression).is_empty(), "{question}");
    }
}
