//! What is known of a session, and how sessions are chosen by it.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;

use crate::base::clock::Moment;
use crate::base::compact_addr::CompactAddr;
use crate::base::id::SessionId;
use crate::config::plan::ListenerIdentity;
use crate::end::Reason;
use crate::wire::frame::Allowed;
use crate::wire::label::SessionLabels;
use crate::wire::resume::Token;

/// What stands for the backend of a session whose upstream is away.
pub const NOBODY: &str = "(none)";

/// Where a session is. The names are the plan's own, shared with it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    /// The listener it came in by, as that is called now.
    pub listener: Arc<str>,
    /// The same over reloads: the name may go to another address, and the address to another name.
    pub socket: ListenerIdentity,
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
    pub location: Arc<Location>,
    /// The client's address, where it has one.
    pub client: CompactAddr,
    /// When its request was admitted, before the snapshot was looked at: a session that was still
    /// shaking hands when others were drained is drained with them.
    pub opened: Moment,
    /// When its backend was chosen: with its request, or later where it was moved or held, or was
    /// asked to move and stayed.
    pub settled: Moment,
    /// Whether it can be held while its upstream is away, and so moved to another.
    pub holds: bool,
    /// Whether messages of ours may stand between those of its backend.
    pub pushable: Pushable,
    /// By which it is found.
    pub labels: SessionLabels,
}

/// Whether a session can be sent messages that its backend knows nothing of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Pushable {
    /// It has no extension.
    #[default]
    Plain,
    /// It has permessage-deflate: an uncompressed message is legal (RFC 7692 §6), but not every
    /// client knows.
    Compressed,
    /// It has an extension that we do not know: its messages may be interleaved.
    No,
}

impl From<Allowed> for Pushable {
    fn from(allowed: Allowed) -> Pushable {
        match allowed {
            Allowed::NOTHING => Pushable::Plain,
            Allowed::DEFLATE => Pushable::Compressed,
            _ => Pushable::No,
        }
    }
}

impl Deref for Facts {
    type Target = Location;

    fn deref(&self) -> &Location {
        &self.location
    }
}

/// A session as it is seen from outside.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its address.
    pub id: SessionId,
    /// What is known of it.
    pub facts: Facts,
    /// The path and query it was asked for with, where they are kept.
    pub target: Option<Arc<str>>,
    /// Why it was told to go, when it was.
    pub leaving: Option<Reason>,
}

/// Which sessions are meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Selector {
    /// Every one.
    All,
    /// Those of a route, by its identity.
    Route(Arc<str>),
    /// Those of a route, by its name: of one with a list of hosts each has an identity of its own,
    /// `name@host`.
    NamedRoute(Arc<str>),
    /// Those of a pool.
    Pool(Arc<str>),
    /// Those on one backend of a pool.
    Backend {
        /// The pool.
        pool: Arc<str>,
        /// The backend's address.
        backend: Arc<str>,
    },
    /// Those that came in by a listener of this name.
    Listener(Arc<str>),
    /// Those that came in by a listener's address, whatever it is called.
    Socket(ListenerIdentity),
    /// One.
    Session(SessionId),
    /// Several, by their ids in rising order.
    Sessions(Arc<[SessionId]>),
    /// Several, by their tokens, or by their ids.
    Named {
        /// Those by which backends know them.
        tokens: Arc<[Token]>,
        /// In rising order.
        ids: Arc<[SessionId]>,
    },
    /// Those of clients in a network.
    Client(IpNet),
    /// Those with a label.
    Label {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: Arc<str>,
    },
    /// Those whose request was admitted at this moment or before.
    OpenedBy(Moment),
    /// Those that can be held while their upstream is away, and so moved to another.
    Holding,
    /// Those that any of these means: one drain of many things keeps one pace.
    AnyOf(Arc<[Selector]>),
    /// Those that each of these means; all, where there is none.
    AllOf(Arc<[Selector]>),
    /// Those that none of these means; all, where there is none.
    NoneOf(Arc<[Selector]>),
}

impl Selector {
    /// Whether the session `id` with these facts is meant.
    pub fn matches(&self, id: SessionId, facts: &Facts) -> bool {
        self.matches_named(id, facts, None)
    }

    /// The same of a session that its backend knows by this token.
    pub(super) fn matches_named(
        &self,
        id: SessionId,
        facts: &Facts,
        token: Option<&Token>,
    ) -> bool {
        let each = |who: &Selector| who.matches_named(id, facts, token);
        match self {
            Selector::All => true,
            Selector::Route(route) => facts.route == *route,
            Selector::NamedRoute(name) => is_called(&facts.route, name),
            Selector::Pool(pool) => facts.pool == *pool,
            Selector::Backend { pool, backend } => facts.pool == *pool && facts.backend == *backend,
            Selector::Listener(listener) => facts.listener == *listener,
            Selector::Socket(socket) => facts.socket == *socket,
            Selector::Session(one) => *one == id,
            Selector::Sessions(ids) => ids.binary_search(&id).is_ok(),
            // Workers put ids in the place of tokens where they can.
            Selector::Named { tokens, ids } => {
                ids.binary_search(&id).is_ok() || token.is_some_and(|token| tokens.contains(token))
            }
            Selector::Client(net) => {
                let client = facts.client.get();
                client.is_some_and(|client| net.contains(&client.ip().to_canonical()))
            }
            Selector::Label { name, value } => facts.labels.get(name) == Some(&**value),
            Selector::OpenedBy(moment) => facts.opened <= *moment,
            Selector::Holding => facts.holds,
            Selector::AnyOf(several) => several.iter().any(each),
            Selector::AllOf(several) => several.iter().all(each),
            Selector::NoneOf(several) => !several.iter().any(each),
        }
    }

    /// The labels that each session must have that it matches.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts().iter().filter_map(|part| match part {
            Selector::Label { name, value } => Some((&**name, &**value)),
            _ => None,
        })
    }

    /// What each session matches that it matches.
    pub(super) fn parts(&self) -> &[Selector] {
        match self {
            Selector::AllOf(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// The parts of a selector that is made of others.
    fn inner(&self) -> &[Selector] {
        match self {
            Selector::AnyOf(parts) | Selector::AllOf(parts) | Selector::NoneOf(parts) => parts,
            _ => &[],
        }
    }

    /// The tokens that it names sessions by.
    pub(super) fn tokens(&self) -> Vec<Token> {
        match self {
            Selector::Named { tokens, .. } => tokens.to_vec(),
            made => made.inner().iter().flat_map(Selector::tokens).collect(),
        }
    }

    /// The same with ids in the place of tokens.
    pub(super) fn with_ids(&self, find: &impl Fn(&Token) -> Option<SessionId>) -> Selector {
        let inner = || self.inner().iter().map(|part| part.with_ids(find)).collect();
        match self {
            Selector::Named { tokens, ids } => {
                let found = tokens.iter().filter_map(find);
                let mut ids: Vec<SessionId> = ids.iter().copied().chain(found).collect();
                ids.sort_unstable();
                Selector::Sessions(ids.into())
            }
            Selector::AnyOf(_) => Selector::AnyOf(inner()),
            Selector::AllOf(_) => Selector::AllOf(inner()),
            Selector::NoneOf(_) => Selector::NoneOf(inner()),
            other => other.clone(),
        }
    }

    /// Whether it matches a session of this route that has not begun, by its token; what else is
    /// asked for is not known of such a one.
    pub(super) fn expects(&self, token: Token, route: &Arc<str>) -> bool {
        match self {
            Selector::All => true,
            Selector::Route(one) => one == route,
            Selector::NamedRoute(name) => is_called(route, name),
            Selector::Named { tokens, .. } => tokens.contains(&token),
            Selector::AnyOf(several) => several.iter().any(|one| one.expects(token, route)),
            Selector::AllOf(several) => several.iter().all(|one| one.expects(token, route)),
            _ => false,
        }
    }

    /// What it matches without these parts; `None` where it has none of them.
    pub(super) fn without(&self, parts: &HashSet<Selector>) -> Option<Selector> {
        let has = |part: &Selector| parts.contains(part);
        match self {
            Selector::AnyOf(several) if several.iter().any(has) => {
                Some(Selector::AnyOf(several.iter().filter(|one| !has(one)).cloned().collect()))
            }
            one => has(one).then(|| Selector::AnyOf([].into())),
        }
    }

    /// Whether a session that has not entered yet can be meant.
    pub(super) fn can_match_newcomers(&self) -> bool {
        match self {
            Selector::Session(_) | Selector::Sessions(_) | Selector::Named { .. } => false,
            Selector::AnyOf(several) => several.iter().any(Selector::can_match_newcomers),
            Selector::AllOf(several) => several.iter().all(Selector::can_match_newcomers),
            _ => true,
        }
    }
}

/// Whether a route with this identity has this name.
fn is_called(identity: &str, name: &str) -> bool {
    let of_host = identity.strip_prefix(name);
    of_host.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

/// For log lines: short, however many are meant.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Parts that are named.
        const NAMED_MAX: usize = 4;
        match self {
            Selector::All => f.write_str("all sessions"),
            Selector::Route(route) | Selector::NamedRoute(route) => write!(f, "route `{route}`"),
            Selector::Pool(pool) => write!(f, "pool `{pool}`"),
            Selector::Backend { pool, backend } => {
                write!(f, "backend `{backend}` of pool `{pool}`")
            }
            Selector::Listener(listener) => write!(f, "listener `{listener}`"),
            Selector::Socket(socket) => write!(f, "listener at `{}`", socket.address()),
            Selector::Session(id) => write!(f, "session {id}"),
            Selector::Sessions(ids) => write!(f, "{} sessions by id", ids.len()),
            Selector::Named { tokens, ids } => {
                write!(f, "{} sessions by token or id", tokens.len() + ids.len())
            }
            Selector::Client(net) => write!(f, "clients in {net}"),
            Selector::Label { name, value } => write!(f, "label `{name}={value}`"),
            Selector::OpenedBy(_) => f.write_str("older sessions"),
            Selector::Holding => f.write_str("sessions that can be held"),
            Selector::NoneOf(_) => f.write_str("other sessions"),
            Selector::AllOf(parts) if parts.is_empty() => Selector::All.fmt(f),
            Selector::AnyOf(parts) | Selector::AllOf(parts) => {
                let and = if matches!(self, Selector::AllOf(_)) { " and " } else { ", " };
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
