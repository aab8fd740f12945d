//! A connection that begins with a WebSocket's handshake: its head is read in one look, and its 101
//! is written by us. All else is hyper's, from its first byte.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout};

use super::super::client::HttpClient;
use super::super::pace::TAKE_TIMEOUT;
use super::super::{ListenerState, admit_request, date, refused};
use super::unsent::UnsentText;
use crate::base::body::{self, Body};
use crate::base::scratch;
use crate::observe::metrics::HttpVersion;
use crate::rewrite::{Informational, Informed};
use crate::session::{AnswerCut, AnswerHooks, ClientEnd, Conn, PendingUpgrade};
use crate::tls::Transport;
use crate::wire::upgrade_request;

/// A connection that is hyper's.
pub(super) struct Unopened {
    pub(super) transport: Transport,
    /// What was read of it.
    pub(super) read: Bytes,
    /// The answer to the request that this begins with, where there is one already.
    pub(super) answer: Option<Response<Body>>,
}

/// Waits until the deadline for the client's first bytes; where they are a WebSocket's handshake,
/// answers it. `None` when the connection has ended, or is a session's. `conn` is as the listener
/// is configured now, and not kept where there is anything to wait for.
pub(super) async fn run(
    mut transport: Transport,
    client: &Rc<HttpClient>,
    conn: Rc<Conn>,
    deadline: Instant,
) -> Option<Unopened> {
    // Mostly they are there by now: then nothing is made to wait with.
    let (read, conn) = match poll_fn(|cx| Poll::Ready(poll_begin(&mut transport, cx))).await {
        Poll::Ready(read) => (read, conn),
        Poll::Pending => {
            drop(conn);
            (begin(&mut transport, client, deadline).await?, client.conn())
        }
    };
    let limits = &conn.listener.limits;
    let asked = upgrade_request::read(&read, limits.headers_max);
    let Some((request, length)) = asked.filter(|(_, length)| *length <= limits.head_bytes_max)
    else {
        return Some(Unopened { transport, read, answer: None });
    };
    client.waiting().busy();
    let request = request.map(|()| body::empty());
    let (promise, upgrade) = PendingUpgrade::new();
    let (informational, informed) = Informational::new();
    let (upgrade, informational) = (Some(upgrade), Some(informational));
    let hooks = AnswerHooks { upgrade, informational, fate: client.fate().clone() };
    let mut answer = admit_request::answer(client, HttpVersion::Http1, &conn, request, hooks);
    let mut opening = PendingOpening { transport, informed, unsent: UnsentText::default() };
    let answer = poll_fn(|cx| opening.poll(answer.as_mut(), cx)).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // What is begun is ended first.
        let written = timeout(TAKE_TIMEOUT, poll_fn(|cx| opening.poll_write(cx))).await;
        if written.is_err() {
            refused::cut(client, HttpVersion::Http1, client.fate(), AnswerCut::Untaken);
        }
        let written = written.is_ok_and(|written| written.is_ok());
        let transport = opening.transport;
        return written.then_some(Unopened { transport, read, answer: Some(answer) });
    }
    opening.switch(answer, promise, &read[length..]).await;
    None
}

/// Waits for the client's first bytes; `None` when they do not come in time, or others need the
/// connection's place.
async fn begin(
    transport: &mut Transport,
    client: &Rc<HttpClient>,
    deadline: Instant,
) -> Option<Bytes> {
    let mut state = client.state();
    tokio::select! {
        biased;
        read = poll_fn(|cx| poll_begin(transport, cx)) => Some(read),
        () = client.waiting().evicted() => None,
        () = is_closed(&mut state) => Some(Bytes::new()),
        () = sleep_until(deadline.into()) => None,
    }
}

/// Waits until the connection is to end, or to end soon.
async fn is_closed(state: &mut watch::Receiver<ListenerState>) {
    // A lost sender is a listener that is gone: that is closed, too.
    let _ = state.wait_for(|state| *state == ListenerState::Closed).await;
}

/// Reads what comes first; nothing where the connection has ended, which it tells once more.
fn poll_begin(transport: &mut Transport, cx: &mut Context<'_>) -> Poll<Bytes> {
    scratch::lend(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        let read = ready!(Pin::new(transport).poll_read(cx, &mut buffer));
        Poll::Ready(match read {
            Ok(()) => Bytes::copy_from_slice(buffer.filled()),
            Err(_) => Bytes::new(),
        })
    })
}

/// A handshake that is answered.
struct PendingOpening {
    transport: Transport,
    informed: Informed,
    /// What is written next.
    unsent: UnsentText,
}

impl PendingOpening {
    /// Waits for the answer, and passes on informational ones before it; `None` when the client has
    /// left.
    fn poll(
        &mut self,
        answer: Pin<&mut (impl Future<Output = Response<Body>> + ?Sized)>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Response<Body>>> {
        let polled = answer.poll(cx);
        while let Some(informational) = self.informed.next(cx) {
            self.unsent.inform(&informational);
        }
        if let Poll::Ready(answer) = polled {
            return Poll::Ready(Some(answer));
        }
        let has_left = match self.poll_write(cx) {
            Poll::Ready(written) => written.is_err(),
            Poll::Pending => false,
        };
        match has_left || self.transport.socket().poll_peer_end(cx).is_ready() {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.unsent.poll_write(&mut self.transport, cx))?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    /// Writes the 101 and gives the connection, and what came behind the request's head, to its
    /// session.
    async fn switch(
        mut self,
        mut answer: Response<Body>,
        mut promise: oneshot::Sender<ClientEnd>,
        behind: &[u8],
    ) {
        date::add(answer.headers_mut());
        self.unsent.answer(&answer);
        let written = poll_fn(|cx| match promise.poll_closed(cx) {
            // Nobody waits for a session that its worker has given up.
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => self.poll_write(cx).map(|written| written.is_ok()),
        });
        if written.await {
            drop(promise.send(ClientEnd::Connection(self.transport, behind.to_vec())));
        }
    }
}
