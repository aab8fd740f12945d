//! Traces: spans of requests and sessions at a collector, and `traceparent` on its way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::access::ways::{Asker, both};
use crate::actors::{Backend, Certificates, Head, Wire, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<Value>>>);

impl Collected {
    /// All spans so far.
    fn spans(&self) -> Vec<Value> {
        let batches = self.0.lock().unwrap();
        let spans = |batch: &Value| {
            batch["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        };
        batches.iter().flat_map(spans).collect()
    }

    /// The span of this name, once there is one.
    async fn span(&self, name: &str) -> Value {
        let find = || self.spans().into_iter().find(|span| span["name"] == name);
        until(name, || find().is_some()).await;
        find().unwrap()
    }
}

/// A collector that keeps what it is sent.
async fn collector() -> (Backend, Collected) {
    let collected = Collected::default();
    let kept = collected.clone();
    let collector = Backend::script(move |head: Head, mut wire: Wire| {
        let kept = kept.clone();
        async move {
            assert_eq!(head.second(), "/v1/traces", "{head:?}");
            assert_eq!(head.get("content-type"), "application/json");
            let mut body = vec![0; head.get("content-length").parse().unwrap()];
            wire.read_exact(&mut body).await.unwrap();
            kept.0.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            wire.write_all(answer).await.unwrap();
        }
    })
    .await;
    (collector, collected)
}

fn traced(site: Site, collector: &Backend, sample: &str) -> Site {
    let endpoint = format!("http://{}", collector.address());
    site.table(&format!("[traces]\nendpoint = \"{endpoint}\"\nsample = \"{sample}\"\n"))
}

/// What an attribute of a span says.
fn said<'a>(span: &'a Value, name: &str) -> &'a str {
    let attributes = span["attributes"].as_array().unwrap();
    let one = attributes.iter().find(|one| one["key"] == name);
    let value = &one.unwrap_or_else(|| panic!("no {name}: {span}"))["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap()
}

#[tokio::test]
async fn a_session_is_two_short_spans_over_every_carrier_and_its_backend_reads_the_first() {
    let certificates = Certificates::new(&["localhost"]);
    for carrier in ["plain", "tls", "h2"] {
        let backend = Backend::echo("one").await;
        let (collector, collected) = collector().await;
        let site = traced(both(site(&[&backend]), &certificates), &collector, "0%");
        let proxy = Proxy::start(&site).await;
        let told = format!("00-{TRACE}-{SPAN}-01");
        let asker = Asker::new(&proxy, &certificates).field("traceparent", &told);
        let mut streams = None;
        let mut session = match carrier {
            "plain" => asker.client(false).open().await,
            "tls" => asker.client(true).open().await,
            _ => {
                let streams = streams.insert(asker.streams(true).await);
                streams.open_by(asker.handshake()).await
            }
        };
        session.echo("hello").await;
        let opened = collected.span("session open").await;
        assert_eq!((&opened["traceId"], &opened["parentSpanId"]), (&TRACE.into(), &SPAN.into()));
        let onward = format!("00-{TRACE}-{}-01", opened["spanId"].as_str().unwrap());
        assert_eq!(backend.head().get("traceparent"), onward, "{carrier}");
        assert_eq!(said(&opened, "tidegate.attempts"), "1");
        for part in ["wait", "dial", "answer"] {
            let took: u64 = said(&opened, &format!("tidegate.{part}_ms")).parse().unwrap();
            assert!(took < 20_000, "{opened}");
        }
        session.close(1000, "").await;
        let ended = collected.span("session end").await;
        assert_eq!(ended["links"][0]["traceId"], TRACE);
        assert_eq!(ended["links"][0]["spanId"], opened["spanId"]);
        assert_ne!(ended["traceId"], TRACE, "hours later it is a trace of its own");
        assert_eq!(said(&ended, "tidegate.client_messages"), "1");
        assert_eq!(said(&ended, "tidegate.session"), said(&opened, "tidegate.session"));
        assert_eq!(said(&ended, "tidegate.end"), "client_closed");
        drop(streams);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_request_is_a_span_and_what_whoever_asks_keeps_is_kept() {
    let backend =
        Backend::answering("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
            .await;
    let (collector, collected) = collector().await;
    let proxy = Proxy::start(&traced(site(&[&backend]), &collector, "0%")).await;
    let ask = async |field: &str| {
        let client = proxy.client().path("/a?token=s3cret").field("traceparent", field);
        client.request("GET", "").await.0.status()
    };
    // Not kept by whoever asks, or no trace at all: it goes on as it came.
    let unkept = format!("00-{TRACE}-{SPAN}-00");
    for field in [&*unkept, "00-zz"] {
        assert_eq!(ask(field).await, 503);
        assert_eq!(backend.heads().last().unwrap().get("traceparent"), field);
    }
    assert_eq!(ask(&format!("00-{TRACE}-{SPAN}-01")).await, 503);
    let span = collected.span("GET").await;
    assert_eq!(collected.spans().len(), 1);
    assert_eq!((&span["traceId"], &span["kind"]), (&TRACE.into(), &2.into()));
    assert_eq!(span["status"]["code"], 2, "{span}");
    assert_eq!(said(&span, "http.response.status_code"), "503");
    assert_eq!(said(&span, "url.path"), "/a", "no query");
    assert_eq!(said(&span, "tidegate.backend"), backend.address().to_string());
    let (from, to) = (span["startTimeUnixNano"].as_str(), span["endTimeUnixNano"].as_str());
    assert!(from.map(str::len) == Some(19) && to >= from, "{span}");
    // All that comes without one are kept now; the reload changes nothing else.
    proxy.reload(&traced(site(&[&backend]), &collector, "100%")).await.unwrap();
    assert_eq!(proxy.client().request("POST", "").await.0.status(), 503);
    let span = collected.span("POST").await;
    assert!(span["parentSpanId"].is_null() && span["traceId"] != TRACE, "{span}");
    let field = backend.heads().last().unwrap().get("traceparent").to_owned();
    assert!(field.contains(span["spanId"].as_str().unwrap()), "{field}");
    // The collector has a span before its answer is read here and the span counted.
    let counted = "tidegate_trace_spans_total{outcome=\"sent\"} 2";
    until("both spans to be counted", || proxy.scrape().contains(counted)).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_ends_with_the_process_is_sent_before_it_has_stopped() {
    let backend = Backend::echo("one").await;
    let (collector, collected) = collector().await;
    let proxy = Proxy::start(&traced(site(&[&backend]), &collector, "100%")).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = proxy.client().open().await;
        session.echo("hello").await;
        sessions.push(session);
    }
    // These are stopped with it: no second passes in which others of a batch are waited for.
    proxy.begin_stop();
    for session in sessions {
        session.ending().await;
    }
    proxy.stopped().await;
    let spans = collected.spans();
    let ended = spans.iter().filter(|span| span["name"] == "session end").count();
    assert_eq!(ended, 4, "{spans:?}");
}

#[tokio::test]
async fn a_collector_that_is_dead_slow_or_endless_costs_nobody_anything() {
    let backend = Backend::echo("one").await;
    let refusing = Backend::answering("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n").await;
    let silent = Backend::silent().await;
    let endless = Backend::script(|_, mut wire: Wire| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
        wire.write_all(head).await.unwrap();
        while wire.write_all(&[b'x'; 65_536]).await.is_ok() {}
    })
    .await;
    let dead = Backend::silent().await;
    for (collector, outcome) in
        [(&refusing, "unsent"), (&dead, "unsent"), (&silent, "unsent"), (&endless, "sent")]
    {
        let toml = traced(site(&[&backend]), collector, "100%");
        if std::ptr::eq(collector, &dead) {
            collector.refuse().await;
        }
        let proxy = Proxy::start(&toml).await;
        for _ in 0..50 {
            let mut session = proxy.client().open().await;
            session.echo("hello").await;
            session.close(1000, "").await;
        }
        let counted = format!("tidegate_trace_spans_total{{outcome=\"{outcome}\"}}");
        let patience = Duration::from_secs(20);
        let seen = async {
            while !proxy.scrape().contains(&counted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            tokio::time::timeout(patience, seen).await.is_ok(),
            "{outcome}: {}",
            proxy.scrape()
        );
        proxy.stop().await;
    }
}
