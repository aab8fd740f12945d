//! `GET /v1/events`: what becomes of sessions, as a stream of events (WHATWG HTML §9.2).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::context::{ApiContext, ApiRefusal, IsInForce};
use super::list::{label_map, selector};
use super::older_instances::OlderInstances;
use super::targets::PushTargets;
use crate::base::body::{self, Body};
use crate::base::label::Label as _;
use crate::base::share::SharePermit;
use crate::base::task;
use crate::registry::{EventBatch, Selector, SessionChange, SessionEvent, SessionEvents};

/// Events that are written at once.
const BATCH_MAX: usize = 256;

/// How long a reader may take nothing before its stream ends.
const SLOW_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether another process has taken over.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How many of these pass before a reader that has no news is written to, so that one that is gone
/// is noticed.
const LOOKS_PER_COMMENT: u32 = 15;

/// A reader, and how far it is.
struct EventReader {
    events: Arc<SessionEvents>,
    selector: Selector,
    next: u64,
    older: Option<Arc<dyn OlderInstances>>,
    /// The routes that it may be about, and whether it still may.
    about: BTreeSet<Arc<str>>,
    is_in_force: IsInForce,
    written: mpsc::Sender<Bytes>,
    /// Its place among all readers.
    _place: SharePermit,
}

/// Begins a stream.
pub(super) async fn answer(
    context: &ApiContext,
    head: &Parts,
) -> Result<Response<Body>, ApiRefusal> {
    let (targets, _) = PushTargets::of_query(head, &[])?;
    let selector = selector(context, &targets)?;
    let events = Arc::clone(&context.events);
    let place = events.place(context.client).ok_or(ApiRefusal::Readers)?;
    context.sessions.follow(&events).await;
    let next = match head.headers.get("last-event-id") {
        None => Some(events.next()),
        Some(last) => last.to_str().ok().and_then(|last| events.after(last)),
    };
    let (written, stream) = mpsc::channel(1);
    // There is room for one.
    let _ = written.try_send(match next {
        Some(_) => Bytes::from_static(b": what becomes of sessions\n\n"),
        // Of another process, or of none: what it has missed is not known.
        None => gap(None),
    });
    let next = next.unwrap_or_else(|| events.next());
    let (older, is_in_force) = (context.older.clone(), Arc::clone(&context.is_in_force));
    let about = context.routes.keys().cloned().collect();
    let reader =
        EventReader { events, selector, next, older, about, is_in_force, written, _place: place };
    task::spawn("events", reader.run());
    let mut answer = Response::new(body::received(stream));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

impl EventReader {
    /// Writes until the reader leaves, is too slow, or is to ask another process or anew, or this
    /// one stops and no session is left.
    async fn run(mut self) {
        let mut news = self.events.news();
        let mut quiet = 0;
        // However much there is to be read: who may not ask any more gets none of it.
        while (self.is_in_force)(&self.about) {
            news.mark_unchanged();
            let batch = self.events.read(self.next, &self.selector, BATCH_MAX);
            self.next = batch.next;
            let mut text = self.text(&batch);
            quiet = if text.is_empty() { quiet + 1 } else { 0 };
            if quiet >= LOOKS_PER_COMMENT {
                (text, quiet) = (":\n\n".to_owned(), 0);
            }
            let is_replaced = self.older.as_ref().is_some_and(|older| older.is_replaced());
            if !text.is_empty() {
                match timeout(SLOW_TIMEOUT, self.written.send(text.into())).await {
                    Ok(Ok(())) if !is_replaced => continue,
                    Ok(_) => return,
                    Err(_) => {
                        let behind = self.events.next().saturating_sub(self.next);
                        return tracing::info!(behind, "a reader of events took nothing: closed");
                    }
                }
            }
            if is_replaced || self.events.is_closed() {
                return;
            }
            tokio::select! {
                // Its sender lives in `self.events`.
                _ = news.changed() => quiet = quiet.saturating_sub(1),
                () = sleep(LOOK_INTERVAL) => {}
                () = self.written.closed() => return,
            }
        }
    }

    fn text(&self, batch: &EventBatch) -> String {
        let mut text = String::new();
        if batch.missed > 0 {
            text.push_str(&String::from_utf8_lossy(&gap(Some(batch.missed))));
        }
        for (number, event) in &batch.events {
            let (name, change) = (self.events.name(*number), event.change.label());
            // cannot fail: it is written into memory.
            let _ = writeln!(text, "id: {name}\nevent: {change}\ndata: {}\n", data(event));
        }
        text
    }
}

/// That events were missed, and how many where that is known: then list anew.
fn gap(missed: Option<u64>) -> Bytes {
    format!("event: gap\ndata: {}\n\n", json!({ "missed": missed })).into()
}

fn data(SessionEvent { id, facts, change, .. }: &SessionEvent) -> String {
    let end = if let SessionChange::Ended(end) = change { Some(end) } else { None };
    let mut data = json!({
        "session": id.to_string(),
        "client": facts.client.get().map(|client| client.to_string()),
        "route": &*facts.route,
        "pool": &*facts.pool,
        "backend": &*facts.backend,
        "labels": label_map(facts),
    });
    if let Some(end) = end {
        data["end"] = (*end).into();
    }
    data.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::base::network::ClientNetwork;
    use crate::base::worker::Workers;
    use crate::registry::tests::facts;
    use crate::registry::{self, LiveSessions};

    #[tokio::test]
    async fn who_may_not_ask_any_more_gets_nothing_of_what_there_is() {
        let workers = Workers::start(1).unwrap();
        let events = SessionEvents::new();
        LiveSessions::new(workers.queues().clone()).follow(&events).await;
        let told = || {
            let seat = registry::enter(facts("chat", "a", 0)).unwrap();
            (0..3 * BATCH_MAX).for_each(|_| registry::tell(seat.id(), SessionChange::Labelled));
        };
        workers.queues().ask(0, told).await.unwrap();
        let (written, mut stream) = mpsc::channel(1);
        // So many looks until a reload takes the right away.
        let looks = AtomicUsize::new(0);
        let is_in_force: IsInForce =
            Arc::new(move |_: &BTreeSet<Arc<str>>| looks.fetch_add(1, Relaxed) < 1);
        let reader = EventReader {
            _place: events.place(ClientNetwork::Unshared).unwrap(),
            events,
            selector: Selector::All,
            next: 0,
            older: None,
            about: BTreeSet::new(),
            is_in_force,
            written,
        };
        let mut received = 0;
        let reading = async {
            while let Some(text) = stream.recv().await {
                let text = String::from_utf8(text.to_vec()).unwrap();
                received += text.matches("event: labelled").count();
            }
        };
        tokio::join!(reader.run(), reading);
        assert_eq!(received, BATCH_MAX);
    }
}
