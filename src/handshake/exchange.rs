//! The handshake's text to a backend, and its answer's head: read until it is known what it is.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::scratch;
use crate::config::plan::ANSWER_HEAD_BYTES_MAX;
use crate::pool::UpstreamError;
use crate::rewrite::Informational;
use crate::tls::Transport;
use crate::wire::answer::{self, Fields};

/// A backend's answer, as far as it was read.
pub(super) struct ReadAnswer {
    /// The fields of a 101.
    pub(super) switching: Option<Fields>,
    /// What was read behind the head of a 101; else all that was read, informational answers aside.
    pub(super) rest: Vec<u8>,
}

/// Sends the text and reads the answer's head; informational answers before it are passed on.
pub(super) async fn run(
    transport: &mut Transport,
    text: &[u8],
    informational: Option<&Informational>,
) -> Result<ReadAnswer, UpstreamError> {
    write(transport, text).await.map_err(closed)?;
    let mut head = Head { kept: Vec::new(), passed: 0, informational };
    poll_fn(|cx| head.poll(transport, cx)).await
}

async fn write(transport: &mut Transport, mut text: &[u8]) -> io::Result<()> {
    poll_fn(|cx| {
        while !text.is_empty() {
            match ready!(Pin::new(&mut *transport).poll_write(cx, text))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => text = &text[written..],
            }
        }
        Pin::new(&mut *transport).poll_flush(cx)
    })
    .await
}

/// A head that is being read. Usually it comes whole, and nothing is kept.
struct Head<'a> {
    /// What came of it before.
    kept: Vec<u8>,
    /// Bytes of informational answers before it.
    passed: usize,
    informational: Option<&'a Informational>,
}

impl Head<'_> {
    fn poll(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ReadAnswer, UpstreamError>> {
        loop {
            let read = scratch::lend(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                let polled = Pin::new(&mut *transport).poll_read(cx, &mut buffer);
                polled.map_ok(|()| match buffer.filled() {
                    [] => Err(io::ErrorKind::UnexpectedEof.into()),
                    bytes => Ok(self.take(bytes)),
                })
            });
            match ready!(read).and_then(|read| read) {
                Ok(None) => {}
                Ok(Some(answer)) => return Poll::Ready(answer),
                Err(error) => return Poll::Ready(Err(closed(error))),
            }
        }
    }

    /// Takes bytes; the answer when it is known.
    fn take(&mut self, bytes: &[u8]) -> Option<Result<ReadAnswer, UpstreamError>> {
        if self.kept.is_empty() {
            self.judge(bytes)
        } else {
            self.kept.extend_from_slice(bytes);
            let whole = std::mem::take(&mut self.kept);
            self.judge(&whole)
        }
    }

    fn judge(&mut self, mut bytes: &[u8]) -> Option<Result<ReadAnswer, UpstreamError>> {
        loop {
            match answer::read(bytes) {
                answer::Answer::Partial if self.passed + bytes.len() >= ANSWER_HEAD_BYTES_MAX => {
                    return Some(Err(UpstreamError::HeadTooLarge));
                }
                answer::Answer::Partial => {
                    self.kept = bytes.to_vec();
                    return None;
                }
                answer::Answer::Informational { head, length } => {
                    if let (Some(informational), Some((status, fields))) =
                        (self.informational, head)
                    {
                        informational.pass(status, &fields.into_iter().collect());
                    }
                    self.passed += length;
                    bytes = &bytes[length..];
                }
                answer::Answer::Switching { length, .. }
                    if self.passed + length > ANSWER_HEAD_BYTES_MAX =>
                {
                    return Some(Err(UpstreamError::HeadTooLarge));
                }
                answer::Answer::Switching { fields, length } => {
                    let rest = bytes[length..].to_vec();
                    return Some(Ok(ReadAnswer { switching: Some(fields), rest }));
                }
                answer::Answer::Other => {
                    return Some(Ok(ReadAnswer { switching: None, rest: bytes.to_vec() }));
                }
            }
        }
    }
}

fn closed(error: io::Error) -> UpstreamError {
    UpstreamError::Closed(error.into())
}
