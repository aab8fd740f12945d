//! A WebSocket that is opened to see whether it can be.

use std::time::Duration;

use ::http::uri::PathAndQuery;
use ::http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frames::{ProbeFrame, ProbeFrames};
use super::probe_error::ProbeError;
use crate::base::clock;
use crate::config::plan::TextMatch;
use crate::handshake::{OpenedByProbe, open_for_probe};
use crate::tls::Transport;
use crate::wire::control::{self, new_mask, parse_close};

/// The payload of the ping.
const PING: &[u8] = b"tidegate-probe";

/// How long the answer to our Close is waited for: a connection that is cut with a Close in it may
/// be reset before that is read.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Bytes that are read at once.
const READ_BYTES: usize = 4 << 10;

/// A WebSocket.
pub(super) struct OpenWebSocket {
    transport: Transport,
    frames: ProbeFrames,
}

impl OpenWebSocket {
    pub(super) async fn open(
        mut transport: Transport,
        target: &PathAndQuery,
        fields: &[(HeaderName, HeaderValue)],
    ) -> Result<OpenWebSocket, ProbeError> {
        let opened = open_for_probe(&mut transport, target, fields).await;
        match opened.map_err(ProbeError::Handshake)? {
            OpenedByProbe::Opened(early) => {
                Ok(OpenWebSocket { transport, frames: ProbeFrames::new(early) })
            }
            OpenedByProbe::Refused(answer) => Err(match status(&answer) {
                Some(status) => ProbeError::Status(status),
                None => ProbeError::Broken(std::io::ErrorKind::InvalidData.into()),
            }),
        }
    }

    /// Waits for all that must come.
    pub(super) async fn hear(
        &mut self,
        mut pong: bool,
        mut message: Option<&TextMatch>,
    ) -> Result<(), ProbeError> {
        if pong {
            self.send(&control::ping(PING, Some(new_mask()))).await?;
        }
        while pong || message.is_some() {
            match self.next().await? {
                ProbeFrame::Pong(payload) => pong = pong && payload != PING,
                ProbeFrame::Ping(payload) => {
                    self.send(&control::pong(&payload, Some(new_mask()))).await?;
                }
                ProbeFrame::Message(text) => match message.take() {
                    Some(wanted) if !wanted.is_in(&text) => return Err(ProbeError::Message),
                    _ => {}
                },
                ProbeFrame::Close(payload) => {
                    return Err(ProbeError::Closed(parse_close(&payload).0));
                }
            }
        }
        Ok(())
    }

    /// Closes with 1000.
    pub(super) async fn close(mut self: Box<Self>) {
        let closing = async {
            self.send(&control::close(1000, "", Some(new_mask()))).await?;
            while !matches!(self.next().await?, ProbeFrame::Close(_)) {}
            self.transport.shutdown().await.map_err(ProbeError::Broken)
        };
        // It was passed, however it ends.
        let _ = clock::by(clock::now().after(CLOSE_WAIT), closing).await;
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), ProbeError> {
        self.transport.write_all(frame).await?;
        Ok(self.transport.flush().await?)
    }

    async fn next(&mut self) -> Result<ProbeFrame, ProbeError> {
        loop {
            if let Some(read) = self.frames.next()? {
                return Ok(read);
            }
            let mut bytes = [0; READ_BYTES];
            match self.transport.read(&mut bytes).await? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                read => self.frames.take(&bytes[..read])?,
            }
        }
    }
}

/// The status of an answer that begins so.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}
