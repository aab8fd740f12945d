//! What becomes of sessions, for callers that follow it: the last of all workers' events, which
//! each reader reads at its own pace. Nothing is kept before the first reader has come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::facts::{Facts, Selector};
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::base::network::ClientNetwork;
use crate::base::share::{SharePermit, Shares};
use crate::wire::resume::Token;

/// Events that are kept; about 200 bytes each.
pub const EVENTS_KEPT_MAX: usize = 1 << 16;

/// Readers that follow at a time; a client has half of them when it is alone.
pub const EVENT_READERS_MAX: usize = 64;

/// What became of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionChange {
    /// It has opened.
    Opened,
    /// It has ended, and how: the word of the log.
    Ended(&'static str),
    /// It has other labels.
    Labelled,
    /// Its upstream is away.
    Held,
    /// It has an upstream again.
    Resumed,
}

impl Label for SessionChange {
    fn label(&self) -> &'static str {
        match self {
            SessionChange::Opened => "opened",
            SessionChange::Ended(_) => "ended",
            SessionChange::Labelled => "labelled",
            SessionChange::Held => "held",
            SessionChange::Resumed => "resumed",
        }
    }
}

/// An event: which session, what was known of it, and what became of it.
#[derive(Clone, Debug)]
pub struct SessionEvent {
    /// Which.
    pub id: SessionId,
    /// What is known of it by then.
    pub facts: Facts,
    /// What became of it.
    pub change: SessionChange,
    /// By which its backend knows it.
    pub(super) token: Option<Token>,
}

/// The last events of a process.
#[derive(Debug)]
pub struct SessionEvents {
    ring: Mutex<Ring>,
    /// The number of the next.
    news: watch::Sender<u64>,
    readers: Arc<Shares>,
    /// No more are waited for.
    is_closed: AtomicBool,
    /// Tells the numbers of this process from another's.
    part: u64,
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the first that is kept.
    first: u64,
    kept: VecDeque<SessionEvent>,
}

impl Ring {
    /// The number of the next.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }
}

/// What a reader gets at once.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// Events that it has missed, for they are kept no more.
    pub missed: u64,
    /// The next ones that it follows, each with its number.
    pub events: Vec<(u64, SessionEvent)>,
    /// The number to go on with.
    pub next: u64,
}

thread_local! {
    static FOLLOWED: RefCell<Option<Arc<SessionEvents>>> = const { RefCell::new(None) };
}

impl SessionEvents {
    /// None yet.
    pub fn new() -> Arc<SessionEvents> {
        let (ring, news) = (Mutex::default(), watch::Sender::new(0));
        let (is_closed, part) = (AtomicBool::new(false), fastrand::u64(..) & 0xFFFF_FFFF_FFFF);
        let readers = Shares::new(EVENT_READERS_MAX);
        Arc::new(SessionEvents { ring, news, readers, is_closed, part })
    }

    /// Has the events of this worker's sessions kept, from now on.
    pub(super) fn follow_here(self: &Arc<SessionEvents>) {
        FOLLOWED.set(Some(Arc::clone(self)));
    }

    /// The number of the next.
    pub fn next(&self) -> u64 {
        *self.news.borrow()
    }

    /// Hears of each new one.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// A place among the readers, where this client may have another.
    pub fn place(&self, client: ClientNetwork) -> Option<SharePermit> {
        self.readers.try_take(client)
    }

    /// The process stops, and its last session has ended: readers leave with what there is.
    pub fn close(&self) {
        self.is_closed.store(true, Relaxed);
        self.news.send_modify(|_| {});
    }

    /// Whether no more are waited for.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// What a reader knows an event by.
    pub fn name(&self, number: u64) -> String {
        format!("{:012x}-{number}", self.part)
    }

    /// The number of the event after the one with this name; `None` where that is another
    /// process's, or none yet.
    pub fn after(&self, name: &str) -> Option<u64> {
        let (part, number) = name.split_once('-')?;
        let is_here = u64::from_str_radix(part, 16) == Ok(self.part);
        let next = number.parse::<u64>().ok()?.checked_add(1).filter(|_| is_here)?;
        (next <= self.ring().end()).then_some(next)
    }

    /// The next `most` from this number on of sessions that are matched.
    pub fn read(&self, from: u64, selector: &Selector, most: usize) -> EventBatch {
        let ring = self.ring();
        let end = ring.end();
        let begin = from.max(ring.first);
        let missed = begin - from;
        let mut batch = EventBatch { missed, next: begin.max(end), ..EventBatch::default() };
        if begin >= end {
            return batch;
        }
        let skipped = usize::try_from(begin - ring.first).unwrap_or(usize::MAX);
        for (number, event) in (begin..).zip(ring.kept.iter().skip(skipped)) {
            if batch.events.len() == most {
                batch.next = number;
                break;
            }
            if selector.matches_named(event.id, &event.facts, event.token.as_ref()) {
                batch.events.push((number, event.clone()));
            }
        }
        batch
    }

    fn keep(&self, event: SessionEvent) {
        let mut ring = self.ring();
        if ring.kept.len() == EVENTS_KEPT_MAX {
            ring.kept.pop_front();
            ring.first += 1;
        }
        ring.kept.push_back(event);
        let next = ring.end();
        drop(ring);
        self.news.send_if_modified(|last| {
            let is_news = next > *last;
            *last = next.max(*last);
            is_news
        });
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Whole whoever panicked: an event is added at once.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something became of a session of this worker; nothing is done where no caller follows.
pub(super) fn keep_here(
    id: SessionId,
    change: SessionChange,
    known: impl FnOnce(SessionId) -> Option<(Facts, Option<Token>)>,
) {
    // At a worker's end it may be gone before its last sessions.
    let followed = FOLLOWED.try_with(|followed| followed.borrow().clone()).ok().flatten();
    if let Some(events) = followed
        && let Some((facts, token)) = known(id)
    {
        events.keep(SessionEvent { id, facts, change, token });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn event(number: u32) -> SessionEvent {
        let (facts, change) = (facts("chat", "backend", 0), SessionChange::Opened);
        SessionEvent { id: SessionId::new(0, number, 0), facts, change, token: None }
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_hears_what_it_has_missed() {
        let events = SessionEvents::new();
        (0..5).for_each(|number| events.keep(event(number)));
        let all = Selector::All;
        let some = events.read(0, &all, 3);
        assert_eq!((some.missed, some.events.len(), some.next), (0, 3, 3));
        let rest = events.read(some.next, &all, 3);
        assert_eq!((rest.events.len(), rest.next, events.next()), (2, 5, 5));
        let third = Selector::Session(SessionId::new(0, 3, 0));
        let one = events.read(0, &third, 3);
        assert_eq!((one.events[0].0, one.next), (3, 5));
        assert_eq!(events.after(&events.name(4)), Some(5));
        // Of this process, but not yet: who waited for it would hear nothing for long.
        assert_eq!(events.after(&events.name(5)), None);
        for other in ["", "7", "000000000000-4", "x-4", &format!("{}x", events.name(4))] {
            assert_eq!(events.after(other), None, "{other}");
        }
        for number in 0..EVENTS_KEPT_MAX as u32 {
            events.keep(event(number));
        }
        let late = events.read(2, &all, 1);
        assert_eq!((late.missed, late.events[0].0, late.next), (3, 5, 6));
        assert!(events.read(u64::MAX, &all, 1).events.is_empty());
    }

    #[test]
    fn a_session_is_followed_by_its_token_too() {
        let events = SessionEvents::new();
        let (token, other) = (Token::new(), Token::new());
        events.keep(SessionEvent { token: Some(token), ..event(1) });
        events.keep(SessionEvent { token: Some(other), ..event(2) });
        events.keep(event(3));
        let named = |tokens: &[Token]| Selector::Named { tokens: tokens.into(), ids: [].into() };
        let covered = Selector::AllOf([named(&[token]), Selector::Route("chat".into())].into());
        for selector in [named(&[token]), covered] {
            let read = events.read(0, &selector, 9);
            let ids: Vec<u32> = read.events.iter().map(|(_, event)| event.id.slot()).collect();
            assert_eq!(ids, [1]);
        }
    }

    #[test]
    fn no_client_has_all_places_of_readers() {
        let events = SessionEvents::new();
        let client = |last: u8| std::net::IpAddr::from([10, 0, 0, last]).into();
        let taken = |last| std::iter::from_fn(|| events.place(client(last))).collect::<Vec<_>>();
        let one = taken(1);
        assert_eq!(one.len(), EVENT_READERS_MAX / 2);
        assert!(!taken(2).is_empty());
        drop(one);
        assert_eq!(taken(3).len(), EVENT_READERS_MAX / 2);
    }
}
