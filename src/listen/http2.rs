//! The HTTP/2 driver: one task for a connection and one for each stream until it is answered.

mod body;
mod failure;
mod head;
mod meter;
mod resets;
mod response;
mod stream;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

use super::client::HttpClient;
use super::{ListenerState, http1};
use crate::base::flow::ConnectionFlow;
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::{Http2, ListenerLimits};
use crate::observe::metrics::ListenerMetrics;
use crate::tls::Transport;
use failure::Http2Failure;
use meter::Meter;

pub use meter::{CONTROL_FRAMES_MAX, CONTROL_WINDOW};
pub use resets::RESETS_WINDOW;

/// How long a client may take to hear that its connection, which has no stream left, ends.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes kept for one stream while the connection cannot send them.
pub const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Streams that a client has opened and reset again before the driver has seen them.
pub const RESETS_UNSEEN_MAX: usize = 64;

/// What a client with prior knowledge begins with (RFC 9113 §3.4), as far as it takes to tell it
/// from every method of HTTP/1.1.
const PREFACE: &[u8] = b"PRI";

/// Whether a client without TLS begins with HTTP/2. Nothing it sent is taken.
pub(super) async fn is_begun(socket: &Socket, wait: Duration) -> bool {
    let mut begin = [0; PREFACE.len()];
    let is_enough = |begin: &[u8], _| begin.len() == PREFACE.len() || !PREFACE.starts_with(begin);
    match timeout(wait, socket.peek_until(&mut begin, is_enough)).await {
        Ok(Ok(seen)) => begin[..seen] == *PREFACE,
        // What it is, or that it is gone, HTTP/1.1's driver finds out.
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Drives a connection until it is closed. It is one unit of a drain: when its listener closes, new
/// streams are refused for the client to try elsewhere (RFC 9113 §8.7), those that are open are
/// finished, then it ends.
pub(super) async fn drive(
    transport: Transport,
    client: Rc<HttpClient>,
    cells: &Arc<ListenerMetrics>,
) {
    let listener = Arc::clone(&client.conn().listener);
    // The client speaks HTTP/2 because its listener did; a reload may have ended that.
    let Some(http2) = &listener.http2 else { return };
    let flow = ConnectionFlow::new(Arc::clone(&client.context().flow));
    let transport = Meter::new(transport, Rc::clone(&client), Arc::clone(&flow));
    let (flood, accepted) = (transport.flood(), transport.accepted());
    let handshake = builder(http2, &listener.limits).handshake(transport);
    let handshake = timeout(listener.limits.head_timeout, handshake);
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = client.waiting().evicted() => return,
    };
    let http = match shaken {
        Ok(Ok(http)) => http,
        Ok(Err(error)) => return Http2Failure::tell_error(&error, &client),
        Err(_) => return Http2Failure::PrefaceTimeout.tell(&client),
    };
    let mut state = client.state();
    let mut handover = client.state();
    let resets = http2.resets_max;
    let context = stream::StreamContext::new(Rc::clone(&client), Arc::clone(&flow), resets);
    let streams = Rc::new(context);
    let mut driver = ConnectionDriver {
        http,
        client: Rc::clone(&client),
        flow,
        flood,
        keep_alive: listener.limits.keep_alive_timeout,
        quiet: None,
        is_draining: false,
        is_leaving: false,
        is_calmed: false,
    };
    let was_asked = Cell::new(false);
    loop {
        tokio::select! {
            event = poll_fn(|cx| driver.poll(cx)) => match event {
                ConnectionEvent::Stream(_, mut respond) if driver.is_draining => {
                    accepted.set(respond.stream_id().into());
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
                ConnectionEvent::Stream(request, respond) => {
                    was_asked.set(true);
                    accepted.set(respond.stream_id().into());
                    let open = cells.raised(|cells| &cells.streams);
                    let serving = stream::serve(Rc::clone(&streams), request, respond, open);
                    task::spawn("stream", serving);
                    if streams.resets.are_too_many() && !driver.is_leaving {
                        Http2Failure::Resets.tell(&client);
                        driver.calm();
                    }
                }
                ConnectionEvent::Flood => {
                    Http2Failure::ControlFrames.tell(&client);
                    driver.calm();
                }
                ConnectionEvent::Quiet if driver.is_leaving => return,
                ConnectionEvent::Quiet | ConnectionEvent::Worn => driver.leave(),
                ConnectionEvent::Failed(error) => {
                    return Http2Failure::tell_error(&error, &client);
                }
                ConnectionEvent::Over => return,
            },
            () = http1::closes(&mut state, &was_asked), if !driver.is_draining => driver.drain(),
            () = is_handed_over(&mut handover, &was_asked), if !driver.is_leaving => driver.leave(),
            () = client.waiting().evicted(), if !driver.is_leaving => driver.leave(),
        }
    }
}

/// Waits until another process accepts: GOAWAY sends the client there with what is new, while what
/// is open, a WebSocket too, goes on here (RFC 9113 §6.8).
async fn is_handed_over(handover: &mut watch::Receiver<ListenerState>, was_asked: &Cell<bool>) {
    if handover.wait_for(|state| *state == ListenerState::HandedOver).await.is_err() {
        // The listener is gone; `closes` reports that.
        std::future::pending::<()>().await;
    }
    http1::grace(was_asked).await;
}

fn builder(http2: &Http2, limits: &ListenerLimits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(http2.streams_max)
        .initial_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window())
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_UNSEEN_MAX)
        // Tiny frames cost more memory than window: as much again, then it is a flood. The crate's
        // own measure is half of that, which a few stuck sessions with short messages reach.
        .data_frame_budget(usize::try_from(http2.connection_window()).unwrap_or(usize::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX);
    if http2.websocket {
        builder.enable_connect_protocol();
    }
    builder
}

/// What happens on a connection.
// It lives for a moment, on the stack.
#[allow(clippy::large_enum_variant)]
enum ConnectionEvent {
    /// A request.
    Stream(Request<RecvStream>, SendResponse<Bytes>),
    /// Too many control frames came.
    Flood,
    /// No stream was open for a while.
    Quiet,
    /// Its keys are used up, or nearly: its streams end by themselves.
    Worn,
    /// It is closed, in order or not. The client was told by GOAWAY where there was anything to
    /// tell.
    Over,
    Failed(h2::Error),
}

struct ConnectionDriver {
    http: Connection<Meter, Bytes>,
    client: Rc<HttpClient>,
    flow: Arc<ConnectionFlow>,
    /// The client sends control frames and nothing else.
    flood: Rc<Cell<bool>>,
    keep_alive: Duration,
    /// Runs while no stream is open.
    quiet: Option<Pin<Box<Sleep>>>,
    is_draining: bool,
    /// GOAWAY was sent.
    is_leaving: bool,
    /// The connection ends at once, as its client was told.
    is_calmed: bool,
}

impl ConnectionDriver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEvent> {
        match self.http.poll_accept(cx) {
            Poll::Ready(Some(Ok((request, respond)))) => {
                return Poll::Ready(ConnectionEvent::Stream(request, respond));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(ConnectionEvent::Failed(error)),
            Poll::Ready(None) => return Poll::Ready(ConnectionEvent::Over),
            Poll::Pending => {}
        }
        if self.flood.get() && !self.is_calmed {
            self.is_calmed = true;
            return Poll::Ready(ConnectionEvent::Flood);
        }
        if self.flow.is_worn() && !self.is_leaving {
            return Poll::Ready(ConnectionEvent::Worn);
        }
        if self.http.has_streams() {
            self.client.waiting().busy();
            self.quiet = None;
            return Poll::Pending;
        }
        self.client.waiting().idle();
        let wait = match (self.is_leaving, self.is_draining) {
            (true, _) => FAREWELL_TIMEOUT,
            (false, true) => Duration::ZERO,
            (false, false) => self.keep_alive,
        };
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(quiet.as_mut().poll(cx));
        self.quiet = None;
        Poll::Ready(ConnectionEvent::Quiet)
    }

    fn drain(&mut self) {
        self.is_draining = true;
        self.quiet = None;
    }

    /// Says GOAWAY, and what the last stream was once the client has heard it (RFC 9113 §6.8).
    fn leave(&mut self) {
        self.is_leaving = true;
        self.http.graceful_shutdown();
    }

    /// Ends the connection of a client that opens streams to reset them, or floods us.
    fn calm(&mut self) {
        self.is_leaving = true;
        self.http.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    }
}
