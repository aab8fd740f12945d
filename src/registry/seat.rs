//! A session's place in its worker's slab, and what may be asked of all sessions there.
//!
//! Every function here is about the worker it is called on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::base::clock::{self, Moment, OVERSLEPT};
use crate::base::id::SessionId;
use crate::base::{task, worker};
use crate::end::Reason;
use crate::wire::label::SessionLabels;
use crate::wire::resume::Token;

use super::drain::{Drain, Share};
use super::events::{self, SessionChange};
use super::facts::{Facts, Location, Seen, Selector};
use super::fine_timers;
use super::leaving::DrainCount;
use super::local::{Full, Local, WAKES_PER_TICK_MAX};
use super::locations::{self, LocationCount};
use super::note::{Names, Note, RuleChanges};
use super::push_order::{PushCount, PushOrder};
use super::renewal::ExpiryRenewal;
use super::reports::{self, Activity, BusiestBy};
use super::tap::{TapOrder, TapReading};
use super::taps::{self, TapsFull};
use super::traffic::TrafficReport;
use super::wheel::TICK;
use super::withdrawal::Withdrawal;

thread_local! {
    /// When it was last looked what is due here.
    static LOOKED: Cell<Moment> = const { Cell::new(Moment::NEVER) };
    static LOCAL: RefCell<Local> = RefCell::new(Local::new(worker::index().unwrap_or(0)));
}

fn with<T>(run: impl FnOnce(&mut Local) -> T) -> T {
    LOCAL.with_borrow_mut(run)
}

/// A session's place. Dropping it leaves: the slot is free, its deadline and notes forgotten.
#[derive(Debug)]
pub struct Seat {
    id: SessionId,
    /// It belongs to the worker that made it.
    here: PhantomData<*const ()>,
}

impl Seat {
    /// The session's address, for as long as it lives.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The next note; while there is none, the task is woken when one comes or the deadline does.
    pub fn poll_note(&self, cx: &mut Context<'_>) -> Poll<Note> {
        with(|local| local.poll_note(self.id, cx))
    }

    /// The session's upstream is away: an order for its backend's sessions matches it no more, and
    /// one to leave that backend is carried out.
    pub fn went_away(&self, now: Moment) {
        with(|local| local.went_away(self.id, now));
    }

    /// The session is on this backend of this pool now, which was chosen at `chosen`. An
    /// order that was given since then for its sessions is given to this one too.
    pub fn settled(&self, pool: Arc<str>, backend: Arc<str>, chosen: Moment) {
        with(|local| {
            let before = local.facts(self.id);
            local.settled(self.id, pool, backend, chosen);
            taps::follow(local, self.id, before.as_ref());
        });
    }

    /// The session has other labels now: what a change makes of those that it has.
    pub fn relabel(&self, change: impl FnOnce(&mut SessionLabels)) {
        let change = |labels: &mut SessionLabels| {
            change(labels);
            Ok::<(), Infallible>(())
        };
        relabel(self.id, change);
    }

    /// The session was asked to move, and stays where it is: it has settled there anew, so that a
    /// rebalance asks others first.
    pub fn stays(&self, now: Moment) {
        with(|local| local.stays(self.id, now));
    }

    /// Keeps what the session was asked for with, to be seen from outside.
    pub fn keep_target(&self, target: &str) {
        with(|local| local.keep_target(self.id, target));
    }

    /// Wakes the task at this moment, at most a [`TICK`] late; takes the place of the moment named
    /// before. Cheap: only a moment earlier than all before touches the wheel. The task must have
    /// called [`Seat::poll_note`] since it was last woken.
    pub fn wake_at(&self, moment: Moment) {
        with(|local| local.wake_at(self.id, moment));
    }

    /// Wakes the task in time for this moment, where that is less than a [`TICK`] from now; else as
    /// [`Seat::wake_at`] does. One at a time: another may be named when this one has come.
    pub fn wake_near(&self, moment: Moment, now: Moment) {
        if !fine_timers::arm(self.id, moment, now, wake) {
            self.wake_at(moment);
        }
    }
}

/// A session that shakes hands, by its token: messages that come for it wait. Dropping it forgets
/// them.
#[derive(Debug)]
pub struct ExpectedSession {
    token: Token,
    /// It belongs to the worker that made it.
    here: PhantomData<*const ()>,
}

impl ExpectedSession {
    /// It has begun in this seat, and is found by its token from now on.
    pub fn begin(self, seat: &Seat) {
        with(|local| local.begin(self.token, seat.id));
    }
}

impl Drop for ExpectedSession {
    fn drop(&mut self) {
        // At a worker's end the index may be gone before.
        let _ = LOCAL.try_with(|local| local.borrow_mut().tokens.forget(self.token));
    }
}

/// A session of this route, whose backend knows it by this token, shakes hands on this worker.
pub fn announce(token: Token, route: Arc<str>) -> ExpectedSession {
    with(|local| local.tokens.announce(token, route));
    ExpectedSession { token, here: PhantomData }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // At a worker's end the slab may be gone before its last sessions.
        let _ = LOCAL.try_with(|local| taps::leave(&mut local.borrow_mut(), self.id));
        reports::left(self.id);
    }
}

/// Wakes a session's task, when it lives.
fn wake(id: SessionId) {
    // A waker must not run while the slab is borrowed.
    if let Some(waker) = with(|local| local.take_waker(id)) {
        waker.wake();
    }
}

/// Takes a seat on this worker; must run inside its runtime.
///
/// # Errors
/// [`Full`] when the worker holds [`super::SESSIONS_MAX`] sessions.
pub fn enter(facts: Facts) -> Result<Seat, Full> {
    let (id, turning) = with(|local| {
        let id = local.enter(facts)?;
        taps::follow(local, id, None);
        Ok((id, std::mem::replace(&mut local.turning, true)))
    })?;
    if !turning {
        LOOKED.set(clock::now());
        task::spawn("registry", turn());
    }
    Ok(Seat { id, here: PhantomData })
}

/// Gives sessions the order, each for its moment of the schedule; answers how many were told.
/// Those that enter later but were admitted before are told as they enter.
pub fn drain(drain: &Drain, now: Moment, share: Share) -> usize {
    with(|local| {
        let selector = local.tokens.resolved(&drain.selector);
        local.drain(&Drain { selector, ..drain.clone() }, now, share)
    })
}

/// Gives one session the order, due now, when it lives.
pub fn drain_one(id: SessionId, drain: Drain, now: Moment) {
    with(|local| local.drain_one(id, drain, now));
}

/// Those of this worker of which this is so.
pub fn filter(is_so: impl Fn(&Facts) -> bool) -> Vec<SessionId> {
    with(|local| local.filter(is_so))
}

/// Ends one session, when it lives: the right to it was taken back.
pub fn revoke(id: SessionId, now: Moment) {
    drain_one(id, Drain::at_once(Selector::Session(id), Reason::Revoked, None), now);
}

/// Has one session end of age at another moment, when it lives.
pub fn set_expiry(id: SessionId, expires: Moment, now: Moment) {
    with(|local| {
        if local.facts(id).is_some() {
            local.put(id.slot(), Note::Expires(expires), now);
        }
    });
}

/// Has one session's right end at another moment, as far as its rule lets it, when it lives.
pub(super) fn renew(id: SessionId, renewal: ExpiryRenewal, now: Moment) {
    with(|local| {
        if local.facts(id).is_some() {
            local.put(id.slot(), Note::Renew(renewal), now);
        }
    });
}

/// Withdraws orders whose cause is gone; answers from how many sessions. Those that enter later are
/// not told them.
pub fn withdraw(withdrawal: &Withdrawal, now: Moment) -> usize {
    with(|local| local.withdraw(withdrawal, now))
}

/// Gives the sessions of these routes their new rules; answers how many were told. Those that
/// enter later but were admitted before are told as they enter.
pub fn update_rules(changes: &Arc<RuleChanges>, now: Moment) -> usize {
    with(|local| local.update_rules(changes, now))
}

/// Has sessions go by the new names of their listeners, those that enter later as well.
pub fn rename_listeners(names: &Arc<Names>, now: Moment) {
    with(|local| taps::following(local, |local| local.rename_listeners(names, now)));
}

/// Changes a session's labels, or not at all; what they are then. `None` when it has left.
pub fn relabel<E>(
    id: SessionId,
    change: impl FnOnce(&mut SessionLabels) -> Result<(), E>,
) -> Option<Result<SessionLabels, E>> {
    let before = facts(id)?;
    let mut labels = before.labels.clone();
    let changed = change(&mut labels).map(|()| labels);
    if let Ok(labels) = &changed
        && *labels != before.labels
    {
        with(|local| {
            local.relabel(id, labels.clone());
            taps::follow(local, id, Some(&before));
        });
        tell(id, SessionChange::Labelled);
    }
    Some(changed)
}

/// Something became of a session, which callers may follow; to be called while it has its seat.
pub fn tell(id: SessionId, change: SessionChange) {
    events::keep_here(id, change, |id| {
        Some((facts(id)?, with(|local| local.tokens.of(id.slot()))))
    });
}

/// Sends a message to sessions: it waits in each for its place, and they are woken at once; of very
/// many, some after others.
pub fn push(order: &PushOrder, now: Moment) -> PushCount {
    let (count, mut wakers) = with(|local| {
        let expected = local.tokens.push(order, now);
        let (count, wakers) = local.push(&local.tokens.resolved_order(order), now);
        (count.plus(expected), wakers)
    });
    let at_once = order.wakes_max();
    let later = wakers.split_off(wakers.len().min(at_once));
    wakers.into_iter().for_each(Waker::wake);
    if !later.is_empty() {
        task::spawn("push", async move {
            let mut later = later.into_iter();
            while later.len() > 0 {
                // Whatever else is due on this worker comes first.
                tokio::task::yield_now().await;
                later.by_ref().take(at_once).for_each(Waker::wake);
            }
        });
    }
    count
}

/// How many sessions are matched.
pub fn count(selector: &Selector) -> usize {
    with(|local| local.count(&local.tokens.resolved(selector)))
}

/// How many sessions are in each place.
pub fn by_location() -> HashMap<Arc<Location>, LocationCount> {
    with(|local| locations::by_location(local.sessions().map(|(_, facts)| facts)))
}

/// What became of the sessions that this drain told, by its number.
pub fn drained(drain: u64) -> DrainCount {
    with(|local| local.drained(drain))
}

/// Forgets a drain that has finished.
pub fn forget_drain(drain: u64) {
    with(|local| local.forget_drain(drain));
}

/// At most `most` of the sessions matched, the oldest.
pub fn list(selector: &Selector, most: usize) -> Vec<Seen> {
    with(|local| local.list(&local.tokens.resolved(selector), most))
}

/// Asks sessions of this worker what passed in them; those of others are left out.
pub fn ask_traffic(ids: &[SessionId], report: &TrafficReport, now: Moment) {
    with(|local| {
        let worker = local.worker;
        for (told, id) in ids.iter().filter(|id| id.worker() == worker).enumerate() {
            if local.facts(*id).is_some() {
                let at = now.after(TICK * (told / WAKES_PER_TICK_MAX) as u32);
                local.put(id.slot(), Note::Report(report.clone()), at);
            }
        }
    });
}

/// The busiest sessions that are matched, at most so many; see `reports`.
pub(super) fn busiest(selector: &Selector, by: BusiestBy, most: usize) -> Vec<(Seen, Activity)> {
    with(|local| reports::busiest(local, selector, by, most, clock::now()))
}

/// Reads a tap, which is set where there is none: what passed since it was read last.
///
/// # Errors
/// [`TapsFull`] where there are [`super::taps::TAPS_MAX`].
pub(super) fn read_tap(order: &TapOrder) -> Result<TapReading, TapsFull> {
    with(|local| taps::read(local, order, clock::now()))
}

/// Ends a tap.
pub(super) fn end_tap(key: u64) {
    taps::end(key);
}

/// What is known of one session; `None` when it has left.
pub fn facts(id: SessionId) -> Option<Facts> {
    // At a worker's end the slab may be gone before its last sessions.
    LOCAL.try_with(|local| local.borrow().facts(id)).ok().flatten()
}

/// How many sessions live here.
pub fn live() -> usize {
    with(|local| local.live())
}

/// Puts off the moments of drains that have passed because the process did not run. To be called
/// before a session is polled, which may be sooner than the wheel turns. Cheap where it did run.
pub fn keep_pace(now: Moment) {
    let last = LOOKED.get();
    if now.since(last) < OVERSLEPT {
        return;
    }
    LOOKED.set(now);
    let put_off = with(|local| local.put_off(last, now));
    if put_off > 0 {
        let seconds = now.since(last).as_secs_f64();
        tracing::info!(sessions = put_off, seconds, "the process did not run; drains put off");
    }
}

/// Turns the wheel while sessions live; one task per worker, no timer per session.
async fn turn() {
    let _turning = Turning;
    while live() > 0 {
        tokio::time::sleep(TICK).await;
        let now = clock::now();
        keep_pace(now);
        LOOKED.set(now);
        with(|local| {
            reports::sweep(local, now);
            taps::sweep(now);
        });
        // One at a time: a waker must not run while the slab is borrowed.
        while let Some(waker) = with(|local| local.due(now)) {
            waker.wake();
        }
    }
}

/// However the task ends, with its runtime too, the next session starts another.
struct Turning;

impl Drop for Turning {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(|local| local.borrow_mut().turning = false);
    }
}
