//! Looks at the heads of all frames that pass, in both directions: the crate refuses and resets
//! streams by itself, sends what was queued, and answers control frames, all without a callback.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::client::HttpClient;
use super::super::refused::{self, RequestRefusal};
use crate::base::clock::{self, Moment};
use crate::base::flow::ConnectionFlow;
use crate::base::label::Label;
use crate::observe::metrics::{HttpVersion, ListenerMetrics, ResetBy};
use crate::tls::Transport;

/// Frames that carry no part of a request or an answer (PING, SETTINGS, PRIORITY, WINDOW_UPDATE and
/// unknown ones), beyond those that do, which a client may send within [`CONTROL_WINDOW`].
pub const CONTROL_FRAMES_MAX: u32 = 1000;

/// The time in which these are counted.
pub const CONTROL_WINDOW: Duration = Duration::from_secs(30);

/// What comes before a client's first frame (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

/// A frame's head, and the code that RST_STREAM carries (RFC 9113 §4.1, §6.4).
const HEAD_BYTES: usize = 9;
const CODE_BYTES: usize = 4;

/// Types of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// A connection's transport, its frames looked at.
pub(super) struct Meter {
    transport: Transport,
    cells: Arc<ListenerMetrics>,
    client: Rc<HttpClient>,
    /// The last stream that the crate gave us.
    accepted: Rc<Cell<u32>>,
    /// The last stream that it refused by itself.
    refused: u32,
    flow: Arc<ConnectionFlow>,
    control: ControlFrames,
    received: Frames,
    sent: Frames,
}

impl Meter {
    pub(super) fn new(
        transport: Transport,
        client: Rc<HttpClient>,
        flow: Arc<ConnectionFlow>,
    ) -> Meter {
        let received = Frames { skip: PREFACE_BYTES, ..Frames::default() };
        let (control, sent) = (ControlFrames::default(), Frames::default());
        let (cells, accepted) = (client.cells(), Rc::default());
        Meter { transport, cells, client, accepted, refused: 0, flow, control, received, sent }
    }

    /// Is to be set to the number of each stream that the crate gives its driver.
    pub(super) fn accepted(&self) -> Rc<Cell<u32>> {
        Rc::clone(&self.accepted)
    }

    /// Is set as soon as the client floods us with control frames; then nothing more is read.
    pub(super) fn flood(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.control.is_flood)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Meter { cells, flow, control, received, .. } = self;
        received.pass(bytes, |passed| match passed {
            Passed::Reset { stream, code } => {
                cells.resets[ResetBy::Client].count(Reason::from(code));
                flow.reset(stream);
            }
            Passed::Head { kind: DATA | HEADERS | CONTINUATION, .. } => control.useful(),
            Passed::Head { .. } => control.add(clock::now()),
        });
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.transport.is_worn() {
            self.flow.wear();
        }
        let Meter { cells, client, accepted, refused, flow, control, sent, .. } = self;
        // The crate answers what it refuses before it gives us a later stream.
        let mut refuse = |stream, refusal| {
            if stream > accepted.get() && stream > *refused {
                *refused = stream;
                refused::request(client, HttpVersion::Http2, refusal);
            }
        };
        sent.pass(bytes, |passed| match passed {
            Passed::Reset { stream, code } => {
                let code = Reason::from(code);
                cells.resets[ResetBy::Tidegate].count(code);
                flow.reset(stream);
                refuse(stream, refusal_of(code));
            }
            // 431 is the one answer that it makes.
            Passed::Head { kind: HEADERS, stream, .. } => {
                refuse(stream, RequestRefusal::HeadTooLarge);
            }
            Passed::Head { kind: DATA, stream, length } => {
                control.useful();
                flow.sent(stream, length);
            }
            Passed::Head { .. } => {}
        });
    }
}

/// Why the crate resets a stream that it has given to nobody.
fn refusal_of(code: Reason) -> RequestRefusal {
    match code {
        Reason::REFUSED_STREAM => RequestRefusal::StreamsMax,
        _ => RequestRefusal::Malformed,
    }
}

/// Counts a client's control frames.
#[derive(Debug, Default)]
struct ControlFrames {
    count: u32,
    since: Moment,
    is_flood: Rc<Cell<bool>>,
}

impl ControlFrames {
    fn add(&mut self, now: Moment) {
        if now.since(self.since) > CONTROL_WINDOW {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        if self.count > CONTROL_FRAMES_MAX {
            self.is_flood.set(true);
        }
    }

    /// A frame passed that is worth one of the others: a WINDOW_UPDATE follows on DATA.
    fn useful(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}

/// What passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Passed {
    /// A frame's head, but for a reset's.
    Head { kind: u8, stream: u32, length: usize },
    /// A whole RST_STREAM.
    Reset { stream: u32, code: u32 },
}

/// One direction's frames, split in any way.
#[derive(Default)]
struct Frames {
    /// Bytes to go that are of no interest.
    skip: usize,
    head: [u8; HEAD_BYTES + CODE_BYTES],
    filled: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8], mut passed: impl FnMut(Passed)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = match self.is_reset() {
                true => self.head.len(),
                false => HEAD_BYTES,
            };
            let taken = (wanted - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            // The stream's number has 31 bits (RFC 9113 §4.1).
            let stream = number(&self.head[5..HEAD_BYTES]) & (u32::MAX >> 1);
            if self.filled == self.head.len() {
                passed(Passed::Reset { stream, code: number(&self.head[HEAD_BYTES..]) });
                self.filled = 0;
            } else if self.filled == HEAD_BYTES && !self.is_reset() {
                passed(Passed::Head { kind: self.head[3], stream, length: self.length() });
                self.skip = self.length();
                self.filled = 0;
            }
        }
    }

    fn length(&self) -> usize {
        number(&self.head[..3]) as usize
    }

    /// Whether the head in hand is a RST_STREAM's. One of another size ends the connection.
    fn is_reset(&self) -> bool {
        self.filled >= HEAD_BYTES && self.head[3] == RST_STREAM && self.length() == CODE_BYTES
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// An error code's name (RFC 9113 §7).
impl Label for Reason {
    fn label(&self) -> &'static str {
        match *self {
            Reason::NO_ERROR => "no_error",
            Reason::PROTOCOL_ERROR => "protocol_error",
            Reason::INTERNAL_ERROR => "internal_error",
            Reason::FLOW_CONTROL_ERROR => "flow_control_error",
            Reason::SETTINGS_TIMEOUT => "settings_timeout",
            Reason::STREAM_CLOSED => "stream_closed",
            Reason::FRAME_SIZE_ERROR => "frame_size_error",
            Reason::REFUSED_STREAM => "refused_stream",
            Reason::CANCEL => "cancel",
            Reason::COMPRESSION_ERROR => "compression_error",
            Reason::CONNECT_ERROR => "connect_error",
            Reason::ENHANCE_YOUR_CALM => "enhance_your_calm",
            Reason::INADEQUATE_SECURITY => "inadequate_security",
            Reason::HTTP_1_1_REQUIRED => "http_1_1_required",
            _ => "unknown",
        }
    }
}

impl AsyncRead for Meter {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.control.is_flood.get() {
            // The driver looks as soon as the crate has given up reading.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.transport).poll_read(cx, buf);
        this.receive(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Meter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.transport).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            this.send(&buf[..written]);
        }
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.transport).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut written)) = polled {
            for buf in bufs {
                let of = written.min(buf.len());
                this.send(&buf[..of]);
                written -= of;
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::frames::{Frame, GOAWAY};

    #[test]
    fn frames_are_seen_however_they_are_split() {
        let reset = |code: u32| Frame::new(RST_STREAM, 0, 1, &code.to_be_bytes()).bytes();
        // What looks like one within a payload is none.
        let data = Frame::new(DATA, 0, 3, &reset(2)).bytes();
        let empty = Frame::new(DATA, 1, 5, &[]).bytes();
        let goaway = Frame::new(GOAWAY, 0, 0, &[0; 8]).bytes();
        let bytes = [reset(8), data, reset(7), empty, goaway, reset(99)].concat();
        let head = |kind, stream, length| Passed::Head { kind, stream, length };
        let reset = |code| Passed::Reset { stream: 1, code };
        let expected = [
            reset(8),
            head(DATA, 3, HEAD_BYTES + CODE_BYTES),
            reset(7),
            head(DATA, 5, 0),
            head(GOAWAY, 0, 8),
            reset(99),
        ];
        for split in 1..=bytes.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(split) {
                frames.pass(piece, |passed| seen.push(passed));
            }
            assert_eq!(seen, expected, "pieces of {split}");
        }
    }

    #[test]
    fn control_frames_are_a_flood_beyond_those_that_are_of_use() {
        let mut control = ControlFrames::default();
        let now = Moment::from_millis(1_000_000);
        for _ in 0..CONTROL_FRAMES_MAX * 3 {
            control.useful();
            control.add(now);
        }
        (1..CONTROL_FRAMES_MAX).for_each(|_| control.add(now));
        assert!(!control.is_flood.get());
        control.add(now.after(CONTROL_WINDOW * 2));
        (0..CONTROL_FRAMES_MAX).for_each(|_| control.add(now.after(CONTROL_WINDOW * 2)));
        assert!(control.is_flood.get());
    }
}
