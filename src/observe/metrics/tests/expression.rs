//! Expressions of Prometheus' query language, held against the catalogue: a metric that is gone, a
//! counter without `_total` or a label that a metric does not have is a fault.

use super::super::catalogue::ALL;
use crate::observe::metrics::{Metric, MetricKind};

/// Labels that Prometheus itself gives a sample.
const PROMETHEUS_LABELS: [&str; 3] = ["instance", "job", "le"];

/// A word of an expression that is not inside quotes or a range, and where it begins.
struct Word<'a> {
    at: usize,
    text: &'a str,
}

fn words(expression: &str) -> Vec<Word<'_>> {
    let (mut found, mut from, mut quoted, mut range) = (Vec::new(), None, false, false);
    let end = [(expression.len(), ' ')];
    for (at, letter) in expression.char_indices().chain(end) {
        let in_word = letter.is_ascii_alphanumeric() || letter == '_';
        match (from, in_word && !quoted && !range) {
            (None, true) => from = Some(at),
            (Some(start), false) => {
                found.push(Word { at: start, text: &expression[start..at] });
                from = None;
            }
            _ => {}
        }
        match letter {
            '"' => quoted = !quoted,
            '[' | ']' if !quoted => range = letter == '[',
            _ => {}
        }
    }
    found
}

/// The metric whose sample has this name.
fn metric_of_sample(sample: &str) -> Option<&'static Metric> {
    ALL.iter().copied().flatten().find(|metric| {
        let endings: &[&str] = match metric.kind {
            MetricKind::Counter => &["_total"],
            MetricKind::Info => &["_info"],
            MetricKind::Gauge => &[""],
            MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        };
        let ending = sample.strip_prefix(metric.name);
        ending.is_some_and(|ending| endings.contains(&ending))
    })
}

fn is_sample(word: &str) -> bool {
    word.starts_with("tidegate_") || word.starts_with("process_")
}

/// The metrics of an expression, each once.
///
/// # Panics
///
/// Where a sample is no metric's, a label is none of the metric it stands at, or nothing is asked.
pub(super) fn metrics(expression: &str) -> Vec<&'static Metric> {
    let mut found: Vec<&Metric> = Vec::new();
    for word in words(expression).iter().filter(|word| is_sample(word.text)) {
        let metric = metric_of_sample(word.text);
        let metric = metric.unwrap_or_else(|| panic!("no metric has {}: {expression}", word.text));
        if !found.iter().any(|known| std::ptr::eq(*known, metric)) {
            found.push(metric);
        }
    }
    assert!(!found.is_empty(), "no metric in {expression}");
    for group in expression.split("by (").skip(1) {
        let group = group.split(')').next().unwrap_or(group);
        for label in group.split(", ") {
            for metric in &found {
                has_label(metric, label, expression);
            }
        }
    }
    found
}

/// Fails where a metric does not have a label.
pub(super) fn has_label(metric: &Metric, label: &str, expression: &str) {
    let known = metric.all_labels().any(|own| own == label) || PROMETHEUS_LABELS.contains(&label);
    assert!(known, "{} has no label {label}: {expression}", metric.name);
}

/// The expression with a selector behind each sample: of the instance, and of those of `variables`
/// that are labels of its metric. A selector that stands there already is completed.
pub(super) fn select(expression: &str, variables: &[&str]) -> String {
    let mut selected = expression.to_owned();
    for word in words(expression).iter().filter(|word| is_sample(word.text)).rev() {
        let metric = metric_of_sample(word.text).unwrap();
        let mut selector = r#"instance=~"$instance""#.to_owned();
        for variable in variables {
            if metric.all_labels().any(|label| label == *variable) {
                selector += &format!(r#",{variable}=~"${variable}""#);
            }
        }
        let end = word.at + word.text.len();
        if selected[end..].starts_with('{') {
            selected.insert_str(end + 1, &format!("{selector},"));
        } else {
            selected.insert_str(end, &format!("{{{selector}}}"));
        }
    }
    selected
}

#[test]
fn a_metric_that_is_gone_is_a_fault() {
    let refused = |expression: &'static str| std::panic::catch_unwind(|| metrics(expression));
    assert_eq!(metrics("sum by (route) (rate(tidegate_messages_total[5m]))").len(), 1);
    assert_eq!(metrics("process_open_fds / process_max_fds > 0.8").len(), 2);
    for expression in [
        "tidegate_no_such_thing",
        "rate(tidegate_messages[5m])",
        "tidegate_sessions_live_total",
        "sum by (backend) (tidegate_sessions_live)",
        "vector(1)",
    ] {
        assert!(refused(expression).is_err(), "{expression}");
    }
}

#[test]
fn a_selector_names_the_labels_a_metric_has() {
    let asked = r#"rate(tidegate_bytes_total{side="client"}[5m]) / tidegate_workers"#;
    assert_eq!(
        select(asked, &["route"]),
        [
            r#"rate(tidegate_bytes_total{instance=~"$instance","#,
            r#"route=~"$route",side="client"}[5m])"#,
            r#" / tidegate_workers{instance=~"$instance"}"#,
        ]
        .concat()
    );
}
