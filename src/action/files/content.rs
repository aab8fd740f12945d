//! A body that is read from a file, piece by piece.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::base::body::BoxError;

/// Bytes read at once.
const READ_BYTES: u64 = 64 * 1024;

/// What the body is made of, one after another.
pub(super) enum Piece {
    /// Bytes of the file.
    File(Range<u64>),
    /// A text of ours.
    Text(Bytes),
}

/// A body of a file's pieces. One read is under way at most, and nothing is read ahead.
pub(super) struct Content {
    file: Arc<File>,
    pieces: VecDeque<Piece>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Bytes to come.
    left: u64,
}

impl Content {
    pub(super) fn new(file: File, pieces: Vec<Piece>) -> Content {
        let bytes = |piece: &Piece| match piece {
            Piece::File(range) => range.end - range.start,
            Piece::Text(text) => text.len() as u64,
        };
        let left = pieces.iter().map(bytes).sum();
        Content { file: Arc::new(file), pieces: pieces.into(), reading: None, left }
    }

    /// Bytes to come.
    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// Begins the next read; a text of ours is there at once. `None` at the end.
    fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.pieces.front_mut()? {
                Piece::Text(text) => {
                    let text = std::mem::take(text);
                    self.pieces.pop_front();
                    return Some(text);
                }
                Piece::File(range) if range.is_empty() => drop(self.pieces.pop_front()),
                Piece::File(range) => {
                    let at = range.start;
                    let bytes = READ_BYTES.min(range.end - at);
                    range.start += bytes;
                    let file = Arc::clone(&self.file);
                    let read = move || read(&file, at, bytes);
                    self.reading = Some(tokio::task::spawn_blocking(read));
                    return Some(Bytes::new());
                }
            }
        }
    }
}

/// Reads exactly so many bytes: a file that has become shorter breaks its answer off.
fn read(file: &File, at: u64, bytes: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact_at(&mut buffer, at)?;
    Ok(buffer.into())
}

impl Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(reading) = &mut this.reading {
                let read = ready!(Pin::new(reading).poll(cx));
                this.reading = None;
                let read = read.map_err(io::Error::other).flatten();
                if let Ok(bytes) = &read {
                    this.left -= bytes.len() as u64;
                }
                return Poll::Ready(Some(read.map(Frame::data).map_err(BoxError::from)));
            }
            match this.next() {
                None => return Poll::Ready(None),
                Some(text) if !text.is_empty() => {
                    this.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(text))));
                }
                Some(_) => {}
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
