//! `GET /live`: a summary of what lives and passes each second, as an event stream.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::admin::guard::Denied;
use crate::admin::http::{KeptShare, LastingAnswer, text_as};
use crate::admin::operator;
use crate::admin::process::{Phase, Process};
use crate::base::body::{self, Body};
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::base::task;
use crate::config::plan::Admin;

/// Event streams at once; one client has half of them when it is alone.
pub const LIVE_STREAMS_MAX: usize = 8;

/// How often a stream says something.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stream lasts; the page then asks for another. One that is not read ends by then.
const LIVE_MAX: Duration = Duration::from_secs(600);

/// What the page does when a stream has ended: it asks again after a second.
const FIRST: &str = "retry: 1000\n\n";

/// The streams of a listener: a summary is made once for all that want the same.
pub(super) struct LiveStreams {
    shares: Arc<Shares>,
    /// By what sessions are sorted: when it was made, and the event.
    made: RefCell<HashMap<&'static str, (Moment, Bytes)>>,
}

impl Default for LiveStreams {
    fn default() -> LiveStreams {
        LiveStreams { shares: Shares::new(LIVE_STREAMS_MAX), made: RefCell::default() }
    }
}

impl LiveStreams {
    /// A stream for this client.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn open(
        streams: &Rc<LiveStreams>,
        process: &impl Process,
        client: ClientNetwork,
        query: &str,
        admin: &Admin,
    ) -> Result<Response<Body>, Denied> {
        let sort = match query {
            "sort=messages" => "messages",
            "sort=bytes" => "bytes",
            _ => "rate",
        };
        let share = streams.shares.try_take(client).ok_or(Denied::Streams)?;
        // One waits, so that whoever does not read makes us keep no more.
        let (events, receiver) = mpsc::channel::<Bytes>(1);
        let (streams, process, admin) = (Rc::clone(streams), process.clone(), admin.clone());
        task::spawn("live", async move {
            let until = clock::now().after(LIVE_MAX);
            let mut first = FIRST.to_owned();
            while let Some(event) = streams.event(&process, sort, &admin).await {
                let event = match first.is_empty() {
                    true => event,
                    false => [first.as_bytes(), &event].concat().into(),
                };
                first.clear();
                let is_last = process.phase() != Phase::Running || clock::now() >= until;
                if events.send(event).await.is_err() || is_last {
                    return;
                }
                tokio::time::sleep(LIVE_INTERVAL).await;
            }
        });
        let mut answer = text_as(StatusCode::OK, "text/event-stream", String::new());
        *answer.body_mut() = body::received(receiver);
        answer.extensions_mut().insert(KeptShare(Arc::new(share)));
        answer.extensions_mut().insert(LastingAnswer(LIVE_MAX + LIVE_INTERVAL));
        Ok(answer)
    }

    /// The event of this moment; `None` once another configuration says who may see it, and
    /// whether there is a page at all: the browser asks again, and is judged anew.
    async fn event(
        &self,
        process: &impl Process,
        sort: &'static str,
        admin: &Admin,
    ) -> Option<Bytes> {
        if process.snapshot().plan.admin.as_ref() != Some(admin) {
            return None;
        }
        let now = clock::now();
        let made = self.made.borrow().get(sort).cloned();
        if let Some((_, event)) = made.filter(|(at, _)| now.since(*at) < LIVE_INTERVAL / 2) {
            return Some(event);
        }
        let mut summary = operator::summary(process, sort).await;
        summary["operators"] = admin.has_operators.into();
        let event = Bytes::from(format!("data: {summary}\n\n"));
        self.made.borrow_mut().insert(sort, (now, event.clone()));
        Some(event)
    }
}
