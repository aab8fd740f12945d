//! A WebSocket, from its handshake to its session. A step's type can only be made by the step
//! before it:
//!
//! ```text
//! Routed ─check→ WsRequest ─connect→ Upstream ─answer→ Pair ─join→ Joined ─enter→ Session
//! ```

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::admit::Routed;
use super::affinity::Affinity;
use super::conn::{App, OnStream};
use super::fields;
use super::queue;
use super::record::RequestRecord;
use super::redial::Redial;
use super::refusal::Refusal;
use super::running::Session;
use super::session_record::{self, SessionRecord};
use crate::base::body::{self, Body};
use crate::base::clock;
use crate::base::task;
use crate::config::plan::Rules;
use crate::handshake::{Agreed, Answered, Connected, Replay, Upstream, WsRequest};
use crate::observe::metrics::RouteCells;
use crate::pool::{Key, Pool};
use crate::registry::{self, Facts, Full, Location};
use crate::relay::{HoldTerms, Leg, Relay, Terms};
use crate::tls::Transport;

/// Time for a client to take its 101, which goes into an empty socket but where the client has
/// answers outstanding that it does not read.
pub const HANDOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a WebSocket. The answer is the backend's; where it is a 101, a session follows it.
pub(super) async fn open(
    app: &Arc<App>,
    mut routed: Routed,
    pool: &Arc<Pool>,
    strip_prefix: bool,
    host: Option<&HeaderValue>,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let mut asked = WsRequest::check(&routed.head, routed.route.plan.allowed_origins.as_deref())?;
    // Taken out of the head, which goes to each backend that is tried.
    let client = Coming::take(&mut routed.head.extensions).ok_or(Refusal::NoWebSocket)?;
    let affinity = Affinity::take(&mut routed, pool);
    routed.turn_onward(strip_prefix, host)?;
    if let Some(hold) = &routed.route.plan.hold {
        asked.hold(hold.swallow_first > 0);
    }
    let connected = queue::connect(app, &routed, pool, &mut asked, affinity.key).await;
    let Connected { backend, answer } = connected;
    record.asked(&pool.plan().name, backend.clone());
    match answer? {
        Answered::Http(mut answer) => {
            fields::homeward(answer.headers_mut(), &routed.route.plan.response_headers);
            if answer.status() == StatusCode::UPGRADE_REQUIRED {
                // It ended with its hop, but this answer is nothing without it (RFC 9110 §15.5.22).
                fields::offer_upgrade(answer.headers_mut());
            }
            affinity.give(pool, backend.as_deref(), &mut answer);
            Ok(answer)
        }
        Answered::Upstream(upstream) => {
            let key = pool.pinned(affinity.key, upstream.lease.backend().address());
            let hold = Held::keep(app, &routed, &asked, key, &upstream.agreed);
            let (mut answer, pair) = Pair::answer(&routed, client, upstream, hold);
            affinity.give(pool, backend.as_deref(), &mut answer);
            // A task of its own: the buffers and futures of HTTP are freed with this one.
            task::spawn("handover", pair.hand_over());
            Ok(answer)
        }
    }
}

/// A client on its way out of HTTP.
enum Coming {
    Upgrade(OnUpgrade),
    Stream(OnStream),
}

impl Coming {
    fn take(extensions: &mut Extensions) -> Option<Coming> {
        let upgrade = extensions.remove::<OnUpgrade>().map(Coming::Upgrade);
        upgrade.or_else(|| extensions.remove::<OnStream>().map(Coming::Stream))
    }

    /// Waits until HTTP has sent the answer and lets go.
    async fn arrive(self) -> Result<Leg, Gone> {
        let upgrade = match self {
            Coming::Upgrade(upgrade) => upgrade,
            Coming::Stream(stream) => {
                let stream = stream.arrive().await.ok_or(Gone::Stream)?;
                return Ok(Leg::new(stream, Vec::new()));
            }
        };
        let upgraded = upgrade.await.map_err(Gone::Connection)?;
        // cannot fail: `listen` serves HTTP/1.1 on nothing else.
        let parts = upgraded.downcast::<TokioIo<Transport>>().expect("a transport of ours");
        Ok(Leg::new(parts.io.into_inner(), parts.read_buf.into()))
    }
}

/// Why a client that was promised a session did not get it.
enum Gone {
    Connection(hyper::Error),
    Stream,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gone::Connection(error) => error.fmt(f),
            Gone::Stream => f.write_str("the stream was reset"),
        }
    }
}

/// Both sides of a session to come: the upstream is verified, the client is owed its 101.
struct Pair {
    client: Coming,
    upstream: Box<Upstream>,
    kept: Kept,
}

/// All that a session keeps of where it came from: not the snapshot, not the route.
struct Kept {
    facts: Facts,
    rules: Arc<Rules>,
    cells: Arc<RouteCells>,
    permit: Rc<dyn Any>,
    hold: Option<Held>,
}

/// What it keeps besides on a holding route.
struct Held {
    terms: HoldTerms,
    redial: Box<Redial>,
}

impl Held {
    fn keep(
        app: &Arc<App>,
        routed: &Routed,
        asked: &WsRequest,
        key: Option<Key>,
        agreed: &Agreed,
    ) -> Option<Held> {
        let plan = &routed.route.plan;
        let replay = Replay::keep(asked, &routed.head, agreed)?;
        let hold = Arc::clone(plan.hold.as_ref()?);
        let terms = HoldTerms { hold, budget: Arc::clone(&app.budget) };
        let redial = Redial::new(Arc::clone(app), Arc::clone(&plan.identity), replay, key);
        Some(Held { terms, redial: Box::new(redial) })
    }
}

impl Pair {
    /// Makes the client's 101 from what was agreed on.
    fn answer(
        routed: &Routed,
        client: Coming,
        mut upstream: Box<Upstream>,
        hold: Option<Held>,
    ) -> (Response<Body>, Pair) {
        let mut answer = Response::new(body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *answer.headers_mut() = std::mem::take(&mut upstream.headers);
        fields::homeward(answer.headers_mut(), &routed.route.plan.response_headers);
        // After the route's changes: what was agreed on is not theirs to change.
        upstream.agreed.write(answer.headers_mut());
        let backend = upstream.lease.backend();
        let location = Location {
            listener: Arc::clone(&routed.conn.listener.name),
            route: Arc::clone(&routed.route.plan.identity),
            pool: Arc::clone(backend.pool()),
            backend: Arc::clone(backend.address()),
        };
        let facts = Facts {
            location: Arc::new(location),
            client: routed.asker,
            opened: routed.at,
            settled: routed.at,
            holds: hold.is_some(),
        };
        let kept = Kept {
            facts,
            rules: Arc::clone(&routed.route.rules),
            cells: Arc::clone(&routed.route.cells),
            permit: Rc::clone(&routed.conn.permit),
            hold,
        };
        (answer, Pair { client, upstream, kept })
    }

    /// Waits until HTTP has written the 101 and lets go of the client, then begins the session.
    async fn hand_over(self) {
        let facts = self.kept.facts.clone();
        let joined = match timeout(HANDOVER_TIMEOUT, self.join()).await {
            Ok(Ok(joined)) => joined,
            Ok(Err(gone)) => return session_record::not_begun(&facts, gone),
            Err(late) => return session_record::not_begun(&facts, late),
        };
        match joined.enter() {
            Ok(session) => task::spawn("session", session),
            Err(full) => session_record::not_begun(&facts, full),
        }
    }

    async fn join(self) -> Result<Joined, Gone> {
        let Pair { client, upstream, kept } = self;
        Ok(Joined { client: client.arrive().await?, upstream, kept })
    }
}

/// Both sides, free of HTTP.
struct Joined {
    client: Leg,
    upstream: Box<Upstream>,
    kept: Kept,
}

impl Joined {
    /// Takes a seat among the worker's sessions.
    fn enter(self) -> Result<Session, Full> {
        let Joined { client, upstream, kept } = self;
        let Kept { facts, rules, cells, permit, hold } = kept;
        let Upstream { transport, early, agreed, lease, .. } = *upstream;
        let now = clock::now();
        let seat = registry::enter(facts.clone())?;
        let record = SessionRecord::open(seat.id(), &facts, &agreed, Arc::clone(&cells), now);
        let (hold, redial) = hold.map(|held| (held.terms, held.redial)).unzip();
        let terms = Terms { rules, allowed: agreed.allowed(), seat, cells, hold };
        let relay = Relay::new(client, Leg::new(transport, early.into()), terms, now);
        Ok(Session::new(relay, record, lease, redial, permit))
    }
}
