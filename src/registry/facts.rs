//! What is known of a session, and how sessions are chosen by it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;

use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::end::Why;

/// What stands for the backend of a session whose upstream is away.
pub const NOBODY: &str = "(none)";

/// Where a session is. The names are the plan's own, shared with it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// Its route's identity.
    pub route: Arc<str>,
    /// The pool's name.
    pub pool: Arc<str>,
    /// The backend's address.
    pub backend: Arc<str>,
}

/// What is known of a session while it lives.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it is; shared by those who are in the same place, for four names are much to keep for
    /// each of them.
    pub place: Arc<Place>,
    /// The client's address, where it has one.
    pub client: Option<SocketAddr>,
    /// When its request was admitted, before the snapshot was looked at: a session that was still
    /// shaking hands when others were let go is let go with them.
    pub opened: Moment,
    /// When its backend was chosen: with its request, or later where it was moved or held.
    pub settled: Moment,
    /// Whether it can be held while its upstream is away, and so moved to another.
    pub holds: bool,
}

impl Deref for Facts {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// A session as it is seen from outside.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its address.
    pub id: SessionId,
    /// What is known of it.
    pub facts: Facts,
    /// Why it was told to go, when it was.
    pub leaving: Option<Why>,
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
    /// Several, by their ids in rising order.
    Sessions(Arc<[SessionId]>),
    /// Those of clients in a network.
    Client(IpNet),
    /// Those whose request was admitted at this moment or before.
    OpenedBy(Moment),
    /// Those that can be held while their upstream is away, and so moved to another.
    Holding,
    /// Those that any of these means: one drain of many things keeps one pace.
    AnyOf(Arc<[Who]>),
    /// Those that each of these means; all, where there is none.
    AllOf(Arc<[Who]>),
    /// Those that none of these means; all, where there is none.
    NoneOf(Arc<[Who]>),
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
            Who::Sessions(several) => several.binary_search(&id).is_ok(),
            Who::Client(net) => {
                facts.client.is_some_and(|client| net.contains(&client.ip().to_canonical()))
            }
            Who::OpenedBy(moment) => facts.opened <= *moment,
            Who::Holding => facts.holds,
            Who::AnyOf(several) => several.iter().any(|who| who.means(id, facts)),
            Who::AllOf(several) => several.iter().all(|who| who.means(id, facts)),
            Who::NoneOf(several) => !several.iter().any(|who| who.means(id, facts)),
        }
    }

    /// Whether a session that has not entered yet can be meant.
    pub(super) fn can_mean_newcomers(&self) -> bool {
        match self {
            Who::Session(_) | Who::Sessions(_) => false,
            Who::AnyOf(several) => several.iter().any(Who::can_mean_newcomers),
            Who::AllOf(several) => several.iter().all(Who::can_mean_newcomers),
            _ => true,
        }
    }
}

/// For log lines: short, however many are meant.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Parts that are named.
        const NAMED_MAX: usize = 4;
        match self {
            Who::All => f.write_str("all sessions"),
            Who::Route(route) => write!(f, "route `{route}`"),
            Who::Pool(pool) => write!(f, "pool `{pool}`"),
            Who::Backend { pool, backend } => write!(f, "backend `{backend}` of pool `{pool}`"),
            Who::Listener(listener) => write!(f, "listener `{listener}`"),
            Who::Session(id) => write!(f, "session {id}"),
            Who::Sessions(ids) => write!(f, "{} sessions by id", ids.len()),
            Who::Client(net) => write!(f, "clients in {net}"),
            Who::OpenedBy(_) => f.write_str("older sessions"),
            Who::Holding => f.write_str("sessions that can be held"),
            Who::NoneOf(_) => f.write_str("other sessions"),
            Who::AllOf(parts) if parts.is_empty() => Who::All.fmt(f),
            Who::AnyOf(parts) | Who::AllOf(parts) => {
                let and = if matches!(self, Who::AllOf(_)) { " and " } else { ", " };
                for (index, part) in parts.iter().take(NAMED_MAX).enumerate() {
                    f.write_str(if index == 0 { "" } else { and })?;
                    part.fmt(f)?;
                }
                match parts.len().saturating_sub(NAMED_MAX) {
                    0 => Ok(()),
                    more => write!(f, "{and}{more} more"),
                }
            }
        }
    }
}
