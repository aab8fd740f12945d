//! A session at work: the relay, and what is given back when it is over.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::session_record::SessionRecord;
use crate::pool::Lease;
use crate::relay::Relay;

/// The one future a session is. The relay holds its transports and its seat; they, the lease and
/// the permit are dropped in this order, which is the order of the fields.
pub(super) struct Session {
    relay: Relay,
    record: SessionRecord,
    _lease: Lease,
    /// The client's connection, as `listen` counts it.
    _permit: Rc<dyn Any>,
}

impl Session {
    pub(super) fn new(
        relay: Relay,
        record: SessionRecord,
        lease: Lease,
        permit: Rc<dyn Any>,
    ) -> Session {
        Session { relay, record, _lease: lease, _permit: permit }
    }
}

impl Future for Session {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (end, tally) = ready!(Pin::new(&mut self.relay).poll(cx));
        self.record.end(end, &tally);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_adds_little_to_its_relay() {
        // A lease, a permit, an id, the counts: what a session costs is its relay.
        assert!(size_of::<Session>() <= size_of::<Relay>() + 64);
    }
}
