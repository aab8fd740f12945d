//! A connection to a backend as hyper reads and writes it, and the way to end it at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use http::{Extensions, Request};
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connected, Connection, capture_connection,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::Transport;

/// The connection. hyper closes one whose request was given up when what it has written is gone,
/// which is never where the backend does not read: then it has to be cut.
pub(super) struct BackendStream {
    transport: Transport,
    cut: Cut,
}

/// Whether a connection is to end without another word.
#[derive(Clone, Default)]
struct Cut(Arc<AtomicBool>);

impl BackendStream {
    pub(super) fn new(transport: Transport) -> BackendStream {
        BackendStream { transport, cut: Cut::default() }
    }

    /// Whether it may still write.
    fn check(&self) -> io::Result<()> {
        match self.cut.0.load(Relaxed) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
}

/// Cuts the connection that a request went out by, unless the exchange came to its end. It is to be
/// dropped before what waits for the answer: hyper looks at a connection when that is gone.
pub(super) struct CutOnDrop(Option<CaptureConnection>);

impl CutOnDrop {
    /// Of this request, which is to be sent.
    pub(super) fn of<B>(request: &mut Request<B>) -> CutOnDrop {
        CutOnDrop(Some(capture_connection(request)))
    }

    /// Cuts it now.
    pub(super) fn cut(&mut self) {
        let Some(captured) = self.0.take() else { return };
        let mut extras = Extensions::new();
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.get_extras(&mut extras);
        }
        if let Some(Cut(is_cut)) = extras.get() {
            is_cut.store(true, Relaxed);
        }
    }

    /// The exchange came to its end.
    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Connection for BackendStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.cut.clone())
    }
}

impl AsyncRead for BackendStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for BackendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.get_mut().transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.get_mut().transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
