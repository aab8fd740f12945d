//! One side's connection: what carries it, and what could not go on at once.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::base::clock::Moment;
use crate::end::Loss;

use super::buffer::{READ_BYTES, READ_BYTES_BY_HEAT};
use super::carrier::Carrier;
use super::send_queue::SendQueue;

/// A read of less than this ends a hot run.
const COOL_BYTES: usize = READ_BYTES / 2;

const HEAT_MAX: u8 = READ_BYTES_BY_HEAT.len() as u8 - 1;

/// What a read gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// The end of the stream.
    End(Loss),
}

/// A side's connection. Dropping it closes it.
pub struct Leg {
    carrier: Carrier,
    /// What was read from it and is not done with.
    held: SendQueue,
    /// What is to be written to it and did not go out at once.
    tail: SendQueue,
    /// Bytes its carrier took so far.
    sent: u64,
    /// What is held can be judged only with more bytes behind it.
    undecided: bool,
    /// How hot it runs: its last reads were large, and more is waiting, most likely.
    heat: u8,
    finish: Finish,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Finish {
    No,
    /// When all is sent.
    Wanted,
    Done,
}

impl Leg {
    /// A connection, and the bytes that were read from it already.
    pub fn new(carrier: impl Into<Carrier>, early: Vec<u8>) -> Leg {
        Leg {
            carrier: carrier.into(),
            held: SendQueue::of(early, Moment::NEVER),
            tail: SendQueue::default(),
            sent: 0,
            undecided: false,
            heat: 0,
            finish: Finish::No,
        }
    }

    /// Reads, more at once the hotter it runs, behind what is held, which is copied to the front of
    /// `buffer`; says how many bytes there are in all.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Read> {
        let held = self.held.bytes().len();
        let bytes = READ_BYTES_BY_HEAT[usize::from(self.heat)];
        buffer[..held].copy_from_slice(self.held.bytes());
        let mut room = ReadBuf::new(&mut buffer[held..held + bytes]);
        let read = match ready!(self.carrier.poll_read(cx, &mut room)) {
            Ok(()) if room.filled().is_empty() => Read::End(Loss::Eof),
            Ok(()) => {
                let read = room.filled().len();
                // Records of TLS seldom fill it.
                self.heat = match read {
                    0..COOL_BYTES => 0,
                    _ if read < bytes / 2 => self.heat,
                    _ => (self.heat + 1).min(HEAT_MAX),
                };
                self.held = SendQueue::default();
                Read::Bytes(held + read)
            }
            // TLS or HTTP/2 cut short: nothing said that this is the end, but no reset either.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Read::End(Loss::Eof),
            Err(_) => Read::End(Loss::Reset),
        };
        Poll::Ready(read)
    }

    /// What is held, if it can be judged as it is.
    pub(super) fn take_held(&mut self) -> Option<Vec<u8>> {
        (!self.undecided && !self.held.is_empty()).then(|| self.held.take())
    }

    /// Reads no more at once than what may have to be kept: the other side did not take all.
    pub(super) fn cool(&mut self) {
        self.heat = 0;
    }

    /// Keeps what is not done with for the next time; `undecided` when it needs more behind it.
    pub(super) fn hold(&mut self, rest: &[u8], undecided: bool) {
        self.held.push(rest, Moment::NEVER);
        self.undecided = undecided;
    }

    /// Sends these bytes behind all that went before; keeps what does not go out at once.
    ///
    /// # Errors
    /// The transport's; then nothing more can be sent.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        now: Moment,
    ) -> io::Result<()> {
        let mut rest = bytes;
        while self.tail.is_empty() && !rest.is_empty() {
            match self.poll_write(cx, rest) {
                Poll::Ready(sent) => rest = &rest[sent?..],
                Poll::Pending => break,
            }
        }
        self.tail.push(rest, now);
        Ok(())
    }

    /// Bytes to be sent behind all that went before: [`Leg::poll_drain`] sends them.
    pub(super) fn queue(&mut self, bytes: Vec<u8>, now: Moment) {
        match self.tail.is_empty() {
            true => self.tail = SendQueue::of(bytes, now),
            false => self.tail.push(&bytes, now),
        }
    }

    /// What could not be sent at once: what of it was sent since, and what was not.
    pub(super) fn tail(&self) -> (&[u8], &[u8]) {
        self.tail.parts()
    }

    /// Sends what was kept, and the stream's end after it when that is wanted.
    ///
    /// # Errors
    /// The transport's; then nothing more can be sent.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<io::Result<()>> {
        let mut tail = std::mem::take(&mut self.tail);
        let drained = tail.poll_drain(|bytes| self.poll_write(cx, bytes), now);
        self.tail = tail;
        ready!(drained)?;
        if !self.carrier.is_flushed() {
            ready!(self.carrier.poll_flush(cx))?;
        }
        if self.finish == Finish::Wanted {
            ready!(self.carrier.poll_shutdown(cx))?;
            self.finish = Finish::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Half-closes, when all is sent: [`Leg::poll_drain`] does it.
    pub(super) fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::Wanted;
        }
    }

    /// Forgets what could not be sent: nobody will read it.
    pub(super) fn give_up(&mut self) {
        self.tail = SendQueue::default();
        self.finish = Finish::Done;
    }

    /// Closes; with a reset when told so, or when bytes are lost by it, which an orderly end would
    /// hide.
    pub(super) fn close(self, reset: bool) {
        let reset = reset || !self.is_clear();
        self.carrier.close(reset);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finish == Finish::Done
    }

    /// Whether all was sent that was to be.
    pub(super) fn is_clear(&self) -> bool {
        self.tail.is_empty() && self.carrier.is_flushed()
    }

    /// Bytes its transport took so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes its carrier took that the peer has not acknowledged, as far as that can be known.
    pub(super) fn unacknowledged(&self) -> u32 {
        self.carrier.unacknowledged()
    }

    /// Of the bytes not acknowledged those that are on their way, as far as that can be known.
    pub(super) fn in_flight(&self) -> u32 {
        self.carrier.in_flight()
    }

    /// Since when nothing that waits here could be sent; `NEVER` while nothing does.
    pub(super) fn stuck_since(&self) -> Moment {
        self.tail.stuck_since()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(self.carrier.poll_write(cx, bytes))?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.sent += sent as u64;
        Poll::Ready(Ok(sent))
    }
}
