//! A client as its HTTP driver and its requests know it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::waiting::Waiting;
use super::{Endpoint, ListenContext, ListenerState};
use crate::observe::metrics::ListenerMetrics;
use crate::session::{AnswerFate, Conn};

/// A client's connection as its HTTP driver knows it.
pub(super) struct HttpClient {
    conn: RefCell<Rc<Conn>>,
    endpoint: Arc<Endpoint>,
    waiting: Waiting,
    context: Arc<ListenContext>,
    /// Of the answers over HTTP/1.1, of which there is one at a time.
    fate: AnswerFate,
}

impl HttpClient {
    pub(super) fn new(
        conn: Conn,
        endpoint: Arc<Endpoint>,
        waiting: Waiting,
        context: Arc<ListenContext>,
    ) -> HttpClient {
        let (conn, fate) = (RefCell::new(Rc::new(conn)), AnswerFate::default());
        HttpClient { conn, endpoint, waiting, context, fate }
    }

    /// Its place among the connections that wait for their client.
    pub(super) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// What becomes of its answers over HTTP/1.1.
    pub(super) fn fate(&self) -> &AnswerFate {
        &self.fate
    }

    /// What all connections need.
    pub(super) fn context(&self) -> &ListenContext {
        &self.context
    }

    /// The connection's facts, with its listener as it is configured now.
    pub(super) fn conn(&self) -> Rc<Conn> {
        let present = self.endpoint.listener.load_full();
        let mut conn = self.conn.borrow_mut();
        if !Arc::ptr_eq(&present.plan, &conn.listener) {
            let (listener, cells) = (Arc::clone(&present.plan), Arc::clone(&present.cells));
            *conn = Rc::new(Conn { listener, cells, ..Conn::clone(&conn) });
        }
        Rc::clone(&conn)
    }

    /// The listener's counts.
    pub(super) fn cells(&self) -> Arc<ListenerMetrics> {
        Arc::clone(&self.endpoint.listener.load_full().cells)
    }

    /// Tells what becomes of the listener.
    pub(super) fn state(&self) -> watch::Receiver<ListenerState> {
        self.endpoint.state.subscribe()
    }
}
