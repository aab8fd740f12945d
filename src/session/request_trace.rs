//! The trace of a request, where it is one of those that are kept: its span, which goes along with
//! its record, and those of the session that it becomes.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::request::Parts;

use super::conn::App;
use crate::base::clock;
use crate::base::id::SessionId;
use crate::base::trace_context::{TRACEPARENT, TraceContext};
use crate::config::plan::Traces;
use crate::handshake::HandshakeTimes;
use crate::observe::spans::{SpanQueue, SpanValue, TraceSpan};

/// A span that has begun.
pub(super) struct RequestTrace {
    context: TraceContext,
    parent: Option<u64>,
    start: SystemTime,
    queue: SpanQueue,
    /// Of its handshake, where it is one.
    times: Option<Box<HandshakeTimes>>,
}

thread_local! {
    /// The sessions of this worker whose traces are kept: few have one, so others pay nothing.
    static SESSIONS: RefCell<foldhash::HashMap<SessionId, (TraceContext, SpanQueue)>> =
        RefCell::default();
}

impl RequestTrace {
    /// Begins the span of a request, where its trace is kept: because whoever asks keeps it, or by
    /// chance. What goes on to the backend names this span.
    pub(super) fn begin(
        app: &App,
        traces: Option<&Traces>,
        head: &mut Parts,
    ) -> Option<Box<RequestTrace>> {
        let traces = traces?;
        let told = TraceContext::of(&head.headers);
        let is_kept = match told {
            Some(told) => told.is_sampled,
            None => traces.sample.keeps(fastrand::u32(..)),
        };
        if !is_kept {
            return None;
        }
        let context = told.map_or_else(TraceContext::new, TraceContext::next);
        head.headers.insert(TRACEPARENT, context.value());
        let (parent, start, queue) = (told.map(|told| told.span), clock::wall(), app.spans.clone());
        Some(Box::new(RequestTrace { context, parent, start, queue, times: None }))
    }

    /// Its handshake with a backend took so long.
    pub(super) fn keep_times(&mut self, times: Option<Box<HandshakeTimes>>) {
        self.times = times;
    }

    /// The request has its answer, or none.
    pub(super) fn end(
        self,
        name: String,
        mut attributes: Vec<(&'static str, SpanValue)>,
        is_error: bool,
    ) {
        let RequestTrace { context, parent, start, queue, times } = self;
        if let Some(times) = times.filter(|times| times.attempts > 0) {
            let HandshakeTimes { attempts, wait, dial, answer, .. } = *times;
            let millis = |time: Duration| {
                SpanValue::Number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
            };
            attributes.extend([
                ("tidegate.attempts", SpanValue::Number(attempts.into())),
                ("tidegate.wait_ms", millis(wait)),
                ("tidegate.dial_ms", millis(dial)),
                ("tidegate.answer_ms", millis(answer)),
            ]);
        }
        let (end, link) = (clock::wall(), None);
        let is_server = true;
        queue.put(TraceSpan {
            context,
            parent,
            link,
            name,
            is_server,
            start,
            end,
            attributes,
            is_error,
        });
    }

    /// The request has become a session: that is one short span, and its end will be another, of a
    /// trace of its own. One of hours is lost by most collectors.
    pub(super) fn open(self, id: SessionId, attributes: Vec<(&'static str, SpanValue)>) {
        let kept = (self.context, self.queue.clone());
        SESSIONS.with_borrow_mut(|sessions| sessions.insert(id, kept));
        self.end("session open".to_owned(), attributes, false);
    }
}

/// A session has ended: `attributes` are asked for where its trace is kept.
pub(super) fn session_ended(
    id: SessionId,
    is_error: bool,
    attributes: impl FnOnce() -> Vec<(&'static str, SpanValue)>,
) {
    // At a worker's end this may be gone before its last sessions.
    let kept = SESSIONS.try_with(|sessions| sessions.borrow_mut().remove(&id)).ok().flatten();
    let Some((opened, queue)) = kept else { return };
    let (start, is_server) = (clock::wall(), false);
    queue.put(TraceSpan {
        context: TraceContext::new(),
        parent: None,
        link: Some(opened),
        name: "session end".to_owned(),
        is_server,
        start,
        end: start,
        attributes: attributes(),
        is_error,
    });
}

/// Those of these that are known.
pub(super) fn known(
    attributes: impl IntoIterator<Item = (&'static str, Option<SpanValue>)>,
) -> Vec<(&'static str, SpanValue)> {
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A text that an attribute says.
pub(super) fn text(text: impl ToString) -> Option<SpanValue> {
    Some(SpanValue::Text(text.to_string()))
}
