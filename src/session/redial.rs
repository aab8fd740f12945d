//! Another upstream for a session that is held.

use std::fmt;
use std::future::{Future, ready as at_once};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::sleep;

use super::backoff::{self, Backoff};
use super::conn::App;
use crate::access::Policy;
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::handshake::{self, NotResumed, Replay, Upstream};
use crate::pool::{Attempts, Key, Kind, Pool};
use crate::relay::{HoldCause, HoldState};

/// How long an upstream is kept that has taken a session up and was told nothing yet: the session
/// still leaves the one before, which may take as long as its client reads. Then another is asked.
const TARGET_KEPT_MAX: Duration = Duration::from_secs(30);

/// What a session on a holding route has beyond others, to find another upstream.
pub(super) struct Redial {
    app: Arc<App>,
    route: Arc<str>,
    client: Option<IpAddr>,
    /// In whose share it counts.
    holder: ClientNetwork,
    replay: Rc<Replay>,
    /// Boxed: most pools have none.
    key: Option<Box<Key>>,
    /// While its upstream is away. Boxed, as all that follows: few sessions need it.
    round: Option<Box<Round>>,
    /// Where it goes, when it is asked to move.
    target: Option<Box<NextUpstream>>,
    /// There will be no other upstream, which was told.
    has_given_up: bool,
}

/// One absence of the upstream.
struct Round {
    /// The backend it was on.
    lost: Arc<str>,
    backoff: Backoff,
    /// A backend answers somebody, from the last attempt on.
    returned: Option<OwnedNotified>,
    trying: Trying,
}

/// One attempt, under way or done.
type Trying = Pin<Box<dyn Future<Output = Tried>>>;

/// An upstream at another backend, asked for while the one before is there.
struct NextUpstream {
    asked: Moment,
    trying: Trying,
}

/// What came of one attempt.
pub(super) struct Tried {
    /// Before its backend was chosen, and before the snapshot was looked at.
    pub(super) at: Moment,
    /// Backends that were asked.
    pub(super) asked: u32,
    /// By what the session finds its backend from now on.
    key: Option<Key>,
    /// A backend answers somebody, from before this attempt on.
    returned: Option<OwnedNotified>,
    /// The new upstream, or why there is none.
    pub(super) answer: Result<Box<Upstream>, NoUpstream>,
}

/// Why a session has no upstream yet.
pub(super) enum NoUpstream {
    /// The handshake did not succeed.
    Not(NotResumed),
    /// Its route is gone, or goes to no pool any more.
    RouteGone,
}

impl NoUpstream {
    /// Whether it would be no better later.
    pub(super) fn is_final(&self) -> bool {
        match self {
            NoUpstream::Not(why) => why.is_final(),
            // The reload that took the route away tells its sessions so, in its own word and time.
            NoUpstream::RouteGone => false,
        }
    }
}

impl fmt::Display for NoUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoUpstream::Not(why) => why.fmt(f),
            NoUpstream::RouteGone => f.write_str("the route goes to no pool any more"),
        }
    }
}

impl Redial {
    pub(super) fn new(
        app: Arc<App>,
        route: Arc<str>,
        (client, holder): (Option<IpAddr>, ClientNetwork),
        replay: Replay,
        key: Option<Key>,
    ) -> Redial {
        Redial {
            app,
            route,
            client,
            holder,
            replay: Rc::new(replay),
            key: key.map(Box::new),
            round: None,
            target: None,
            has_given_up: false,
        }
    }

    /// Whether it is at work.
    pub(super) fn is_trying(&self) -> bool {
        self.round.is_some()
    }

    /// Looks no more, after an answer that was final.
    pub(super) fn give_up(&mut self) {
        self.rest();
        self.has_given_up = true;
    }

    /// Whether it did that.
    pub(super) fn has_given_up(&self) -> bool {
        self.has_given_up
    }

    /// Begins to look for another upstream than the one `lost`.
    pub(super) fn begin(&mut self, lost: Arc<str>, away: HoldState) {
        // An upstream that was lost as soon as it came is one more attempt that has failed.
        let mut backoff = Backoff::after(away.attempt.saturating_sub(1));
        let now = clock::now();
        let target = self.target.take();
        let trying = match target.filter(|one| now.since(one.asked) < TARGET_KEPT_MAX) {
            Some(target) => target.trying,
            None => {
                // One after another, because all sessions of a backend lose it at the same time.
                let wait = self.wait(away, &mut backoff);
                // What answers others is then no reason to come sooner: it has answered this one.
                let returned = if away.attempt > 1 { None } else { self.returned() };
                self.attempt(self.beside(&lost, away), away, wait, returned)
            }
        };
        self.round = Some(Box::new(Round { lost, backoff, returned: None, trying }));
    }

    /// Goes on with it; after a failure, [`Redial::again`] or [`Redial::rest`] follows.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Tried> {
        let Some(round) = &mut self.round else { return Poll::Pending };
        let mut tried = ready!(round.trying.as_mut().poll(cx));
        round.returned = tried.returned.take();
        self.key = tried.key.map(Box::new);
        Poll::Ready(tried)
    }

    /// Waits a while, then tries again.
    pub(super) fn again(&mut self, away: HoldState) {
        let Some(round) = self.round.take() else { return };
        let Round { lost, mut backoff, returned, .. } = *round;
        let wait = self.wait(away, &mut backoff);
        let trying = self.attempt(self.beside(&lost, away), away, wait, returned);
        self.round = Some(Box::new(Round { lost, backoff, returned: None, trying }));
    }

    /// Looks for nothing any more.
    pub(super) fn rest(&mut self) {
        self.round = None;
        self.target = None;
    }

    /// Asks other backends than the `present` one to take the session up, while it stays there;
    /// why none does, if so. What takes it up is kept for [`Redial::begin`].
    pub(super) fn poll_target(
        &mut self,
        present: &Arc<str>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<NoUpstream>> {
        let now = clock::now();
        let mut target = self.target.take().unwrap_or_else(|| {
            let leaves =
                HoldState { since: now, why: HoldCause::Moved, attempt: 1, not_before: now };
            let beside = Beside::Never(Arc::clone(present));
            let trying = self.attempt(beside, leaves, Duration::ZERO, None);
            Box::new(NextUpstream { asked: now, trying })
        });
        let outcome = match target.trying.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Tried { answer: Err(why), .. }) => return Poll::Ready(Some(why)),
            Poll::Ready(tried) => {
                target.trying = Box::pin(at_once(tried));
                Poll::Ready(None)
            }
        };
        self.target = Some(target);
        outcome
    }

    /// How far a backend may put off the session's end.
    pub(super) fn extension_max(&self) -> Duration {
        let route = self.app.live.now().route(&self.route).cloned();
        let policy = route.as_ref().and_then(|route| route.access.as_ref());
        policy.map(Policy::extension_max).unwrap_or_default()
    }

    /// Whether the labels count that a backend gives.
    pub(super) fn takes_labels(&self) -> bool {
        self.app.live.now().route(&self.route).is_some_and(|route| route.plan.backend_labels)
    }

    fn returned(&self) -> Option<OwnedNotified> {
        self.app.live.now().route(&self.route).map(|route| backoff::returned(route))
    }

    fn wait(&self, away: HoldState, backoff: &mut Backoff) -> Duration {
        let pool = pool(&self.app, &self.route);
        let snapshot = self.app.live.now();
        let waiting = snapshot.route(&self.route).map_or(1, |route| backoff::waiting(route));
        backoff.next(pool.as_deref(), waiting).max(away.not_before.since(clock::now()))
    }

    /// At first one does not go back to where one was thrown out, while another can be had, unless
    /// it belongs there.
    fn beside(&self, lost: &Arc<str>, away: HoldState) -> Beside {
        let first = away.attempt == 1 && (self.key.is_none() || away.why == HoldCause::Moved);
        if first { Beside::IfPossible(Arc::clone(lost)) } else { Beside::No }
    }

    fn attempt(
        &self,
        beside: Beside,
        away: HoldState,
        wait: Duration,
        returned: Option<OwnedNotified>,
    ) -> Trying {
        let attempt = RedialAttempt {
            app: Arc::clone(&self.app),
            route: Arc::clone(&self.route),
            client: self.client,
            holder: self.holder,
            replay: Rc::clone(&self.replay),
            key: self.key.as_deref().copied(),
            away,
            beside,
        };
        Box::pin(attempt.run(wait, returned))
    }
}

/// Which backend is not asked, if any.
enum Beside {
    No,
    /// Not this one, while another can be had: it was lost.
    IfPossible(Arc<str>),
    /// Not this one: the session is there.
    Never(Arc<str>),
}

/// One attempt, with all it needs: the session it is for may end meanwhile.
struct RedialAttempt {
    app: Arc<App>,
    route: Arc<str>,
    client: Option<IpAddr>,
    holder: ClientNetwork,
    replay: Rc<Replay>,
    key: Option<Key>,
    away: HoldState,
    beside: Beside,
}

impl RedialAttempt {
    async fn run(self, wait: Duration, returned: Option<OwnedNotified>) -> Tried {
        match returned {
            Some(returned) => backoff::pause(wait, returned).await,
            None if wait > Duration::ZERO => sleep(wait).await,
            None => {}
        }
        let at = clock::now();
        let returned = self.app.live.now().route(&self.route).map(|one| backoff::returned(one));
        let Some(pool) = pool(&self.app, &self.route) else {
            let answer = Err(NoUpstream::RouteGone);
            return Tried { at, asked: 0, key: self.key, returned, answer };
        };
        let before = self.away.attempt.saturating_sub(1);
        let mut attempt = before;
        let attempts = Attempts::new(&pool, Kind::Session, self.key, self.client);
        let attempts = attempts.continuing(self.holder);
        let attempts = match self.beside {
            Beside::No => attempts.waiting(None),
            Beside::IfPossible(lost) => attempts.waiting(Some(lost)),
            Beside::Never(present) => attempts.without(present),
        };
        let answer = handshake::resume(attempts, &self.replay, &mut attempt, self.away.since).await;
        if answer.is_ok()
            && let Some(route) = self.app.live.now().route(&self.route)
        {
            backoff::wake(route);
        }
        let key = match &answer {
            Ok(upstream) => pool.pinned(self.key, upstream.lease.backend().address()),
            Err(_) => self.key,
        };
        let asked = attempt.saturating_sub(before);
        Tried { at, asked, key, returned, answer: answer.map_err(NoUpstream::Not) }
    }
}

/// The pool a route goes to now. The snapshot is not kept.
fn pool(app: &App, route: &str) -> Option<Arc<Pool>> {
    app.live.now().route(route)?.action.pool().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_to_redial_costs_little_until_then() {
        // With `Replay` and `relay`'s `Hold` all that a session costs more on a holding route.
        assert!(size_of::<Redial>() <= 88, "{}", size_of::<Redial>());
    }
}
