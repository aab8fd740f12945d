//! Counts the resets of streams in both directions: the crate sends most of its own without a
//! callback. Only frame heads are looked at.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::label::Label;
use crate::observe::metrics::{LabelledCounter, ListenerMetrics, ResetBy};
use crate::tls::Transport;

/// What comes before a client's first frame (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

/// A frame's head, and the code that RST_STREAM carries (RFC 9113 §4.1, §6.4).
const HEAD_BYTES: usize = 9;
const CODE_BYTES: usize = 4;
const RST_STREAM: u8 = 3;

/// A connection's transport, its resets counted.
pub(super) struct Meter {
    transport: Transport,
    cells: Arc<ListenerMetrics>,
    received: Frames,
    sent: Frames,
}

impl Meter {
    pub(super) fn new(transport: Transport, cells: Arc<ListenerMetrics>) -> Meter {
        let received = Frames { skip: PREFACE_BYTES, ..Frames::default() };
        Meter { transport, cells, received, sent: Frames::default() }
    }
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
    fn pass(&mut self, mut bytes: &[u8], resets: &LabelledCounter) {
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
            if self.filled == self.head.len() {
                let code = self.head[HEAD_BYTES..].iter();
                resets.count(Reason::from(code.fold(0, |code, byte| code << 8 | u32::from(*byte))));
                self.filled = 0;
            } else if self.filled == HEAD_BYTES && !self.is_reset() {
                self.skip = self.length();
                self.filled = 0;
            }
        }
    }

    fn length(&self) -> usize {
        self.head[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    }

    /// Whether the head in hand is a RST_STREAM's. One of another size ends the connection.
    fn is_reset(&self) -> bool {
        self.filled >= HEAD_BYTES && self.head[3] == RST_STREAM && self.length() == CODE_BYTES
    }
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
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.transport).poll_read(cx, buf);
        this.received.pass(&buf.filled()[before..], &this.cells.resets[ResetBy::Client]);
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
            this.sent.pass(&buf[..written], &this.cells.resets[ResetBy::Tidegate]);
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
                this.sent.pass(&buf[..of], &this.cells.resets[ResetBy::Tidegate]);
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
    use crate::actors::frames::{DATA, Frame, GOAWAY};

    #[test]
    fn resets_are_counted_however_frames_are_split() {
        let reset = |code: u32| Frame::new(RST_STREAM, 0, 1, &code.to_be_bytes()).bytes();
        // What looks like one within a payload is none.
        let data = Frame::new(DATA, 0, 1, &reset(2)).bytes();
        let empty = Frame::new(DATA, 1, 1, &[]).bytes();
        let goaway = Frame::new(GOAWAY, 0, 0, &[0; 8]).bytes();
        let bytes = [reset(8), data, reset(7), empty, goaway, reset(8), reset(99)].concat();
        for split in 1..=bytes.len() {
            let (mut frames, resets) = (Frames::default(), LabelledCounter::default());
            for piece in bytes.chunks(split) {
                frames.pass(piece, &resets);
            }
            let counts = ["cancel", "refused_stream", "unknown", "internal_error"];
            assert_eq!(counts.map(|word| resets.get(word)), [2, 1, 1, 0], "pieces of {split}");
        }
    }
}
