//! Keeps certificates: loads what others got, orders what is missing, renews in time.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::ca_client::CaClient;
use super::challenge_kind::ChallengeKind;
use super::name_record::NameRecord;
use super::order_task::{self, Done, OrderShared, OrderWish};
use super::ordering::Ordered;
use super::state_dir::{self, StateDir};
use super::stored;
use super::wanted::{AcmeWanted, AcmeWork};
use crate::acme::challenges::Challenges;
use crate::acme::states::{NameState, NameStates};
use crate::base::clock;
use crate::base::label::Label as _;
use crate::base::task::LocalBox;
use crate::tls::IssuedCertificates;

/// Orders and questions under way at a time, of all names.
const UNDER_WAY_MAX: usize = 4;

/// How often the directory of state is looked at; and while a name has no certificate, or another
/// instance orders.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_SOON: Duration = Duration::from_secs(1);

/// A wall clock that is set back by more seconds was wrong before.
const CLOCK_STEP: i64 = 60;

/// Looks for challenges that are asked for are this far apart at least.
const CHALLENGE_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A failed order is first tried at the authority's staging after so many failures.
const STAGING_AFTER: u32 = 2;

/// Keeps the certificates that are wanted, until nobody says any more what that is. It runs on a
/// thread of its own: it reads and writes files.
pub async fn keep(
    mut work: watch::Receiver<Option<AcmeWork>>,
    challenges: Arc<Challenges>,
    states: Arc<NameStates>,
) {
    let mut keeper: Option<Keeper> = None;
    loop {
        let present = work.borrow_and_update().clone();
        let is_leaving = present.as_ref().is_some_and(|work| work.is_leaving);
        let wanted = present.as_ref().and_then(|work| AcmeWanted::of(&work.plan));
        keeper = match (keeper.take(), wanted, present) {
            (Some(mut before), Some(wanted), _) if before.shared.acme == wanted.acme => {
                before.rename(wanted);
                Some(before)
            }
            (_, Some(wanted), Some(work)) => {
                let shared = (Arc::clone(&challenges), Arc::clone(&states), work.issued);
                Keeper::new(wanted, shared)
            }
            _ => None,
        };
        challenges.set_open(keeper.is_some());
        if is_leaving && let Some(keeper) = &mut keeper {
            keeper.leave();
        }
        let changed = match &mut keeper {
            Some(keeper) => tokio::select! {
                changed = work.changed() => changed,
                () = keeper.keep() => continue,
            },
            None => {
                states.set(Vec::new());
                work.changed().await
            }
        };
        if changed.is_err() {
            break;
        }
    }
    challenges.set_open(false);
}

/// What the last look at the directory of state has found.
#[derive(PartialEq, Eq)]
enum StateUse {
    /// There was none yet.
    Unknown,
    Usable,
    /// It cannot be written to: why.
    Unusable(String),
}

impl StateUse {
    fn error(&self) -> Option<&str> {
        match self {
            StateUse::Unusable(error) => Some(error),
            StateUse::Unknown | StateUse::Usable => None,
        }
    }
}

struct Keeper {
    shared: Rc<OrderShared>,
    kinds: Vec<ChallengeKind>,
    records: BTreeMap<Arc<str>, NameRecord>,
    under_way: Vec<LocalBox<(Arc<str>, Done)>>,
    state_use: StateUse,
    /// When it was looked at last, by the wall clock, in seconds since 1970.
    looked: i64,
    /// Whether it orders no more.
    is_leaving: bool,
}

impl Keeper {
    fn new(
        wanted: AcmeWanted,
        (challenges, states, issued): (Arc<Challenges>, Arc<NameStates>, Arc<IssuedCertificates>),
    ) -> Option<Keeper> {
        let client = match CaClient::build(&wanted.acme.roots) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "certificates are not ordered");
                return None;
            }
        };
        let acme = wanted.acme.clone();
        let state = StateDir::new(&acme.state, &acme.directory.url);
        let account = Mutex::new(None);
        let shared = OrderShared { acme, state, client, challenges, states, issued, account };
        let (records, under_way) = Default::default();
        let mut new = Keeper {
            shared: Rc::new(shared),
            kinds: Vec::new(),
            records,
            under_way,
            state_use: StateUse::Unknown,
            looked: 0,
            is_leaving: false,
        };
        new.rename(wanted);
        Some(new)
    }

    /// These names are wanted from now on.
    fn rename(&mut self, wanted: AcmeWanted) {
        self.kinds = wanted.kinds;
        self.records.retain(|name, _| wanted.names.contains(name));
        for name in &wanted.names {
            let record = self.records.entry(Arc::clone(name));
            record.or_insert_with(|| NameRecord::new(fastrand::f64()));
        }
        self.shared.issued.retain(|name| wanted.names.contains(name));
    }

    /// Orders no more: what is under way is given up, and its locks are given back.
    fn leave(&mut self) {
        self.is_leaving = true;
        self.under_way.clear();
    }

    /// One round: looks, begins what is due, and waits until there is something to do.
    async fn keep(&mut self) {
        self.look();
        if self.shared.challenges.has_others() {
            self.look_for_challenges();
        }
        self.begin();
        self.publish();
        let is_soon =
            self.records.values().any(|record| record.shown.is_none() || record.seen.is_some());
        let is_soon = is_soon && !self.is_leaving || self.shared.challenges.has_others();
        let pause = if is_soon { LOOK_SOON } else { LOOK_EVERY };
        let challenges = Arc::clone(&self.shared.challenges);
        tokio::select! {
            // Whoever asks for answers that nobody has holds up no order.
            biased;
            (name, done) = next(&mut self.under_way) => self.take(&name, done),
            () = challenges.asked() => {
                self.look_for_challenges();
                sleep(CHALLENGE_LOOK_EVERY).await;
            }
            () = sleep(pause) => {}
        }
    }

    /// Loads what is there and new.
    fn look(&mut self) {
        if !self.is_leaving {
            self.look_for_room();
        }
        for (name, record) in &mut self.records {
            stored::load(&self.shared, name, record);
        }
    }

    /// Makes the directory of state, and says where it cannot be written to.
    fn look_for_room(&mut self) {
        let now = unix_now();
        let back = self.looked - now;
        if back > CLOCK_STEP {
            self.records.values_mut().for_each(|record| record.turn_back(back));
        }
        self.looked = now;
        let mut records = self.records.values();
        let is_due = records.any(|record| !record.is_under_way && record.due() <= now);
        let state = &self.shared.state;
        // All names wait for room together, and none of them for longer than that.
        let made = state.make().and_then(|()| if is_due { state.try_to_write() } else { Ok(()) });
        let found = match made {
            Ok(()) => StateUse::Usable,
            Err(error) => StateUse::Unusable(error.to_string()),
        };
        if self.state_use == StateUse::Unknown {
            state.remove_left_aside();
        }
        let path = self.shared.acme.state.display();
        match (&self.state_use, &found) {
            (before, StateUse::Unusable(error)) if *before != found => tracing::error!(
                state = %path, %error, "ACME state cannot be used; no certificate is ordered"
            ),
            (StateUse::Unusable(_), StateUse::Usable) => {
                tracing::info!(state = %path, "ACME state can be used again");
            }
            (StateUse::Unknown, StateUse::Usable) if state.is_open_to_all() => tracing::warn!(
                state = %path, "ACME state has keys and may be read by everybody: chmod 700"
            ),
            _ => {}
        }
        self.state_use = found;
    }

    fn look_for_challenges(&mut self) {
        self.shared.challenges.begin_look();
        let found = stored::challenges(&self.shared.state);
        self.shared.challenges.end_look(found);
    }

    /// Begins what is due, as far as there is room.
    fn begin(&mut self) {
        if self.state_use.error().is_some() || self.is_leaving {
            return;
        }
        let now = unix_now();
        for (name, record) in &mut self.records {
            if self.under_way.len() >= UNDER_WAY_MAX {
                return;
            }
            if record.is_under_way {
                continue;
            }
            let (shared, name) = (Rc::clone(&self.shared), Arc::clone(name));
            if record.due() <= now {
                let mut kinds = self.kinds.clone();
                // Another way is tried where one has failed.
                let first = record.failures as usize % kinds.len().max(1);
                kinds.rotate_left(first);
                let wish = OrderWish {
                    kinds,
                    leaf: record.shown.as_ref().map(|shown| Arc::clone(&shown.leaf)),
                    version: record.version,
                    seen: record.seen.clone(),
                    tries_staging: record.failures >= STAGING_AFTER,
                    failures: record.failures,
                    now,
                };
                record.is_under_way = true;
                self.under_way.push(Box::pin(async move {
                    let done = order_task::order(&shared, &name, wish).await;
                    (name, done)
                }));
            } else if record.is_window_due(now) {
                let leaf = record.shown.as_ref().map(|shown| Arc::clone(&shown.leaf));
                record.is_under_way = true;
                self.under_way.push(Box::pin(async move {
                    let done =
                        order_task::window(&shared, leaf.as_deref().unwrap_or_default()).await;
                    (name, done)
                }));
            }
        }
    }

    /// Takes what came of it.
    fn take(&mut self, name: &Arc<str>, done: Done) {
        // A name that is wanted no more.
        let Some(record) = self.records.get_mut(name) else { return };
        record.is_under_way = false;
        record.seen = None;
        let now = unix_now();
        match done {
            Done::Issued(issued) => {
                let (Ordered { text, pem, shown_by }, failed) = *issued;
                let path = self.shared.state.certificate(name);
                let not_after = pem.validity.not_after;
                if let Some(error) = &failed {
                    let file = path.display();
                    tracing::error!(certificate = %name, %file, %error,
                        "certificate is served from memory; it cannot be written");
                }
                let unsaved = failed.is_some().then(|| text.into());
                let shown = stored::show(&self.shared, name, &path, pem, unsaved);
                record.version = state_dir::version(&path).ok().flatten();
                record.issue(shown, now);
                let (challenge, due) = (shown_by.unwrap_or("remembered"), record.due());
                tracing::info!(
                    certificate = %name,
                    challenge,
                    expires_in = not_after - now,
                    renewed_in = due - now,
                    "certificate issued"
                );
            }
            Done::Held(seen) => {
                record.seen = Some(seen);
                record.not_before = record.not_before.max(now + 1);
            }
            Done::Elsewhere => {}
            Done::Noted(note) => record.take_note(note),
            Done::Failed(error, retry_after) => {
                let retry_in = record.fail(&error, retry_after, now).as_secs();
                let (reason, failures) = (error.label(), record.failures);
                // One that cannot be written is known here all the same.
                let _ = self.shared.state.note_failure(name, &record.note(now));
                match &record.shown {
                    Some(shown) if shown.validity.not_after > now => tracing::warn!(
                        certificate = %name, reason, %error, failures, retry_in,
                        expires_in = shown.validity.not_after - now, "certificate not renewed"
                    ),
                    _ => tracing::error!(
                        certificate = %name, reason, %error, failures, retry_in,
                        "certificate not issued; clients are shown one that nobody trusts"
                    ),
                }
            }
            Done::Window(said) => record.take_window(said, now),
        }
    }

    fn publish(&self) {
        let of_state = self.state_use.error();
        let of_state: Option<Arc<str>> =
            of_state.map(|error| format!("`acme.state` cannot be used: {error}").into());
        let state = |(name, record): (&Arc<str>, &NameRecord)| NameState {
            name: Arc::clone(name),
            not_after: record.shown.as_ref().map(|shown| shown.validity.not_after),
            due: record.due(),
            failures: record.failures,
            error: of_state.clone().or_else(|| record.error.clone()),
            ordered_by: record.seen.as_ref().map(|seen| seen.owner().into()),
        };
        self.shared.states.set(self.records.iter().map(state).collect());
    }
}

/// The first that is done.
async fn next(under_way: &mut Vec<LocalBox<(Arc<str>, Done)>>) -> (Arc<str>, Done) {
    poll_fn(|cx| {
        for at in 0..under_way.len() {
            if let Poll::Ready(done) = under_way[at].as_mut().poll(cx) {
                drop(under_way.swap_remove(at));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}

fn unix_now() -> i64 {
    clock::since_1970().as_secs() as i64
}
