//! Handshakes that wait while no backend is up, where their route holds sessions: who comes during
//! a restart is no worse off than who was there before it.

use std::sync::Arc;

use super::backoff::{self, Backoff};
use super::conn::App;
use super::grant::Forwarding;
use crate::base::clock;
use crate::config::plan::Queue;
use crate::handshake::{self, Answered, Connected, WsRequest};
use crate::live::{LiveAction, LiveRoute};
use crate::observe::metrics::RouteMetrics;
use crate::pool::{Attempts, Kind, Pool};
use crate::rewrite::Outbound;

/// Connects a handshake; waits for a backend where the route says so, there is room, and none is
/// up. Dropping it, as a client does that leaves, frees its place.
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
        && nobody_is_up(&connected)
        && let Some(_slot) = QueueSlot::take(&route.cells, queue)
    {
        let until = clock::now().after(queue.timeout);
        let mut backoff = Backoff::new();
        let mut returned = backoff::returned(route);
        loop {
            let wait = backoff.next(Some(&current(app, route, pool)), backoff::waiting(route));
            if clock::now().after(wait) >= until {
                break;
            }
            // Its connection, where it has one, need not wait along.
            drop(connected);
            backoff::pause(wait, returned).await;
            returned = backoff::returned(route);
            // A reload may have given the pool other backends.
            let current = current(app, route, pool);
            let attempts = Attempts::new(&current, Kind::Session, affinity.key, client)
                .sharing(sharer)
                .waiting(None);
            connected = handshake::connect(attempts, request, outbound).await;
            if !nobody_is_up(&connected) {
                break;
            }
        }
    }
    if matches!(connected.outcome, Ok(Answered::Upstream(_))) {
        backoff::wake(route);
    }
    connected
}

/// Whether no backend has answered for itself.
fn nobody_is_up(connected: &Connected) -> bool {
    match &connected.outcome {
        Ok(Answered::Upstream(_)) => false,
        Ok(Answered::Http(answer)) => matches!(answer.status().as_u16(), 502..=504),
        Err(error) => error.is_passing(),
    }
}

/// The pool as it is now; the one the handshake came with where its route has another by now, which
/// lets go of the session as it begins.
fn current(app: &App, route: &LiveRoute, pool: &Arc<Pool>) -> Arc<Pool> {
    let snapshot = app.live.now();
    match snapshot.route(&route.plan.identity).map(|route| &route.action) {
        Some(LiveAction::Pool { pool: now, .. }) if now.plan().name == pool.plan().name => {
            Arc::clone(now)
        }
        _ => Arc::clone(pool),
    }
}

/// A place in a route's queue; dropping it frees it.
struct QueueSlot<'a>(&'a RouteMetrics);

impl<'a> QueueSlot<'a> {
    fn take(cells: &'a RouteMetrics, queue: Queue) -> Option<QueueSlot<'a>> {
        cells.totals.queued.inc_below(queue.handshakes_max).then(|| QueueSlot(cells))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.totals.queued.dec();
    }
}
