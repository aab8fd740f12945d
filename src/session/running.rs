//! A session at work: the relay, what it needs when its upstream is away, and what is given back
//! when it is over.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::redial::{Redial, Tried};
use super::session_record::{SessionRecord, labels_given};
use crate::base::clock;
use crate::base::label::Label;
use crate::base::task::LocalBox;
use crate::handshake::Upstream;
use crate::pool::Lease;
use crate::registry::NOBODY;
use crate::relay::{Demand, HoldState, Leg, Relay};
use crate::wire::resume;

/// The one future a session is. The relay holds its transports and its seat; they, the lease and
/// the permit are dropped in this order, which is the order of the fields.
pub(super) struct Session {
    relay: Relay,
    /// None while its upstream is away.
    lease: Option<Lease>,
    /// Where it can be held.
    redial: Option<Box<Redial>>,
    /// The client's connection, as `listen` counts it.
    _permit: Rc<dyn Any>,
}

impl Session {
    pub(super) fn new(
        relay: Relay,
        lease: Lease,
        redial: Option<Box<Redial>>,
        permit: Rc<dyn Any>,
    ) -> Session {
        Session { relay, lease: Some(lease), redial, _permit: permit }
    }

    /// Its relay, of which much is written down.
    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Does what the relay needs done; whether something changed for it.
    fn serve(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(redial) = &mut self.redial else { return false };
        match self.relay.demand() {
            Some(Demand::Upstream(away)) => self.look(away, cx),
            Some(Demand::Target) => {
                let Some(lease) = &self.lease else { return false };
                let Poll::Ready(none) = redial.poll_target(lease.backend().address(), cx) else {
                    return false;
                };
                match none {
                    None => self.relay.leave(clock::now()),
                    Some(why) => {
                        SessionRecord::of(&self.relay).not_moved(lease.backend().address(), &why);
                        self.relay.stay();
                    }
                }
                true
            }
            None => {
                // Where it goes is kept until the old upstream has said its last word.
                if !self.relay.is_leaving() {
                    redial.rest();
                }
                false
            }
        }
    }

    /// Looks for another upstream; whether something came of it.
    fn look(&mut self, away: HoldState, cx: &mut Context<'_>) -> bool {
        let Some(redial) = &mut self.redial else { return false };
        if !redial.is_trying() {
            let lost = match self.lease.take() {
                Some(lease) => Arc::clone(lease.backend().address()),
                None => NOBODY.into(),
            };
            SessionRecord::of(&self.relay).held(&lost, away.why);
            self.relay.seat().went_away(clock::now());
            redial.begin(lost, away);
        }
        let Poll::Ready(tried) = redial.poll(cx) else { return false };
        self.tried(away, tried);
        true
    }

    /// Its end has the same word whether nobody came for the client, or what it said became too
    /// old: which, the log tells before.
    fn tell_what_ran_out(&self) {
        let told = self.redial.as_ref().is_none_or(|redial| redial.has_given_up());
        if let Some(result) = self.relay.ran_out().filter(|_| !told) {
            SessionRecord::of(&self.relay).not_resumed(&result.label());
        }
    }

    fn tried(&mut self, away: HoldState, tried: Tried) {
        let Some(redial) = &mut self.redial else { return };
        let Tried { at, asked, answer, .. } = tried;
        match answer {
            Ok(upstream) => {
                redial.rest();
                let Upstream { transport, early, fields, lease, .. } = *upstream;
                if redial.takes_labels() {
                    let give = |labels: &mut _| labels_given(labels, &fields, lease.backend());
                    self.relay.seat().relabel(give);
                }
                let now = clock::now();
                let said = resume::expires(fields.iter().map(|(name, value)| (name, value)));
                if let Some(second) = said {
                    let most = now.after(redial.extension_max());
                    self.relay.renew(clock::moment_of(second), most);
                }
                let backend = Arc::clone(lease.backend().address());
                let attempt = away.attempt.saturating_add(asked.saturating_sub(1));
                SessionRecord::of(&self.relay).resumed(&backend, attempt, now.since(away.since));
                let pool = Arc::clone(lease.backend().pool());
                self.lease = Some(lease);
                self.relay.seat().settled(pool, backend, at);
                self.relay.attach(Leg::new(transport, early), now);
            }
            Err(why) if why.is_final() => {
                SessionRecord::of(&self.relay).not_resumed(&why);
                redial.give_up();
                self.relay.give_up(clock::now());
            }
            Err(why) => {
                SessionRecord::of(&self.relay).tried(&why);
                (0..asked).for_each(|_| self.relay.tried());
                let attempt = away.attempt.saturating_add(asked);
                redial.again(HoldState { attempt, ..away });
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.relay.is_over() {
            SessionRecord::of(&self.relay).dropped();
        }
    }
}

/// A session's task, from the client's 101 to its end: what waits until HTTP has given the client
/// up is freed before the session begins, and the session has its place in the same task.
pub(super) struct SessionTask(TaskStage);

// Its size is the task's, on purpose.
#[allow(clippy::large_enum_variant)]
enum TaskStage {
    Pending(LocalBox<Option<Session>>),
    Live(Session),
}

impl SessionTask {
    /// Waits for a session, which may not come.
    pub(super) fn new(pending: impl Future<Output = Option<Session>> + 'static) -> SessionTask {
        SessionTask(TaskStage::Pending(Box::pin(pending)))
    }
}

impl Future for SessionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.0 {
                TaskStage::Pending(pending) => match ready!(pending.as_mut().poll(cx)) {
                    Some(session) => self.0 = TaskStage::Live(session),
                    None => return Poll::Ready(()),
                },
                TaskStage::Live(session) => return Pin::new(session).poll(cx),
            }
        }
    }
}

impl Future for Session {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Poll::Ready((end, stats)) = Pin::new(&mut self.relay).poll(cx) {
                self.tell_what_ran_out();
                SessionRecord::of(&self.relay).ended(end, &stats);
                return Poll::Ready(());
            }
            if let Some((report, stats)) = self.relay.take_report() {
                SessionRecord::of(&self.relay).report(report, &stats);
            }
            if !self.serve(cx) {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_adds_little_to_its_relay() {
        // A lease, a permit: what a session costs is its relay. Holding one costs the others a
        // pointer.
        assert!(size_of::<Session>() <= size_of::<Relay>() + 48);
        // With tokio's 112 bytes it must fit in six lines of 128, to which a task is aligned: one
        // byte more costs each session 128.
        let bytes = size_of::<SessionTask>();
        assert!(bytes <= 768 - 112, "{bytes}");
    }
}
