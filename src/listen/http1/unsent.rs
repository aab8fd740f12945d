//! Text that is written past hyper: informational answers, and the 101 of an opening handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use tokio::io::AsyncWrite;

use crate::tls::Transport;
use crate::wire::head;

/// Bytes of informational answers that wait for a client to read; what is more is dropped, as it
/// may be (RFC 9110 §15.2: they are advice).
pub(in super::super) const INFORMATIONAL_BYTES_MAX: usize = 64 * 1024;

/// What is to be written before anything else.
#[derive(Default)]
pub(super) struct UnsentText {
    text: Vec<u8>,
    /// Bytes of it that are written.
    sent: usize,
}

impl UnsentText {
    /// Adds an informational answer, where there is room for it.
    pub(super) fn inform(&mut self, answer: &Response<()>) {
        let known = self.text.len();
        head::write_answer(answer, &mut self.text);
        if self.text.len() - self.sent > INFORMATIONAL_BYTES_MAX {
            self.text.truncate(known);
        }
    }

    /// Adds an answer's head.
    pub(super) fn answer<B>(&mut self, answer: &Response<B>) {
        self.text.reserve(HEAD_BYTES);
        head::write_answer(answer, &mut self.text);
    }

    /// Drops what is not written.
    pub(super) fn clear(&mut self) {
        *self = UnsentText::default();
    }

    /// Writes all there is.
    pub(super) fn poll_write(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.text.len() {
            let left = &self.text[self.sent..];
            match ready!(Pin::new(&mut *transport).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        if self.sent > 0 {
            self.clear();
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes of a usual 101.
const HEAD_BYTES: usize = 256;
