//! Handshakes that wait while no backend can be reached, where their route holds sessions: who
//! comes during a restart is no worse off than who was there before it. A backend's answer is an
//! answer, and is passed on; unless it says itself when to come again.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::time::sleep;

use super::backoff::{self, Backoff};
use super::conn::App;
use super::grant::Forwarding;
use crate::base::clock;
use crate::base::network::ClientNetwork;
use crate::base::share::SharePermit;
use crate::handshake::{self, Answered, Connected, WsRequest};
use crate::live::LiveRoute;
use crate::observe::metrics::RouteMetrics;
use crate::pool::{Attempts, Kind, Pool, UpstreamError};
use crate::rewrite::Outbound;

/// Connects a handshake; waits for a backend where the route says so, there is room, and none can
/// be reached. Dropping it, as a client does that leaves, frees its place.
pub(super) async fn connect(
    app: &App,
    forwarding: &Forwarding,
    pool: &Arc<Pool>,
    request: &mut WsRequest,
    outbound: &Outbound,
) -> Connected {
    let Forwarding { route, affinity, client_addr, .. } = forwarding;
    let sharer = forwarding.client_network();
    let client = client_addr.map(|client| client.ip());
    let attempts = Attempts::new(pool, Kind::Session, affinity.key, client).sharing(sharer);
    let mut connected = handshake::connect(attempts, request, outbound).await;
    if let Some(queue) = route.plan.queue
        && waits(&connected).is_some()
        && let Some(_slot) = QueueSlot::take(route, sharer)
    {
        let until = clock::now().after(queue.timeout);
        let mut backoff = Backoff::new();
        let mut returned = backoff::returned(route);
        while let Some(again) = waits(&connected) {
            let wait = backoff.next(Some(&current(app, route, pool)), backoff::waiting(route));
            if clock::now().after(wait.max(again)) >= until {
                break;
            }
            // Its connection, where it has one, need not wait along.
            drop(connected);
            match again {
                Duration::ZERO => backoff::pause(wait, returned).await,
                again => sleep(again).await,
            }
            returned = backoff::returned(route);
            // A reload may have given the pool other backends.
            let current = current(app, route, pool);
            let attempts = Attempts::new(&current, Kind::Session, affinity.key, client)
                .sharing(sharer)
                .waiting(None);
            connected = handshake::connect(attempts, request, outbound).await;
        }
    }
    if matches!(connected.outcome, Ok(Answered::Upstream(_))) {
        backoff::wake(route);
    }
    connected
}

/// How long a handshake is to wait at least before it comes again; `None` when it has its answer.
/// A backend that could not be reached was not sent it; one that was has answered for itself.
fn waits(connected: &Connected) -> Option<Duration> {
    match &connected.outcome {
        Ok(Answered::Upstream(_)) => None,
        Ok(Answered::Http(answer)) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
            // A date is for whoever keeps a calendar: it is passed on with the answer.
            let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds).max(Duration::from_millis(1)))
        }
        Ok(Answered::Http(_)) => None,
        Err(UpstreamError::Dial(error)) => error.retryable().then_some(Duration::ZERO),
        Err(UpstreamError::NoBackend { .. }) => Some(Duration::ZERO),
        // It was not sent, or it gave way to others.
        Err(UpstreamError::Busy(_)) => Some(Duration::ZERO),
        Err(_) => None,
    }
}

/// The pool as it is now; the one the handshake came with where its route has another by now, which
/// drains the session as it begins.
fn current(app: &App, route: &LiveRoute, pool: &Arc<Pool>) -> Arc<Pool> {
    let snapshot = app.live.now();
    let now = snapshot.route(&route.plan.identity).and_then(|route| route.action.pool());
    Arc::clone(now.filter(|now| now.plan().name == pool.plan().name).unwrap_or(pool))
}

/// A place in a route's queue, of the client's share; dropping it frees it.
struct QueueSlot<'a> {
    cells: &'a RouteMetrics,
    _share: SharePermit,
}

impl<'a> QueueSlot<'a> {
    fn take(route: &'a LiveRoute, client: ClientNetwork) -> Option<QueueSlot<'a>> {
        let share = route.queue.try_take(client)?;
        route.cells.totals.queued.inc();
        Some(QueueSlot { cells: &route.cells, _share: share })
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.cells.totals.queued.dec();
    }
}
