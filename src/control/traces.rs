//! Sends spans to a collector (OTLP over HTTP, JSON): in batches, one at a time, and nobody waits.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::base::clock::{self, Moment};
use crate::base::task;
use crate::config::plan::Traces;
use crate::observe::metrics::Metrics;
use crate::observe::spans::{self, SpanFate, TraceSpan};
use crate::pool::{Dialler, SingleExchangeError, single_exchange};
use crate::session::App;

/// Spans of a batch.
pub const BATCH_SPANS_MAX: usize = 512;

/// How long a span waits for others of its batch.
pub const BATCH_WAIT: Duration = Duration::from_secs(1);

/// How long a collector may take for a batch.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a collector's answer that are read.
pub const COLLECTOR_ANSWER_BYTES_MAX: usize = 64 << 10;

/// How often it is said that a collector takes nothing.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// How long the last spans of a process may take.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Has the spans sent that wait.
pub(super) struct TraceFlush(mpsc::Sender<oneshot::Sender<()>>);

impl TraceFlush {
    /// Waits until the spans are sent that wait by now, or the collector takes none.
    pub(super) async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.0.try_send(done).is_ok() {
            // It is dropped when nothing waits any more.
            let _ = timeout(FLUSH_TIMEOUT, told).await;
        }
    }
}

/// Spans on their way to batches.
struct WaitingSpans {
    spans: mpsc::Receiver<TraceSpan>,
    flushes: mpsc::Receiver<oneshot::Sender<()>>,
    /// They are to go at once: who waits for that.
    flush: Option<oneshot::Sender<()>>,
}

/// Starts to send what comes, until nothing can come any more.
pub(super) fn start(
    app: &Arc<App>,
    metrics: &Arc<Metrics>,
    spans: mpsc::Receiver<TraceSpan>,
) -> TraceFlush {
    let (flush, flushes) = mpsc::channel(1);
    let waiting = WaitingSpans { spans, flushes, flush: None };
    task::spawn("traces", export(Arc::downgrade(app), Arc::clone(metrics), waiting));
    TraceFlush(flush)
}

async fn export(app: Weak<App>, metrics: Arc<Metrics>, mut waiting: WaitingSpans) {
    let mut collector: Option<Collector> = None;
    let mut quiet_until = Moment::default();
    while let Some(batch) = waiting.batch().await {
        // The process ends.
        let Some(app) = app.upgrade() else { return };
        let plan = app.live.now().plan.traces.clone();
        drop(app);
        collector = collector.filter(|collector| Some(&collector.plan) == plan.as_ref());
        if collector.is_none() {
            collector = plan.and_then(Collector::new);
        }
        let sent = match &collector {
            Some(collector) => collector.send(&batch).await,
            // A reload has taken the table away.
            None => Ok(()),
        };
        let fate = if sent.is_ok() { SpanFate::Sent } else { SpanFate::Unsent };
        batch.iter().for_each(|_| metrics.process.trace_spans.count(fate));
        if let (Err(why), Some(Collector { plan, .. })) = (sent, &collector)
            && clock::now() >= quiet_until
        {
            quiet_until = clock::now().after(COMPLAINT_INTERVAL);
            let (spans, endpoint) = (batch.len(), &*plan.shown);
            tracing::warn!(endpoint, spans, why, "spans are lost: the collector takes none");
        }
    }
}

impl WaitingSpans {
    /// The next batch; `None` when nothing can come any more.
    async fn batch(&mut self) -> Option<Vec<TraceSpan>> {
        let mut batch = vec![self.next(Moment::NEVER).await?];
        let due = clock::now().after(BATCH_WAIT);
        while batch.len() < BATCH_SPANS_MAX {
            match self.next(due).await {
                Some(span) => batch.push(span),
                None => break,
            }
        }
        Some(batch)
    }

    /// The next span, where there is one by then, or at once where they are to go.
    async fn next(&mut self, due: Moment) -> Option<TraceSpan> {
        loop {
            if self.flush.is_some() {
                match self.spans.try_recv() {
                    Ok(span) => return Some(span),
                    // The rest of a batch; with the next one it is known that nothing waits.
                    Err(_) if due < Moment::NEVER => return None,
                    Err(_) => self.flush = None,
                }
            }
            let next = async {
                tokio::select! {
                    span = self.spans.recv() => Ok(span),
                    Some(flush) = self.flushes.recv() => Err(flush),
                }
            };
            match clock::by(due, next).await? {
                Ok(span) => return span,
                Err(flush) => self.flush = Some(flush),
            }
        }
    }
}

/// A collector, as it is reached.
struct Collector {
    plan: Traces,
    dialler: Dialler,
}

impl Collector {
    fn new(plan: Traces) -> Option<Collector> {
        match Dialler::of_no_pool(BATCH_TIMEOUT, plan.tls.as_ref()) {
            Ok(dialler) => Some(Collector { plan, dialler }),
            Err(error) => {
                tracing::error!(%error, "no TLS towards the collector of traces");
                None
            }
        }
    }

    /// Sends a batch; why it was not taken.
    async fn send(&self, batch: &[TraceSpan]) -> Result<(), String> {
        let due = clock::now().after(BATCH_TIMEOUT);
        let body = Bytes::from(spans::batch(batch).to_string());
        let exchange = single_exchange(
            &self.dialler,
            &self.plan.address,
            self.request(body),
            COLLECTOR_ANSWER_BYTES_MAX,
        );
        match clock::by(due, exchange).await {
            Some(Ok((StatusCode::OK, _))) => Ok(()),
            Some(Ok((status, _))) => Err(format!("its answer's status is {}", status.as_u16())),
            // It has taken the spans, whatever else it says.
            Some(Err(SingleExchangeError::TooLarge(StatusCode::OK))) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!("no answer within {BATCH_TIMEOUT:?}")),
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.plan.target.clone().into();
        let headers = request.headers_mut();
        headers.insert(HOST, self.plan.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("tidegate"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }
}
