//! The Grafana dashboard of `config/grafana/tidegate.json`: rows chosen by hand, and behind them a
//! row with every metric that none of those shows, so that a new metric is there by itself.

use serde_json::{Value, json};

use super::super::catalogue::ALL;
use super::expression;
use super::panels::{NOW, ROWS};
use crate::observe::metrics::{Metric, MetricKind};

/// Variables that narrow a panel down, each a label.
const VARIABLES: [&str; 3] = ["listener", "route", "pool"];

/// How many columns Grafana's grid has.
const GRID_COLUMNS: u64 = 24;

/// The expression that shows a metric which no row shows, its legend and its unit.
fn plain(metric: &Metric) -> (String, String, &'static str) {
    let name = metric.name;
    let labels: Vec<&str> = metric.all_labels().collect();
    let by = if labels.is_empty() { "instance".to_owned() } else { labels.join(", ") };
    let legend: Vec<String> = by.split(", ").map(|label| format!("{{{{{label}}}}}")).collect();
    let unit = if name.ends_with("_bytes") { "bytes" } else { "short" };
    let expression = match metric.kind {
        MetricKind::Counter => {
            return (
                format!("sum by ({by}) (rate({name}_total[RANGE]))"),
                legend.join(", "),
                "cps",
            );
        }
        MetricKind::Histogram => {
            let by = format!("sum by (le, {by}) (rate({name}_bucket[RANGE]))");
            return (format!("histogram_quantile(0.99, {by})"), legend.join(", "), "s");
        }
        MetricKind::Info => format!("{name}_info"),
        MetricKind::Gauge if name.ends_with("timestamp_seconds") => format!("{name} * 1000"),
        MetricKind::Gauge if name.ends_with("start_time_seconds") => format!("{name} * 1000"),
        MetricKind::Gauge => name.to_owned(),
    };
    let unit = if expression.ends_with("* 1000") { "dateTimeAsIso" } else { unit };
    (expression, legend.join(", "), unit)
}

/// The dashboard as it is put together, and which metrics it shows already.
#[derive(Default)]
struct Dashboard {
    panels: Vec<Value>,
    shown: Vec<&'static str>,
    /// Where the next panel goes.
    x: u64,
    y: u64,
    /// How high the line of panels is in which it stands.
    line: u64,
}

impl Dashboard {
    /// The place of a panel of this size, behind the last one or on a new line.
    fn place(&mut self, width: u64, height: u64) -> Value {
        if self.x + width > GRID_COLUMNS {
            (self.x, self.y) = (0, self.y + self.line);
        }
        let place = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        (self.x, self.line) = (self.x + width, height);
        place
    }

    fn row(&mut self, title: &str, collapsed: bool) {
        self.x = GRID_COLUMNS;
        let place = self.place(GRID_COLUMNS, 1);
        let row = json!({ "type": "row", "title": title, "collapsed": collapsed, "panels": [],
            "gridPos": place, "id": self.panels.len() + 1 });
        self.panels.push(row);
    }

    fn panel(
        &mut self,
        (kind, width, height): (&str, u64, u64),
        (title, description, unit): (&str, &str, &str),
        series: &[(String, String)],
    ) {
        let mut targets = Vec::new();
        for (index, (expression, legend)) in series.iter().enumerate() {
            let expression = expression
                .replace("RANGE", "$__rate_interval")
                .replace("OURS", "and on (instance, job) tidegate_workers");
            let metrics = expression::metrics(&expression);
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().unwrap();
                expression::has_label(metrics[0], label, legend);
            }
            self.shown.extend(metrics.iter().map(|metric| metric.name));
            targets.push(json!({
                "refId": char::from(b'A' + index as u8).to_string(),
                "expr": expression::select(&expression, &VARIABLES),
                "legendFormat": legend,
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
            }));
        }
        let place = self.place(width, height);
        self.panels.push(json!({
            "id": self.panels.len() + 1, "type": kind, "title": title, "description": description,
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
            "gridPos": place, "targets": targets,
            "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
            "options": {},
        }));
    }

    /// The rows chosen by hand, then all that they do not show.
    fn all() -> Dashboard {
        let mut dashboard = Dashboard::default();
        for panel in NOW {
            dashboard.panel(
                ("stat", 3, 4),
                (panel.title, "", panel.unit),
                &panel.series.expressions(),
            );
        }
        for (title, panels) in ROWS {
            dashboard.row(title, false);
            for panel in *panels {
                let series = panel.series.expressions();
                let help = expression::metrics(&series[0].0)[0].help;
                let (title, unit) = (panel.title, panel.unit);
                dashboard.panel(("timeseries", 8, 8), (title, help, unit), &series);
            }
        }
        dashboard.row("Everything else", false);
        for metric in ALL.iter().copied().flatten() {
            if !dashboard.shown.contains(&metric.name) {
                let (expression, legend, unit) = plain(metric);
                let texts = (metric.name, metric.help, unit);
                dashboard.panel(("timeseries", 6, 6), texts, &[(expression, legend)]);
            }
        }
        dashboard
    }

    fn json(self) -> Value {
        let variable = |name: &str, sample: &str| {
            json!({ "name": name, "type": "query", "refresh": 2, "multi": true, "includeAll": true,
                "allValue": ".*", "sort": 1,
                "current": { "selected": true, "text": "All", "value": "$__all" },
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "query": { "query": format!("label_values({sample}, {name})"), "refId": name } })
        };
        let mut variables = vec![
            json!({ "name": "datasource", "type": "datasource", "query": "prometheus" }),
            variable("instance", "tidegate_build_info"),
        ];
        let samples =
            ["tidegate_connections_open", "tidegate_sessions_live", "tidegate_backend_up"];
        for (name, sample) in VARIABLES.iter().zip(samples) {
            expression::has_label(expression::metrics(sample)[0], name, sample);
            variables.push(variable(name, sample));
        }
        json!({
            "title": "tidegate", "uid": "tidegate", "tags": ["tidegate", "websocket"],
            "description": "Written by a test from tidegate's catalogue of metrics",
            "schemaVersion": 39, "version": 1, "editable": true, "graphTooltip": 1,
            "refresh": "10s", "time": { "from": "now-1h", "to": "now" },
            "annotations": { "list": [] }, "templating": { "list": variables },
            "panels": self.panels,
        })
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let dashboard = Dashboard::all();
    for metric in ALL.iter().copied().flatten() {
        assert!(dashboard.shown.contains(&metric.name), "{} is on no panel", metric.name);
    }
    let text = serde_json::to_string_pretty(&dashboard.json()).unwrap();
    super::is_generated("config/grafana/tidegate.json", &(text + "\n"));
}
