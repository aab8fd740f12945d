//! A WebSocket, from its handshake to its session. A step's type can only be made by the step
//! before it:
//!
//! ```text
//! Granted ─outbound→ Outbound ─connect→ Upstream ─answer→ Pair ─join→ Established ─enter→ Session
//! ```

use std::any::Any;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, Version};
use tokio::time::timeout;

use super::conn::{App, PendingUpgrade};
use super::grant::{Forwarding, Granted};
use super::held_places::HeldPlaces;
use super::queue;
use super::rechecks::SessionRights;
use super::record::RequestRecord;
use super::redial::Redial;
use super::refusal::Refusal;
use super::request_facts::RequestFacts;
use super::running::{Session, SessionTask};
use super::session_record::{self, SessionRecord};
use crate::base::body::{self, Body};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::base::task;
use crate::config::plan::Rules;
use crate::handshake::{Answered, Connected, Replay, Upstream, WsRequest};
use crate::live::LivePool;
use crate::observe::metrics::RouteMetrics;
use crate::pool::Key;
use crate::registry::{self, ExpectedSession, Facts, Full, Location};
use crate::relay::{HoldTerms, Leg, Relay, Terms};
use crate::rewrite;
use crate::wire::upgrade;

/// Time for a client to take its 101, which goes into an empty socket but where the client has
/// answers outstanding that it does not read.
pub const HANDOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a WebSocket. The answer is the backend's; where it is a 101, a session follows it.
pub(super) async fn open(
    app: &Arc<App>,
    mut granted: Granted,
    to: &LivePool,
    record: &mut RequestRecord,
) -> Result<Response<Body>, Refusal> {
    let mut request = WsRequest::check(&granted.asked.head)?;
    let expected = name(&mut request, &granted);
    if let Some(informational) = granted.informational() {
        request.inform(informational);
    }
    if record.trace().is_some() {
        request.time();
    }
    let client = granted.asked.hooks.upgrade.take().ok_or(Refusal::NoWebSocket)?;
    let (outbound, mut forwarding) = granted.outbound(app, to)?;
    let places = forwarding.places.take();
    let (pool, affinity) = (&to.pool, &forwarding.affinity);
    let Connected { backend, outcome } =
        queue::connect(app, &forwarding, pool, &mut request, &outbound).await;
    record.asked(&pool.plan().name, backend.clone());
    if let Some(trace) = record.trace() {
        trace.keep_times(request.times());
    }
    match outcome? {
        Answered::Http(mut answer) => {
            if let Some(reverse) = &forwarding.reverse {
                reverse.apply(answer.headers_mut(), backend.as_deref());
            }
            let via = app.via.value(Version::HTTP_11);
            let passing = &forwarding.route.plan.trailers.response;
            let changes = &forwarding.answer_changes;
            rewrite::to_client(answer.headers_mut(), via, passing, changes);
            if answer.status() == StatusCode::UPGRADE_REQUIRED {
                // It ended with its hop, but this answer is nothing without it (RFC 9110 §15.5.22).
                upgrade::insert(answer.headers_mut());
            }
            affinity.set_cookie(pool, backend.as_deref(), &mut answer);
            Ok(answer)
        }
        Answered::Upstream(upstream) => {
            let key = pool.pinned(affinity.key, upstream.lease.backend().address());
            let replay = Replay::keep(&request, &outbound, &upstream.agreed);
            let hold = HoldParts::keep(app, &forwarding, replay, key);
            let rights = SessionRights::keep(app, &forwarding);
            let via = app.via.value(Version::HTTP_11);
            let (mut answer, mut pair) =
                Pair::answer(&forwarding, via, client, upstream, (hold, places));
            pair.kept.asked = record.become_session();
            pair.kept.rights = rights;
            pair.kept.expected = expected;
            affinity.set_cookie(pool, backend.as_deref(), &mut answer);
            // A task of its own: the buffers and futures of HTTP are freed with this one.
            task::spawn("session", SessionTask::new(pair.hand_over()));
            Ok(answer)
        }
    }
}

/// Tells the backend what the session is called, where its route has that. Where it can be pushed
/// to, it is found by its token from now on: a backend may push before it answers.
fn name(request: &mut WsRequest, granted: &Granted) -> Option<ExpectedSession> {
    let (token, plan) = (granted.clearance.token?, &granted.route.plan);
    match &plan.hold {
        Some(hold) => request.hold(token, hold.swallow_first > 0, hold.resume),
        None => request.name(token),
    }
    plan.push.as_ref().map(|_| registry::announce(token, Arc::clone(&plan.identity)))
}

/// Why a client that was promised a session has none.
enum NotBegun {
    /// It left before it had its 101.
    ClientLeft,
    /// It did not take its 101 in time.
    Late,
    /// Its worker has no place for it.
    Full(Full),
}

impl Label for NotBegun {
    fn label(&self) -> &'static str {
        match self {
            NotBegun::ClientLeft => "client_left",
            NotBegun::Late => "answer_untaken",
            NotBegun::Full(_) => "worker_full",
        }
    }
}

impl fmt::Display for NotBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotBegun::ClientLeft => f.write_str("the client left before it had its answer"),
            NotBegun::Late => {
                write!(f, "the client did not take its answer in time: {HANDOVER_TIMEOUT:?}")
            }
            NotBegun::Full(full) => full.fmt(f),
        }
    }
}

/// Both sides of a session to come: the upstream is verified, the client is owed its 101.
struct Pair {
    client: PendingUpgrade,
    upstream: Box<Upstream>,
    kept: Box<SessionParts>,
}

/// All that a session keeps of where it came from: not the snapshot, not the route.
struct SessionParts {
    facts: Facts,
    rules: Arc<Rules>,
    cells: Arc<RouteMetrics>,
    permit: Rc<dyn Any>,
    hold: Option<HoldParts>,
    /// When the right to it ends.
    expires: Moment,
    /// For its first line.
    asked: Option<Box<RequestFacts>>,
    /// What its right rests on, where that can be judged again.
    rights: Option<Box<SessionRights>>,
    places: Option<Box<HeldPlaces>>,
    /// Where it can be pushed to.
    expected: Option<ExpectedSession>,
}

/// What it keeps besides on a holding route.
struct HoldParts {
    terms: HoldTerms,
    redial: Box<Redial>,
}

impl HoldParts {
    fn keep(
        app: &Arc<App>,
        forwarding: &Forwarding,
        replay: Option<Replay>,
        key: Option<Key>,
    ) -> Option<HoldParts> {
        let plan = &forwarding.route.plan;
        let hold = Arc::clone(plan.hold.as_ref()?);
        let (replay, budget) = (replay?, app.budget.of(forwarding.client_network()));
        let head_bytes = replay.bytes() as u64;
        let room = budget.has_room(head_bytes);
        if head_bytes > hold.head_bytes_max || !room {
            let why = if room { "head_bytes_max" } else { "hold_bytes_max" };
            session_record::not_holdable(forwarding.client_addr, &plan.identity, why, head_bytes);
            return None;
        }
        let terms = HoldTerms { hold, budget, head_bytes };
        let ip = forwarding.client_addr.map(|client| client.ip());
        let client = (ip, forwarding.client_network());
        let route = Arc::clone(&plan.identity);
        let redial = Redial::new(Arc::clone(app), route, client, replay, key);
        Some(HoldParts { terms, redial: Box::new(redial) })
    }
}

impl Pair {
    /// Makes the client's 101 from what was agreed on.
    fn answer(
        forwarding: &Forwarding,
        via: &HeaderValue,
        client: PendingUpgrade,
        mut upstream: Box<Upstream>,
        (hold, places): (Option<HoldParts>, Option<Box<HeldPlaces>>),
    ) -> (Response<Body>, Pair) {
        let mut answer = Response::new(body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let mut fields = std::mem::take(&mut upstream.fields);
        let backend = upstream.lease.backend();
        if let Some(reverse) = &forwarding.reverse {
            let pairs = fields.iter_mut().map(|(name, value)| (&*name, value));
            reverse.apply(pairs, Some(&**backend.address()));
        }
        let mut labels = forwarding.clearance.labels.clone();
        if forwarding.route.plan.backend_labels {
            session_record::labels_given(&mut labels, &fields, upstream.lease.backend());
        }
        let changes = &forwarding.answer_changes;
        *answer.headers_mut() = rewrite::switching(fields, via, changes);
        // After the route's changes: what was agreed on is not theirs to change.
        upstream.agreed.write(answer.headers_mut());
        let backend = upstream.lease.backend();
        let location = Location {
            listener: Arc::clone(&forwarding.conn.listener.name),
            socket: forwarding.conn.listener.identity(),
            route: Arc::clone(&forwarding.route.plan.identity),
            pool: Arc::clone(backend.pool()),
            backend: Arc::clone(backend.address()),
        };
        let facts = Facts {
            location: Arc::new(location),
            client: forwarding.client_addr.into(),
            opened: forwarding.at,
            settled: forwarding.at,
            holds: hold.is_some(),
            pushable: upstream.agreed.allowed().into(),
            labels,
        };
        let kept = SessionParts {
            facts,
            rules: Arc::clone(&forwarding.route.rules),
            cells: Arc::clone(&forwarding.route.cells),
            permit: Rc::clone(&forwarding.conn.permit),
            hold,
            expires: forwarding.clearance.pass.expires,
            asked: None,
            rights: None,
            places,
            expected: None,
        };
        (answer, Pair { client, upstream, kept: Box::new(kept) })
    }

    /// Waits until HTTP has written the 101 and gives the client up, then begins the session.
    async fn hand_over(self) -> Option<Session> {
        let facts = self.kept.facts.clone();
        let cells = Arc::clone(&self.kept.cells);
        // By its place: it would be copied on its way.
        let join = pin!(self.join());
        let why = match timeout(HANDOVER_TIMEOUT, join).await {
            Ok(Ok(joined)) => match joined.enter() {
                Ok(session) => return Some(session),
                Err(full) => NotBegun::Full(full),
            },
            Ok(Err(left)) => left,
            Err(_) => NotBegun::Late,
        };
        cells.totals.handshakes_failed.count(&why);
        session_record::not_begun(&facts, &why);
        None
    }

    async fn join(self) -> Result<Established, NotBegun> {
        let Pair { client, upstream, kept } = self;
        Ok(Established {
            client: client.complete().await.ok_or(NotBegun::ClientLeft)?,
            upstream,
            kept,
        })
    }
}

/// Both sides, free of HTTP.
struct Established {
    client: Leg,
    upstream: Box<Upstream>,
    kept: Box<SessionParts>,
}

impl Established {
    /// Takes a seat among the worker's sessions.
    fn enter(self) -> Result<Session, Full> {
        let Established { client, upstream, kept } = self;
        let SessionParts { facts, rules, cells, permit, hold, expires, .. } = *kept;
        let (mut asked, rights, mut places) = (kept.asked, kept.rights, kept.places);
        let Upstream { transport, early, agreed, lease, .. } = *upstream;
        let now = clock::now();
        let seat = registry::enter(facts.clone())?;
        if let Some(expected) = kept.expected {
            expected.begin(&seat);
        }
        let shared = places.as_mut().and_then(|places| places.take_messages());
        // With the connection's place, which costs a session without limits nothing.
        let permit: Rc<dyn Any> = match places {
            Some(places) => {
                places.seated(seat.id());
                Rc::new((permit, places))
            }
            None => permit,
        };
        let permit: Rc<dyn Any> = match rights {
            Some(rights) => Rc::new((permit, rights.seated(seat.id(), now))),
            None => permit,
        };
        let trace = asked.as_mut().and_then(|asked| asked.trace.take());
        let asked = asked.as_deref();
        if let Some(asked) = asked {
            seat.keep_target(&asked.target.kept());
        }
        let (hold, redial) = hold.map(|held| (held.terms, held.redial)).unzip();
        let allowed = agreed.allowed();
        let terms = Terms { rules, allowed, seat, cells, hold, expires, shared };
        let relay = Relay::new(client, Leg::new(transport, early), terms, now);
        let session = Session::new(relay, lease, redial, permit);
        SessionRecord::of(session.relay()).opened(&facts, asked, &agreed, now);
        if let Some(trace) = trace {
            session_record::trace_open(*trace, session.relay().seat().id(), &facts);
        }
        Ok(session)
    }
}
