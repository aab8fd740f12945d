//! A connection on which a request was sent and its answer's beginning read, as if neither had
//! happened yet: for a reader of HTTP that does both.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::Transport;

/// The connection.
pub(super) struct Rewound {
    transport: Transport,
    /// What was read.
    read: Vec<u8>,
    /// How much of that was read once more.
    at: usize,
    /// Whether the request was sent once more; an answer to none is no answer.
    is_asked: bool,
    waker: Option<Waker>,
}

impl Rewound {
    /// Gives back what was `read`, and sends nothing again.
    pub(super) fn new(transport: Transport, read: Vec<u8>) -> Rewound {
        Rewound { transport, read, at: 0, is_asked: false, waker: None }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let left = &self.read[self.at..];
        if left.is_empty() {
            self.read = Vec::new();
            self.at = 0;
            return Pin::new(&mut self.transport).poll_read(cx, buffer);
        }
        let some = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..some]);
        self.at += some;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The request, which was sent.
        self.is_asked = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
