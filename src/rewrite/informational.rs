//! Informational answers (1xx, RFC 9110 §15.2) on their way from a backend to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::{HeaderMap, Response, StatusCode};
use tokio::sync::mpsc;

use super::response;
use crate::config::plan::Route;

/// Informational answers to one request that are passed on: no backend needs more.
const INFORMATIONAL_MAX: usize = 16;

/// The way to a client that has not got its answer yet, in the extensions of its request; there is
/// none to a client of HTTP/1.0, which knows no such answer.
#[derive(Clone, Debug)]
pub struct Informational {
    sender: mpsc::Sender<Response<()>>,
    count: Arc<AtomicUsize>,
    route: Option<Arc<Route>>,
}

impl Informational {
    /// A way, and its end at the client's connection.
    pub fn new() -> (Informational, mpsc::Receiver<Response<()>>) {
        let (sender, receiver) = mpsc::channel(INFORMATIONAL_MAX);
        (Informational { sender, count: Arc::default(), route: None }, receiver)
    }

    /// By a route, whose changes of fields count here, too.
    pub fn by(self, route: Arc<Route>) -> Informational {
        Informational { route: Some(route), ..self }
    }

    /// Passes an answer on. 100 is not: each hop says for itself whether it wants the body.
    pub fn pass(&self, status: StatusCode, headers: &HeaderMap) {
        let is_own = matches!(status, StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS);
        let Some(route) = self.route.as_ref().filter(|_| !is_own) else { return };
        if self.count.fetch_add(1, Relaxed) >= INFORMATIONAL_MAX {
            return;
        }
        let mut answer = Response::new(());
        *answer.status_mut() = status;
        *answer.headers_mut() = response::informational(headers, &route.response_headers);
        // There is room for all that may come; a client that is gone needs none.
        let _ = self.sender.try_send(answer);
    }
}
