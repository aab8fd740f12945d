//! Spans of traces: what they say, the queue that they wait in, and how a batch is written (OTLP,
//! the JSON encoding of `ExportTraceServiceRequest`).
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::metrics::Metrics;
use crate::base::label::Label;
use crate::base::trace_context::TraceContext;

/// Spans that wait to be sent; more are dropped and counted.
pub const SPANS_WAITING_MAX: usize = 2_048;

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct TraceSpan {
    /// Its ids.
    pub context: TraceContext,
    /// The span that it is part of, where somebody before us began one.
    pub parent: Option<u64>,
    /// Another span that it has to do with, of another trace.
    pub link: Option<TraceContext>,
    /// What it is about, one of few words.
    pub name: String,
    /// Whether it is the answer to a request; else something that happened here.
    pub is_server: bool,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// What is to be said of it, by the names of OpenTelemetry's conventions where they have some.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// What an attribute says.
#[derive(Clone, PartialEq, Debug)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

/// Why spans were lost, or that they were not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanFate {
    /// The collector has taken it.
    Sent,
    /// The queue was full: the collector is slow.
    QueueFull,
    /// The collector has not taken it.
    Unsent,
}

impl Label for SpanFate {
    fn label(&self) -> &'static str {
        match self {
            SpanFate::Sent => "sent",
            SpanFate::QueueFull => "queue_full",
            SpanFate::Unsent => "unsent",
        }
    }
}

/// Where spans go; cheap to clone.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    spans: mpsc::Sender<TraceSpan>,
    metrics: Arc<Metrics>,
}

impl SpanQueue {
    /// A queue, and what comes out of it.
    pub fn new(metrics: &Arc<Metrics>) -> (SpanQueue, mpsc::Receiver<TraceSpan>) {
        let (spans, waiting) = mpsc::channel(SPANS_WAITING_MAX);
        (SpanQueue { spans, metrics: Arc::clone(metrics) }, waiting)
    }

    /// Puts a span in, or counts it as lost: nobody waits for a collector.
    pub fn put(&self, span: TraceSpan) {
        if self.spans.try_send(span).is_err() {
            self.metrics.process.trace_spans.count(SpanFate::QueueFull);
        }
    }
}

/// A batch as it is sent.
pub fn batch(spans: &[TraceSpan]) -> Value {
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let resource = [
        attribute("service.name", json!({ "stringValue": "tidegate" })),
        attribute("service.version", json!({ "stringValue": env!("CARGO_PKG_VERSION") })),
        attribute("process.pid", json!({ "intValue": std::process::id().to_string() })),
    ];
    let scope = json!({ "name": "tidegate", "version": env!("CARGO_PKG_VERSION") });
    let spans: Vec<Value> = spans.iter().map(written).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] })
}

fn written(span: &TraceSpan) -> Value {
    /// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
    const KINDS: [u8; 2] = [1, 2];
    /// `STATUS_CODE_ERROR`.
    const ERROR: u8 = 2;
    let TraceSpan { context, parent, link, name, is_server, attributes, is_error, .. } = span;
    let attributes = attributes.iter().map(|(key, value)| {
        let value = match value {
            SpanValue::Text(text) => json!({ "stringValue": text }),
            // 64 bits are text in protobuf's JSON.
            SpanValue::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    });
    let mut json = json!({
        "traceId": trace_id(context), "spanId": span_id(context.span),
        "name": name, "kind": KINDS[usize::from(*is_server)],
        "startTimeUnixNano": nanos(span.start), "endTimeUnixNano": nanos(span.end),
        "attributes": attributes.collect::<Vec<Value>>(),
    });
    if let Some(parent) = parent {
        json["parentSpanId"] = span_id(*parent).into();
    }
    if let Some(link) = link {
        json["links"] = json!([{ "traceId": trace_id(link), "spanId": span_id(link.span) }]);
    }
    if *is_error {
        json["status"] = json!({ "code": ERROR });
    }
    json
}

fn trace_id(context: &TraceContext) -> String {
    format!("{:032x}", context.trace)
}

fn span_id(span: u64) -> String {
    format!("{span:016x}")
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn span() -> TraceSpan {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let context = TraceContext { trace: 7, span: 8, is_sampled: true };
        TraceSpan {
            context,
            parent: Some(9),
            link: Some(context),
            name: "GET".to_owned(),
            is_server: true,
            start,
            end: start + Duration::from_millis(2),
            attributes: vec![("http.response.status_code", SpanValue::Number(200))],
            is_error: true,
        }
    }

    #[test]
    fn a_batch_is_written_as_the_protocol_has_it() {
        let batch = batch(&[span()]);
        let span = &batch["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "00000000000000000000000000000007");
        let ids = (span["spanId"].as_str(), span["parentSpanId"].as_str());
        assert_eq!(ids, (Some("0000000000000008"), Some("0000000000000009")));
        assert_eq!(span["endTimeUnixNano"], "1502000000");
        assert_eq!(span["attributes"][0]["value"]["intValue"], "200");
        assert_eq!((&span["status"]["code"], &span["kind"]), (&2.into(), &2.into()));
    }

    #[test]
    fn a_full_queue_counts_what_it_drops() {
        let metrics = Metrics::new(1);
        let (queue, _waiting) = SpanQueue::new(&metrics);
        (0..SPANS_WAITING_MAX + 3).for_each(|_| queue.put(span()));
        assert_eq!(metrics.process.trace_spans.get("queue_full"), 3);
    }
}
