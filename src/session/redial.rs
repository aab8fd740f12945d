//! Another upstream for a session that is held.

use std::fmt;
use std::future::Future;
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
use crate::base::clock::{self, Moment};
use crate::handshake::{self, NotResumed, Replay, Upstream};
use crate::live::LiveAction;
use crate::pool::{Ask, Attempts, Key, Kind, Lease, Pool};
use crate::relay::{HoldCause, HoldState};

/// What a session on a holding route has beyond others, to find another upstream.
pub(super) struct Redial {
    app: Arc<App>,
    route: Arc<str>,
    client: Option<IpAddr>,
    replay: Rc<Replay>,
    key: Option<Key>,
    /// While its upstream is away.
    round: Option<Round>,
    /// The place at another backend, when it is asked to move.
    target: Option<Lease>,
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
    trying: Pin<Box<dyn Future<Output = Tried>>>,
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
            NoUpstream::RouteGone => true,
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
        client: Option<IpAddr>,
        replay: Replay,
        key: Option<Key>,
    ) -> Redial {
        Redial {
            app,
            route,
            client,
            replay: Rc::new(replay),
            key,
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
        // A place that was reserved is taken at once; the others come one after another, because
        // all sessions of a backend lose it at the same time.
        let wait = match self.target {
            Some(_) => Duration::ZERO,
            None => self.wait(away, &mut backoff),
        };
        // What answers others is then no reason to come sooner: it has answered this one too.
        let returned = if away.attempt > 1 { None } else { self.returned() };
        let trying = self.attempt(&lost, away, wait, returned);
        self.round = Some(Round { lost, backoff, returned: None, trying });
    }

    /// Goes on with it; after a failure, [`Redial::again`] or [`Redial::rest`] follows.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Tried> {
        let Some(round) = &mut self.round else { return Poll::Pending };
        let mut tried = ready!(round.trying.as_mut().poll(cx));
        round.returned = tried.returned.take();
        self.key = tried.key;
        Poll::Ready(tried)
    }

    /// Waits a while, then tries again.
    pub(super) fn again(&mut self, away: HoldState) {
        let Some(Round { lost, mut backoff, returned, .. }) = self.round.take() else { return };
        let wait = self.wait(away, &mut backoff);
        let trying = self.attempt(&lost, away, wait, returned);
        self.round = Some(Round { lost, backoff, returned: None, trying });
    }

    /// Looks for nothing any more.
    pub(super) fn rest(&mut self) {
        self.round = None;
        self.target = None;
    }

    /// Reserves a place at another backend than the `present` one; whether there is one.
    pub(super) fn reserve(&mut self, present: Arc<str>) -> bool {
        let pool = pool(&self.app, &self.route);
        let tried = [present];
        let ask = Ask { tried: &tried, ..Ask::new(clock::now(), Kind::Session, self.key) };
        self.target = pool.and_then(|pool| pool.lease(&ask).ok());
        self.target.is_some()
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

    fn attempt(
        &mut self,
        lost: &Arc<str>,
        away: HoldState,
        wait: Duration,
        returned: Option<OwnedNotified>,
    ) -> Pin<Box<dyn Future<Output = Tried>>> {
        // At first one does not go back to where one was thrown out, while another can be had,
        // unless it belongs there.
        let first = away.attempt == 1 && (self.key.is_none() || away.why == HoldCause::Moved);
        let attempt = RedialAttempt {
            app: Arc::clone(&self.app),
            route: Arc::clone(&self.route),
            client: self.client,
            replay: Rc::clone(&self.replay),
            key: self.key,
            away,
            lost: first.then(|| Arc::clone(lost)),
            target: self.target.take(),
        };
        Box::pin(attempt.run(wait, returned))
    }
}

/// One attempt, with all it needs: the session it is for may end meanwhile.
struct RedialAttempt {
    app: Arc<App>,
    route: Arc<str>,
    client: Option<IpAddr>,
    replay: Rc<Replay>,
    key: Option<Key>,
    away: HoldState,
    /// The backend it does not go back to while another can be had.
    lost: Option<Arc<str>>,
    target: Option<Lease>,
}

impl RedialAttempt {
    async fn run(self, wait: Duration, returned: Option<OwnedNotified>) -> Tried {
        match returned {
            Some(returned) => backoff::pause(wait, returned).await,
            None => sleep(wait).await,
        }
        let at = clock::now();
        let returned = self.app.live.now().route(&self.route).map(|one| backoff::returned(one));
        let Some(pool) = pool(&self.app, &self.route) else {
            let answer = Err(NoUpstream::RouteGone);
            return Tried { at, asked: 0, key: self.key, returned, answer };
        };
        let before = self.away.attempt.saturating_sub(1);
        let mut attempt = before;
        let attempts = Attempts::new(&pool, Kind::Session, self.key, self.client)
            .waiting(self.lost)
            .starting_at(self.target);
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
    match &app.live.now().route(route)?.action {
        LiveAction::Pool { pool, .. } => Some(Arc::clone(pool)),
        _ => None,
    }
}
