//! Informational answers (1xx, RFC 9110 §15.2) on their way from a backend to the client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use http::{HeaderMap, Response, StatusCode};

use super::response;
use crate::config::plan::FieldChanges;

/// Informational answers to one request that are passed on: no backend needs more.
const INFORMATIONAL_MAX: usize = 16;

/// The way to a client that has not got its answer yet; there is none to a client of HTTP/1.0,
/// which knows no such answer.
#[derive(Clone, Debug)]
pub struct Informational {
    queue: Arc<Mutex<InformationalQueue>>,
    changes: Option<Arc<FieldChanges>>,
}

/// The end of that way at the client's connection.
#[derive(Debug)]
pub struct Informed(Arc<Mutex<InformationalQueue>>);

#[derive(Debug, Default)]
struct InformationalQueue {
    waiting: VecDeque<Response<()>>,
    /// All that ever came.
    count: usize,
    waker: Option<Waker>,
}

impl Informational {
    /// A way, and its end.
    pub fn new() -> (Informational, Informed) {
        let queue = Arc::<Mutex<InformationalQueue>>::default();
        (Informational { queue: Arc::clone(&queue), changes: None }, Informed(queue))
    }

    /// By a route that makes these changes to answers.
    pub fn by(self, changes: Arc<FieldChanges>) -> Informational {
        Informational { changes: Some(changes), ..self }
    }

    /// Passes an answer on. 100 is not: each hop says for itself whether it wants the body.
    pub fn pass(&self, status: StatusCode, headers: &HeaderMap) {
        let is_own = matches!(status, StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS);
        let Some(changes) = self.changes.as_ref().filter(|_| !is_own) else { return };
        let mut queue = lock(&self.queue);
        queue.count += 1;
        if queue.count > INFORMATIONAL_MAX {
            return;
        }
        let mut answer = Response::new(());
        *answer.status_mut() = status;
        *answer.headers_mut() = response::informational(headers, changes);
        queue.waiting.push_back(answer);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }
}

impl Informed {
    /// The next one, in order. Where there is none, the task is woken by it.
    pub fn next(&mut self, cx: &mut Context<'_>) -> Option<Response<()>> {
        let mut queue = lock(&self.0);
        let next = queue.waiting.pop_front();
        if next.is_none() && !queue.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker()))
        {
            queue.waker = Some(cx.waker().clone());
        }
        next
    }
}

/// Every change leaves a queue whole.
fn lock(queue: &Mutex<InformationalQueue>) -> MutexGuard<'_, InformationalQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
