//! A set of keys that is fetched: kept fresh by one task, and kept when that fails.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::fetch::{self, FetchError};
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::share::Shares;
use crate::base::task::LocalBox;
use crate::config::plan::KeysUrl;
use crate::observe::metrics::{AccessMetrics, KeySetFacts};
use crate::pool::Dialler;
use crate::tls::TlsError;
use crate::wire::token_keys::{self, TokenKey};

/// How soon a fetch that failed is tried again, for the first time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Requests that wait for keys, of one rule.
const WAITING_MAX: usize = 1024;

/// The set of keys of a rule. What was fetched outlives reloads with the rule's name and the URL.
pub(super) struct KeySet {
    rule: Arc<str>,
    url: KeysUrl,
    dialler: Dialler,
    fetched: watch::Sender<Fetched>,
    /// Asks the one that fetches to do so before it is time.
    asks: mpsc::Sender<()>,
    /// For that one, until it is there.
    asked: Mutex<Option<mpsc::Receiver<()>>>,
    waiting: Arc<Shares>,
    cells: Arc<AccessMetrics>,
}

/// What came of all fetches so far.
#[derive(Clone, Default)]
struct Fetched {
    /// The last good keys.
    keys: Option<GoodKeys>,
    /// Fetches that have ended.
    ended: u64,
    /// When the last one began.
    begun: Option<Moment>,
    is_under_way: bool,
    /// Those that failed since one succeeded.
    failures: u32,
    /// When the next one is due.
    due: Moment,
    /// What went wrong with the last one.
    error: Option<Arc<str>>,
}

#[derive(Clone)]
struct GoodKeys {
    keys: Arc<Vec<TokenKey>>,
    /// What was answered.
    text: Arc<str>,
    at: Moment,
    /// How old they were then: a process's clock knows nothing of the time before it.
    age: Duration,
    /// The same by the wall clock, in seconds since 1970.
    second: u64,
}

impl GoodKeys {
    fn age(&self, now: Moment) -> Duration {
        self.age.saturating_add(now.since(self.at))
    }
}

/// Keys that one process hands over to the next.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchedKeys {
    /// The name of the rule.
    pub rule: Arc<str>,
    /// Whom they were asked of, and for what.
    pub url: Arc<str>,
    /// What was answered: public keys.
    pub text: Arc<str>,
    /// How long ago.
    pub age: Duration,
}

/// Keys as they are at a moment.
pub(super) struct KeysNow {
    /// None where none were fetched, or long ago.
    pub(super) keys: Option<Arc<Vec<TokenKey>>>,
    /// Tells them from later ones.
    ended: u64,
}

/// What there is to see of a set of keys.
#[derive(Clone, PartialEq, Debug)]
pub struct KeySetState {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Where it is fetched.
    pub url: Arc<str>,
    /// Keys that serve.
    pub keys: usize,
    /// How long ago they were fetched.
    pub age: Option<Duration>,
    /// What went wrong with the last fetch.
    pub error: Option<Arc<str>>,
}

impl KeySet {
    /// The set of a rule; `before` is the one of the rule's name, which goes on where it is the
    /// same.
    ///
    /// # Errors
    /// No TLS can be made from the plan.
    pub(super) fn build(
        rule: &Arc<str>,
        url: &KeysUrl,
        before: Option<&Arc<KeySet>>,
        cells: &Arc<AccessMetrics>,
    ) -> Result<Arc<KeySet>, TlsError> {
        let before = before.filter(|before| before.url.is_same_set(url));
        if let Some(before) = before.filter(|before| before.url == *url) {
            return Ok(Arc::clone(before));
        }
        let known = before.map(|before| before.fetched.borrow().clone()).unwrap_or_default();
        let (asks, asked) = mpsc::channel(1);
        Ok(Arc::new(KeySet {
            rule: Arc::clone(rule),
            url: url.clone(),
            dialler: Dialler::of_no_pool(url.fetch_timeout, url.tls.as_ref())?,
            fetched: watch::Sender::new(Fetched { is_under_way: false, ..known }),
            asks,
            asked: Mutex::new(Some(asked)),
            waiting: Shares::new(WAITING_MAX),
            cells: Arc::clone(cells),
        }))
    }

    /// The keys, waiting for the first ones.
    pub(super) async fn keys(&self, client: ClientNetwork) -> KeysNow {
        let now = self.present();
        match now.keys {
            Some(_) => now,
            None => self.later(&now, client).await.unwrap_or(now),
        }
    }

    /// Keys that are later than `known`, which a token fits none of: waits for a fetch where one is
    /// under way, or may be begun. `None` where there are none.
    pub(super) async fn later(&self, known: &KeysNow, client: ClientNetwork) -> Option<KeysNow> {
        let is_later = |fetched: &Fetched| fetched.ended != known.ended;
        if !is_later(&self.fetched.borrow()) {
            if !self.may_ask(clock::now()) {
                return None;
            }
            let _place = self.waiting.try_take(client)?;
            // Where one has asked already, that is enough.
            let _ = self.asks.try_send(());
            let mut fetched = self.fetched.subscribe();
            // The one that fetches keeps to the same time.
            let due = clock::now().after(self.url.fetch_timeout * 2);
            clock::by(due, fetched.wait_for(is_later)).await?.ok()?;
        }
        Some(self.present())
    }

    /// How long it is until there may be keys, for who is refused for want of them.
    pub(super) fn retry_after(&self) -> Duration {
        self.fetched.borrow().due.since(clock::now()).max(FIRST_PAUSE)
    }

    fn present(&self) -> KeysNow {
        let now = clock::now();
        let fetched = self.fetched.borrow();
        let fresh = fetched.keys.as_ref().filter(|good| good.age(now) < self.url.stale_max);
        KeysNow { keys: fresh.map(|good| Arc::clone(&good.keys)), ended: fetched.ended }
    }

    /// Whether a fetch is under way, or may be begun for a token that no key fits.
    fn may_ask(&self, now: Moment) -> bool {
        let fetched = self.fetched.borrow();
        let has_rested = |begun: Moment| now >= begun.after(self.url.refresh_min);
        fetched.is_under_way || fetched.begun.is_none_or(has_rested)
    }

    /// The last good keys, for the process after this one.
    pub(super) fn hand_over(&self) -> Option<FetchedKeys> {
        let fetched = self.fetched.borrow();
        let good = fetched.keys.as_ref()?;
        Some(FetchedKeys {
            rule: Arc::clone(&self.rule),
            url: self.url.id(),
            text: Arc::clone(&good.text),
            age: good.age(clock::now()),
        })
    }

    /// Begins with keys that the process before has fetched, where it has none yet. They are as old
    /// as they were there, and fetched anew when they would have been.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub(super) fn take(&self, handed: &FetchedKeys) -> Result<(), String> {
        if self.url.id() != handed.url {
            return Ok(());
        }
        let keys = token_keys::read_published(handed.text.as_bytes())?;
        let now = clock::now();
        let since_1970 = clock::since_1970();
        let second = since_1970.saturating_sub(handed.age).as_secs();
        let (keys, text, age) = (keys.into(), Arc::clone(&handed.text), handed.age);
        let good = GoodKeys { keys, text, at: now, age, second };
        let left = self.url.refresh.saturating_sub(handed.age);
        self.fetched.send_if_modified(|fetched| {
            let is_first = fetched.keys.is_none();
            if is_first {
                (fetched.keys, fetched.due) = (Some(good), now.after(left));
            }
            is_first
        });
        Ok(())
    }

    /// What there is to see.
    pub(super) fn state(&self) -> KeySetState {
        let present = self.present().keys;
        let fetched = self.fetched.borrow();
        let good = fetched.keys.as_ref();
        KeySetState {
            rule: Arc::clone(&self.rule),
            url: Arc::clone(&self.url.shown),
            keys: present.map_or(0, |keys| keys.len()),
            age: good.map(|good| good.age(clock::now())),
            error: fetched.error.clone(),
        }
    }

    /// What a scrape says.
    pub(super) fn facts(&self) -> KeySetFacts {
        let keys = self.present().keys.map_or(0, |keys| keys.len() as u64);
        let fetched = self.fetched.borrow();
        KeySetFacts { keys, fetched: fetched.keys.as_ref().map(|good| good.second) }
    }

    /// Keeps the keys fresh until all who use them are gone; `None` where another does.
    pub(super) fn keep(self: &Arc<KeySet>) -> Option<LocalBox<()>> {
        // A lock whose holder panicked guards a value that is whole.
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Box::pin(keep(Arc::downgrade(self), asked)))
    }

    async fn fetch(&self) {
        let begun = clock::now();
        self.fetched.send_modify(|fetched| {
            (fetched.begun, fetched.is_under_way) = (Some(begun), true);
        });
        let outcome = fetch::fetch(&self.url, &self.dialler).await;
        let now = clock::now();
        self.tell(&outcome, now);
        self.fetched.send_modify(|fetched| {
            fetched.ended += 1;
            fetched.is_under_way = false;
            match outcome {
                Ok((keys, text)) => {
                    let second = clock::since_1970();
                    let (keys, second) = (keys.into(), second.as_secs());
                    let good = GoodKeys { keys, text, at: now, age: Duration::ZERO, second };
                    (fetched.keys, fetched.error, fetched.failures) = (Some(good), None, 0);
                    fetched.due = begun.after(self.url.refresh);
                }
                Err(error) => {
                    fetched.error = Some(error.to_string().into());
                    let doubled = FIRST_PAUSE * 2_u32.pow(fetched.failures.min(16));
                    fetched.failures = fetched.failures.saturating_add(1);
                    fetched.due = now.after(doubled.min(self.url.refresh_min));
                }
            }
        });
    }

    /// Says in log and metrics what came of a fetch; one that changes nothing is no news.
    fn tell(&self, outcome: &Result<(Vec<TokenKey>, Arc<str>), FetchError>, now: Moment) {
        let (rule, url) = (&self.rule, &self.url.shown);
        let fetched = self.fetched.borrow();
        match outcome {
            Ok((keys, _)) => {
                self.cells.key_fetches.inc();
                let names = |keys: &[TokenKey]| -> Vec<Option<Box<str>>> {
                    keys.iter().map(|key| key.id.clone()).collect()
                };
                let had = fetched.keys.as_ref().map(|good| names(&good.keys));
                if fetched.failures > 0 || had.is_none_or(|had| had != names(keys)) {
                    let keys = keys.len();
                    tracing::info!(%rule, %url, keys, "token keys fetched");
                }
            }
            Err(error) => {
                self.cells.key_fetch_failures.count(error);
                let age = fetched.keys.as_ref().map(|good| good.age(now).as_secs());
                match age {
                    Some(keys_age) => {
                        tracing::warn!(%rule, %url, %error, keys_age, "token keys not fetched");
                    }
                    None => tracing::error!(%rule, %url, %error, "token keys not fetched"),
                }
            }
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("url", &self.url.shown).finish_non_exhaustive()
    }
}

/// Fetches when it is due, or when somebody asks and the last time is long enough ago.
async fn keep(set: Weak<KeySet>, mut asked: mpsc::Receiver<()>) {
    loop {
        let Some(present) = set.upgrade() else { return };
        let due = present.fetched.borrow().due;
        drop(present);
        match clock::by(due, asked.recv()).await {
            Some(None) => return,
            Some(Some(())) => {
                let Some(present) = set.upgrade() else { return };
                if !present.may_ask(clock::now()) {
                    continue;
                }
            }
            None => {}
        }
        let Some(present) = set.upgrade() else { return };
        present.fetch().await;
    }
}
