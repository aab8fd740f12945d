//! Sessions whose right to live is judged again while they live, on each worker.
//!
//! One task per worker looks who is due, and is there as long as such sessions are; none of them
//! has a timer. What is asked for is what the configuration in force says of the rule.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::authorize::Forwarded;
use super::conn::App;
use super::grant::Forwarding;
use crate::access::{AccessProof, RecheckVerdict, Rechecked};
use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::network::ClientNetwork;
use crate::base::task;
use crate::observe::log::ACCESS;
use crate::registry;

/// Sessions of a worker that are asked about at once.
const UNDER_WAY_MAX: usize = 64;

/// How often it is looked who is due, and whether another configuration is in force.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Sessions that are looked at before the worker's other tasks have their turn.
const CHUNK: usize = 1024;

/// How long after a question without an answer the next one comes, where sessions are not asked
/// about as often anyway.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The share of an interval by which it is longer or shorter at random.
const JITTER: f64 = 0.2;

/// What a session's right to live rests on, on its way to its seat.
pub(super) struct SessionRights {
    app: Arc<App>,
    proofs: Rc<[AccessProof]>,
    client: Option<IpAddr>,
    network: ClientNetwork,
}

impl SessionRights {
    /// Keeps what can be judged again; mostly there is no such thing.
    pub(super) fn keep(app: &Arc<App>, forwarding: &Forwarding) -> Option<Box<SessionRights>> {
        let proofs = &forwarding.clearance.pass.proofs;
        proofs.iter().any(AccessProof::is_judged_again).then(|| {
            Box::new(SessionRights {
                app: Arc::clone(app),
                proofs: proofs.as_slice().into(),
                client: forwarding.client_addr.map(|client| client.ip()),
                network: forwarding.client_network(),
            })
        })
    }

    /// The session has begun.
    pub(super) fn seated(self, id: SessionId, now: Moment) -> RightsPlace {
        let SessionRights { app, proofs, client, network } = self;
        let due = due_first(&app, &proofs, now);
        let revoked = revoked_by(&app, &proofs).cloned();
        let starts = with(|rights| {
            rights.insert(id, LiveRights { proofs, client, network, due, good: now });
            !std::mem::replace(&mut rights.is_running, true)
        });
        if starts {
            task::spawn("rechecks", look(app));
        }
        if let Some(proof) = revoked {
            // Since its handshake was let pass.
            revoke(id, &proof, "listed");
        }
        RightsPlace(id)
    }
}

/// A session's place among those of its worker that are judged again; dropping it leaves.
pub(super) struct RightsPlace(SessionId);

impl Drop for RightsPlace {
    fn drop(&mut self) {
        // At a worker's end they may be gone before its last sessions.
        let _ = RIGHTS.try_with(|rights| rights.borrow_mut().remove(self.0));
    }
}

thread_local! {
    static RIGHTS: RefCell<WorkerRights> = RefCell::default();
}

fn with<T>(run: impl FnOnce(&mut WorkerRights) -> T) -> T {
    RIGHTS.with_borrow_mut(run)
}

/// The sessions of one worker that are judged again.
#[derive(Default)]
struct WorkerRights {
    sessions: HashMap<SessionId, LiveRights>,
    due: BTreeSet<(Moment, SessionId)>,
    under_way: usize,
    /// Whether the task that looks at them lives.
    is_running: bool,
}

#[derive(Clone)]
struct LiveRights {
    proofs: Rc<[AccessProof]>,
    client: Option<IpAddr>,
    network: ClientNetwork,
    /// When it is asked about next; `NEVER` while it is asked about, too.
    due: Moment,
    /// When all was last known to be good.
    good: Moment,
}

impl WorkerRights {
    fn insert(&mut self, id: SessionId, session: LiveRights) {
        if session.due < Moment::NEVER {
            self.due.insert((session.due, id));
        }
        self.sessions.insert(id, session);
    }

    fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.due.remove(&(session.due, id));
        }
    }

    fn schedule(&mut self, id: SessionId, due: Moment) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.due.remove(&(session.due, id));
        session.due = due;
        if due < Moment::NEVER {
            self.due.insert((due, id));
        }
    }

    /// One that is due, while there is room for its question.
    fn begin(&mut self, now: Moment) -> Option<(SessionId, LiveRights)> {
        let (due, id) = self.due.first().copied()?;
        if due > now || self.under_way >= UNDER_WAY_MAX {
            return None;
        }
        self.schedule(id, Moment::NEVER);
        let session = self.sessions.get(&id)?.clone();
        self.under_way += 1;
        Some((id, session))
    }
}

/// Counts a question from its beginning to its end, however it ends.
struct UnderWay;

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = RIGHTS.try_with(|rights| rights.borrow_mut().under_way -= 1);
    }
}

/// However the task ends, with its runtime too, the next session starts another.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RIGHTS.try_with(|rights| rights.borrow_mut().is_running = false);
    }
}

/// Has those asked about that are due, while there are any sessions.
async fn look(app: Arc<App>) {
    let _running = Running;
    let mut generation = app.live.now().generation;
    while with(|rights| !rights.sessions.is_empty()) {
        sleep(LOOK_INTERVAL).await;
        let in_force = app.live.now().generation;
        if in_force != generation {
            generation = in_force;
            renew(&app).await;
        }
        let now = clock::now();
        while let Some((id, session)) = with(|rights| rights.begin(now)) {
            let asking = UnderWay;
            let app = Arc::clone(&app);
            task::spawn_boxed("recheck", async move {
                ask(&app, id, session).await;
                drop(asking);
            });
        }
    }
}

/// Another configuration is in force: what it takes back ends, and nothing waits longer than it
/// says.
async fn renew(app: &Arc<App>) {
    let ids: Vec<SessionId> = with(|rights| rights.sessions.keys().copied().collect());
    for chunk in ids.chunks(CHUNK) {
        let now = clock::now();
        for id in chunk {
            let proofs = with(|rights| Some(Rc::clone(&rights.sessions.get(id)?.proofs)));
            if let Some(proof) = proofs.as_ref().and_then(|proofs| revoked_by(app, proofs)) {
                revoke(*id, proof, "listed");
                continue;
            }
            with(|rights| {
                let Some(session) = rights.sessions.get(id) else { return };
                let first = due_first(app, &session.proofs, now);
                let due = if first == Moment::NEVER { first } else { session.due.min(first) };
                rights.schedule(*id, due);
            });
        }
        tokio::task::yield_now().await;
    }
}

/// What of a session's right is good no more by the rules in force, without asking anybody.
fn revoked_by<'a>(app: &App, proofs: &'a [AccessProof]) -> Option<&'a AccessProof> {
    let snapshot = app.live.now();
    let is_revoked = |proof: &&AccessProof| {
        snapshot.access.get(&proof.rule).is_some_and(|rule| rule.is_revoked(proof))
    };
    proofs.iter().find(is_revoked)
}

/// How often a session is asked about by the rules in force.
fn interval(app: &App, proofs: &[AccessProof]) -> Option<Duration> {
    let snapshot = app.live.now();
    let of = |proof: &AccessProof| snapshot.access.get(&proof.rule)?.recheck_interval(proof);
    proofs.iter().filter_map(of).min()
}

fn due_first(app: &App, proofs: &[AccessProof], now: Moment) -> Moment {
    interval(app, proofs).map_or(Moment::NEVER, |every| now.after(jittered(every)))
}

fn jittered(time: Duration) -> Duration {
    time.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

/// Asks about one session, and does what is said.
async fn ask(app: &App, id: SessionId, session: LiveRights) {
    let LiveRights { proofs, client, network, mut good, .. } = session;
    let mut expires = Moment::NEVER;
    let (mut is_renewed, mut is_answered, mut ends) = (false, true, Moment::NEVER);
    for proof in &*proofs {
        let rule = app.live.now().access.get(&proof.rule).cloned();
        let who = Rechecked { client, network, subrequest: &Forwarded };
        let standing = match &rule {
            Some(rule) => rule.recheck(proof, who).await,
            None => None,
        };
        let until = match standing {
            Some(RecheckVerdict::Revoked) => return revoke(id, proof, "denied"),
            Some(RecheckVerdict::Good(Some(until))) => {
                is_renewed = true;
                until
            }
            Some(RecheckVerdict::Unanswered(most)) => {
                is_answered = false;
                ends = ends.min(most.map_or(Moment::NEVER, |most| good.after(most)));
                if ends <= clock::now() {
                    return revoke(id, proof, "unanswered");
                }
                proof.expires
            }
            Some(RecheckVerdict::Good(None)) | None => proof.expires,
        };
        expires = expires.min(until);
    }
    let now = clock::now();
    if is_renewed {
        registry::set_expiry(id, expires, now);
    }
    let Some(every) = interval(app, &proofs) else { return };
    let due = if is_answered {
        good = now;
        now.after(jittered(every))
    } else {
        now.after(jittered(every.min(RETRY_INTERVAL))).min(ends)
    };
    with(|rights| {
        if let Some(session) = rights.sessions.get_mut(&id) {
            session.good = good;
        }
        rights.schedule(id, due);
    });
}

fn revoke(id: SessionId, proof: &AccessProof, why: &'static str) {
    tracing::info!(
        target: ACCESS,
        event = "session_revoked",
        session = %id,
        access = &*proof.rule,
        why,
    );
    registry::revoke(id, clock::now());
}
