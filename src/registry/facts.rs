//! What is known of a session, and how sessions are chosen by it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::clock::Moment;
use crate::base::id::SessionId;

/// What is known of a session while it lives. The names are the plan's own, shared with it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// Its route's identity.
    pub route: Arc<str>,
    /// The pool's name.
    pub pool: Arc<str>,
    /// The backend's address.
    pub backend: Arc<str>,
    /// The client's address, where it has one.
    pub client: Option<SocketAddr>,
    /// When its request was admitted, before the snapshot was looked at: a session that was still
    /// shaking hands when others were let go is let go with them.
    pub opened: Moment,
}

/// Which sessions are meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    /// Every one.
    All,
    /// Those of a route, by its identity.
    Route(Arc<str>),
    /// Those of a pool.
    Pool(Arc<str>),
    /// Those on one backend of a pool.
    Backend {
        /// The pool.
        pool: Arc<str>,
        /// The backend's address.
        backend: Arc<str>,
    },
    /// Those that came in by a listener.
    Listener(Arc<str>),
    /// One.
    Session(SessionId),
    /// Those that any of these means: one drain of many things keeps one pace.
    AnyOf(Arc<[Who]>),
}

impl Who {
    /// Whether the session `id` with these facts is meant.
    pub fn means(&self, id: SessionId, facts: &Facts) -> bool {
        match self {
            Who::All => true,
            Who::Route(route) => facts.route == *route,
            Who::Pool(pool) => facts.pool == *pool,
            Who::Backend { pool, backend } => facts.pool == *pool && facts.backend == *backend,
            Who::Listener(listener) => facts.listener == *listener,
            Who::Session(one) => *one == id,
            Who::AnyOf(several) => several.iter().any(|who| who.means(id, facts)),
        }
    }

    /// Whether a session that has not entered yet can be meant.
    pub(super) fn can_mean_newcomers(&self) -> bool {
        match self {
            Who::Session(_) => false,
            Who::AnyOf(several) => several.iter().any(Who::can_mean_newcomers),
            _ => true,
        }
    }
}
