//! One side's connection: what carries it, and what could not go on at once.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::base::clock::Moment;
use crate::base::scratch;
use crate::end::Loss;

use super::buffer::{READ_BYTES, READ_BYTES_BY_HEAT};
use super::carrier::Carrier;
use super::core::{Finish, Sample};
use super::send_queue::SendQueue;

/// A read of less than this ends a hot run.
const COOL_BYTES: usize = READ_BYTES / 2;

/// Bytes on their way to a peer that a connection is left with on which nothing can follow: those
/// of a first flight (RFC 6928), so that none of them waits for the peer to make room.
const LEFT_BEHIND_BYTES_MAX: u32 = 14 * 1024;

/// Bytes read and dropped when a connection is closed, so that the close is no reset (RFC 9293
/// §3.10.7.1, RFC 2525 §2.17).
const CLOSING_READS_MAX: u32 = 16;

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
    ending: Ending,
    /// Its end was read.
    ended: bool,
    /// Writing to it failed.
    failed: bool,
}

/// How far the end of what is sent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// More may be sent.
    Open,
    /// It comes when all is sent, so.
    Wanted(Finish),
    /// It was sent, or is left to the close.
    Done(Finish),
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
            ending: Ending::Open,
            ended: false,
            failed: false,
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
            Ok(()) if room.filled().is_empty() => self.end(Loss::Eof),
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
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(Loss::Eof),
            Err(_) => self.end(Loss::Reset),
        };
        Poll::Ready(read)
    }

    fn end(&mut self, how: Loss) -> Read {
        self.ended = true;
        Read::End(how)
    }

    /// What is held, if it can be judged as it is.
    pub(super) fn take_held(&mut self) -> Option<SendQueue> {
        (!self.undecided && !self.held.is_empty()).then(|| std::mem::take(&mut self.held))
    }

    /// Reads no more at once than what may have to be kept: not all went across.
    pub(super) fn cool(&mut self) {
        self.heat = 0;
    }

    /// Keeps what is not done with for the next time; `undecided` when it needs more behind it.
    pub(super) fn hold(&mut self, rest: SendQueue, undecided: bool) {
        self.held = rest;
        self.undecided = undecided;
    }

    /// Sends these bytes behind all that went before; keeps what does not go out at once. The end
    /// follows at once where they are the `last`.
    ///
    /// # Errors
    /// The transport's; then nothing more can be sent, and what was not is kept to be looked at.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
        now: Moment,
    ) -> io::Result<()> {
        let mut rest = bytes;
        let mut result = Ok(());
        if self.failed {
            return Ok(());
        }
        while self.tail.is_empty() && !rest.is_empty() {
            match self.poll_write(cx, rest, last) {
                Poll::Ready(Ok(sent)) => rest = &rest[sent..],
                Poll::Ready(Err(error)) => {
                    result = Err(error);
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.tail.push(rest, now);
        result
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
        if self.failed {
            return Poll::Ready(Ok(()));
        }
        let mut tail = std::mem::take(&mut self.tail);
        let drained = tail.poll_drain(|bytes| self.poll_write(cx, bytes, false), now);
        self.tail = tail;
        ready!(drained)?;
        if !self.carrier.is_flushed() {
            ready!(self.carrier.poll_flush(cx))?;
        }
        match self.ending {
            Ending::Wanted(Finish::Both) if self.ended || self.is_light() => {
                self.ending = Ending::Done(Finish::Both);
            }
            Ending::Wanted(_) => {
                ready!(self.carrier.poll_shutdown(cx))?;
                self.ending = Ending::Done(Finish::Half);
            }
            Ending::Open | Ending::Done(_) => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Whether a close loses nothing of what was sent, as the peer can have it all by now.
    fn is_light(&self) -> bool {
        // Who was sent less cannot have more to acknowledge: no need to ask the system.
        self.sent <= u64::from(LEFT_BEHIND_BYTES_MAX)
            || self.carrier.unacknowledged() <= LEFT_BEHIND_BYTES_MAX
    }

    /// Ends what is sent, when all is: [`Leg::poll_drain`] does it.
    pub(super) fn finish(&mut self, how: Finish) {
        if self.ending == Ending::Open {
            self.ending = Ending::Wanted(how);
        }
    }

    /// Writing to it failed: nothing more is sent, and what was not is forgotten.
    pub(super) fn on_failed(&mut self) {
        self.tail = SendQueue::default();
        self.failed = true;
    }

    /// Closes; with a reset when told so, or when bytes are lost by it, which an orderly end would
    /// hide.
    pub(super) fn close(mut self, cx: &mut Context<'_>, reset: bool) {
        let reset = reset || !self.is_clear();
        if !reset && !self.ended {
            self.read_away(cx);
        }
        self.carrier.close(cx, reset);
    }

    /// Reads what is there: the system resets a connection that is closed over unread bytes, and
    /// takes from the peer what that has not read yet.
    fn read_away(&mut self, cx: &mut Context<'_>) {
        scratch::lend(|buffer| {
            for _ in 0..CLOSING_READS_MAX {
                let mut room = ReadBuf::new(buffer);
                match self.carrier.poll_read(cx, &mut room) {
                    Poll::Ready(Ok(())) if !room.filled().is_empty() => {}
                    _ => return,
                }
            }
        });
    }

    /// How what is sent has ended; `None` before it has.
    pub(super) fn finished(&self) -> Option<Finish> {
        match self.ending {
            Ending::Done(how) => Some(how),
            Ending::Open | Ending::Wanted(_) => None,
        }
    }

    /// Whether all was sent that was to be.
    pub(super) fn is_clear(&self) -> bool {
        self.failed || self.tail.is_empty() && self.carrier.is_flushed()
    }

    /// Whether the keys of what carries it are used up, or nearly.
    pub(super) fn is_worn(&self) -> bool {
        self.carrier.is_worn()
    }

    /// What is known of its peer; `reading` where what that sends is read.
    pub(super) fn sample(&self, reading: bool, now: Moment) -> Sample {
        let waiting = !self.is_clear();
        let stuck_since = match self.tail.stuck_since() {
            // What waits inside TLS has no time of its own.
            Moment::NEVER if waiting => now,
            since => since,
        };
        Sample {
            sent: self.sent,
            unacknowledged: self.carrier.unacknowledged(),
            // A system call, so only where it is looked at.
            in_flight: if waiting || !reading { self.carrier.in_flight() } else { 0 },
            waiting,
            stuck_since,
            reading,
        }
    }

    /// Since when nothing that waits here could be sent; `None` while nothing waits.
    pub(super) fn waits_since(&self) -> Option<Moment> {
        (!self.is_clear()).then(|| self.tail.stuck_since())
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let written = match last {
            true => self.carrier.poll_write_last(cx, bytes),
            false => self.carrier.poll_write(cx, bytes),
        };
        let sent = ready!(written)?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.sent += sent as u64;
        Poll::Ready(Ok(sent))
    }
}
