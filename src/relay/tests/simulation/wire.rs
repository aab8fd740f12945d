//! A connection between the relay and a peer, with both kernels' queues: what TCP on Linux does,
//! in as many steps as the dice say.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use tokio::io::ReadBuf;

use crate::relay::carrier::Simulated;

/// How much each queue holds.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub sending: usize,
    pub receiving: usize,
}

/// One way: from who writes to who reads.
pub struct Way {
    /// In the writer's kernel, not acknowledged.
    queue: VecDeque<u8>,
    /// In the reader's kernel.
    inbox: VecDeque<u8>,
    sizes: Sizes,
    /// The writer has ended it; and the reader's kernel knows.
    fin: bool,
    fin_there: bool,
    /// All that ever came into the reader's kernel, and all that the writer's took.
    pub arrived: Vec<u8>,
    pub accepted: Vec<u8>,
    /// There was no room for something.
    pub was_full: bool,
}

impl Way {
    fn new(sizes: Sizes) -> Way {
        Way {
            queue: VecDeque::new(),
            inbox: VecDeque::new(),
            sizes,
            fin: false,
            fin_there: false,
            arrived: Vec::new(),
            accepted: Vec::new(),
            was_full: false,
        }
    }

    fn room(&self) -> usize {
        self.sizes.sending.saturating_sub(self.queue.len())
    }

    fn accept(&mut self, bytes: &[u8]) {
        self.queue.extend(bytes);
        self.accepted.extend(bytes);
    }

    /// Carries up to `most` bytes, and the end behind them; whether anything came.
    fn carry(&mut self, most: usize) -> bool {
        let room = self.sizes.receiving.saturating_sub(self.inbox.len());
        let bytes = most.min(room).min(self.queue.len());
        let carried: Vec<u8> = self.queue.drain(..bytes).collect();
        self.arrived.extend(&carried);
        self.inbox.extend(carried);
        let ends = self.fin && self.queue.is_empty() && !self.fin_there;
        self.fin_there |= ends;
        bytes > 0 || ends
    }
}

/// Both ways, and what the relay waits for.
pub struct Wire {
    /// To the peer, and from it.
    pub out: Way,
    pub back: Way,
    /// What the peer says and its kernel has no room for yet.
    pub unsaid: VecDeque<u8>,
    ends: bool,
    relay_closed: bool,
    pub peer_closed: bool,
    /// A reset has come, to the relay or to the peer.
    pub relay_reset: bool,
    pub peer_reset: bool,
    /// The reset took from the peer what it had not read yet.
    pub reset_took: bool,
    reset_read: bool,
    readable: Option<Waker>,
    writable: Option<Waker>,
    rng: Rng,
}

/// The relay's end, or a view of the whole.
#[derive(Clone)]
pub struct End(pub Rc<RefCell<Wire>>);

impl Wire {
    pub fn connect(sizes: Sizes, rng: &mut Rng) -> End {
        let wire = Wire {
            out: Way::new(sizes),
            back: Way::new(sizes),
            unsaid: VecDeque::new(),
            ends: false,
            relay_closed: false,
            peer_closed: false,
            relay_reset: false,
            peer_reset: false,
            reset_took: false,
            reset_read: false,
            readable: None,
            writable: None,
            rng: rng.fork(),
        };
        End(Rc::new(RefCell::new(wire)))
    }

    /// The net and the kernels do some of their work; whether there was any.
    pub fn carry(&mut self, most: usize) -> bool {
        let mut moved = false;
        if !self.relay_reset && !self.peer_reset {
            let full = self.out.room() == 0;
            moved |= self.out.carry(most);
            if self.peer_closed && (moved && !self.out.inbox.is_empty()) {
                // Bytes for one who has closed (RFC 9293 §3.10.7.4).
                self.out.inbox.clear();
                self.reset_relay();
            }
            if full && self.out.room() > 0 {
                wake(&mut self.writable);
            }
            if self.relay_closed && !self.back.queue.is_empty() {
                // The same the other way round: it never arrives.
                self.reset_peer();
                return true;
            }
            self.pour();
            let came = self.back.carry(most);
            if came {
                wake(&mut self.readable);
            }
            moved |= came;
        }
        moved
    }

    fn reset_relay(&mut self) {
        self.relay_reset = true;
        self.out.queue.clear();
        self.back.queue.clear();
        self.unsaid.clear();
        wake(&mut self.readable);
        wake(&mut self.writable);
    }

    fn reset_peer(&mut self) {
        self.peer_reset = true;
        self.reset_took = !self.out.inbox.is_empty() || !self.out.queue.is_empty();
        self.out.queue.clear();
        self.back.queue.clear();
        self.unsaid.clear();
    }

    /// The peer takes some of what came.
    pub fn peer_read(&mut self, most: usize) -> Vec<u8> {
        let bytes = most.min(self.out.inbox.len());
        self.out.inbox.drain(..bytes).collect()
    }

    /// Whether the peer has read all there will ever be.
    pub fn peer_sees_end(&self) -> bool {
        self.out.inbox.is_empty() && (self.out.fin_there || self.peer_reset)
    }

    pub fn peer_write(&mut self, bytes: &[u8]) {
        if !self.relay_reset && !self.peer_reset && !self.back.fin && !self.ends {
            self.unsaid.extend(bytes);
            self.pour();
        }
    }

    /// The peer's kernel takes what it has room for, and the end behind all.
    fn pour(&mut self) {
        let bytes = self.back.room().min(self.unsaid.len());
        let taken: Vec<u8> = self.unsaid.drain(..bytes).collect();
        self.back.accept(&taken);
        self.back.fin |= self.ends && self.unsaid.is_empty();
    }

    pub fn peer_shutdown(&mut self) {
        self.ends = true;
        self.pour();
    }

    /// The peer's socket is closed; with a reset where it is told so, or over unread bytes.
    pub fn peer_close(&mut self, reset: bool) {
        if std::mem::replace(&mut self.peer_closed, true) {
            return;
        }
        if reset || !self.out.inbox.is_empty() {
            self.reset_relay();
        } else {
            // A process that closes in order has written what it said.
            self.peer_shutdown();
        }
    }

    /// How much the peer's kernel holds for it.
    pub fn receiving(&self) -> usize {
        self.out.sizes.receiving
    }

    /// How much passes at most between two turns.
    pub fn narrowest(&self) -> usize {
        self.out.sizes.receiving.min(self.out.sizes.sending)
    }

    /// Whether a read of the relay's would give something.
    pub fn is_readable(&self) -> bool {
        let reset = self.relay_reset && !self.reset_read;
        !self.back.inbox.is_empty() || self.back.fin_there || reset
    }

    /// Whether a write of the relay's would.
    pub fn is_writable(&self) -> bool {
        self.out.room() > 0 || self.relay_reset
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Simulated for End {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        let wire = &mut *wire;
        if !wire.back.inbox.is_empty() {
            let most = wire.back.inbox.len().min(room.remaining());
            let bytes = if wire.rng.bool() { most } else { wire.rng.usize(1..=most) };
            let read: Vec<u8> = wire.back.inbox.drain(..bytes).collect();
            room.put_slice(&read);
            return Poll::Ready(Ok(()));
        }
        if wire.relay_reset {
            wire.reset_read = true;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.back.fin_there {
            return Poll::Ready(Ok(()));
        }
        wire.readable = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        if wire.relay_reset || wire.out.fin {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let most = wire.out.room().min(bytes.len());
        if most == 0 {
            wire.out.was_full = true;
            wire.writable = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = if wire.rng.u8(..4) > 0 { most } else { wire.rng.usize(1..=most) };
        wire.out.accept(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.borrow_mut().out.fin = true;
        Ok(())
    }

    fn unacknowledged(&self) -> u32 {
        self.0.borrow().out.queue.len() as u32
    }

    fn close(self: Box<Self>, reset: bool) {
        let mut wire = self.0.borrow_mut();
        wire.relay_closed = true;
        if reset || !wire.back.inbox.is_empty() {
            wire.reset_peer();
        } else {
            // What is queued still goes, and then the end.
            wire.out.fin = true;
        }
    }
}
