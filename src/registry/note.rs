//! Notes: the only way into a running session.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::base::clock::Moment;
use crate::config::plan::{ListenerIdentity, Rules};
use crate::end::{End, Reason};

use super::delivery::{Delivery, PushLoad};
use super::renewal::{ExpiryRenewal, RENEWALS_MAX};
use super::tap::TapTicket;
use super::token_index::ExpectedMail;
use super::traffic::TrafficReport;

/// New rules by route identity, for every route whose rules changed in one reload.
pub type RuleChanges = HashMap<Arc<str>, Arc<Rules>>;

/// Listeners that are called otherwise from now on, by their addresses.
pub type Names = HashMap<ListenerIdentity, Arc<str>>;

/// What is put in a session's mailbox.
#[derive(Clone, Debug)]
pub enum Note {
    /// End at a moment, politely.
    End(EndOrder),
    /// What the client is to read beside the close code, where a caller ends the session.
    Words(Arc<str>),
    /// Hold to these rules from now on.
    Rules(Arc<Rules>),
    /// The right to the session ends at this moment from now on.
    Expires(Moment),
    /// The right to the session is to end at another moment, as far as its rule lets it.
    Renew(ExpiryRenewal),
    /// Leave the upstream for another.
    Move(MoveOrder),
    /// Forget all orders to end or to move; those that still stand follow.
    Withdrawn,
    /// Say what passed so far.
    Report(TrafficReport),
    /// Send the client this message.
    Push(Delivery),
    /// More messages were to be sent to the client than may wait: end.
    NoRoom,
    /// Report what passed, as is due every so often.
    Due(DueReport),
    /// Record what passes, for this tap.
    Tap(TapTicket),
}

/// The order to leave the upstream for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoveOrder {
    /// From this moment on.
    pub at: Moment,
    /// What a session follows instead that cannot, as one that cannot be held; it stays when
    /// `None`.
    pub otherwise: Option<EndOrder>,
}

impl MoveOrder {
    /// Of two orders the earlier one is followed, and nobody stays whom either closes.
    pub fn merge(self, other: MoveOrder) -> MoveOrder {
        let otherwise = match (self.otherwise, other.otherwise) {
            (Some(one), Some(other)) => Some(one.merge(other)),
            (one, other) => one.or(other),
        };
        MoveOrder { at: self.at.min(other.at), otherwise }
    }
}

/// The order to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndOrder {
    /// Why.
    pub reason: Reason,
    /// When the Close is due.
    pub at: Moment,
    /// When both transports are closed, whatever was said by then.
    pub deadline: Moment,
    /// An operator's own code for the client.
    pub code: Option<u16>,
}

impl EndOrder {
    /// How a session that follows this order has ended.
    pub fn end(&self) -> End {
        match self.code {
            Some(code) => End::DrainedWith { reason: self.reason, code },
            None => End::Drained(self.reason),
        }
    }

    /// Of two orders the earlier one is followed, and nobody waits past either deadline.
    pub fn merge(self, other: EndOrder) -> EndOrder {
        let first = if other.at < self.at { other } else { self };
        EndOrder { deadline: self.deadline.min(other.deadline), ..first }
    }
}

/// What a session is asked to report, one or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DueReport {
    /// A line of the log.
    pub logged: bool,
    /// What passed in it, by `reported`.
    pub watched: bool,
}

impl DueReport {
    /// What either of them asks for.
    pub fn merge(self, other: DueReport) -> DueReport {
        DueReport { logged: self.logged | other.logged, watched: self.watched | other.watched }
    }

    /// Whether it asks for something.
    pub fn is_due(self) -> bool {
        self.logged || self.watched
    }
}

/// A session's mailbox. It is bounded by holding one note of each kind: a second order to end is
/// merged with the first, newer rules take the place of older ones, and so does who asks last.
/// Messages to the client are as many as the load allows, with those that the session has taken.
#[derive(Default)]
pub(super) struct Mail {
    end: Option<EndOrder>,
    words: Option<Arc<str>>,
    rules: Option<Arc<Rules>>,
    expires: Option<Moment>,
    renewals: VecDeque<ExpiryRenewal>,
    moving: Option<MoveOrder>,
    withdrawn: bool,
    report: Option<TrafficReport>,
    pushes: VecDeque<Delivery>,
    has_no_room: bool,
    load: Option<Rc<PushLoad>>,
    due: DueReport,
    /// One of each tap that was set since the session looked.
    taps: Vec<TapTicket>,
}

impl Mail {
    pub(super) fn put(&mut self, note: Note) {
        match note {
            Note::End(new) => self.end = Some(self.end.map_or(new, |old| old.merge(new))),
            Note::Words(words) => self.words = Some(words),
            Note::Rules(rules) => self.rules = Some(rules),
            Note::Expires(moment) => self.expires = Some(moment),
            Note::Renew(renewal) => {
                if self.renewals.len() >= RENEWALS_MAX {
                    self.renewals.pop_front();
                }
                self.renewals.push_back(renewal);
            }
            Note::Move(new) => self.moving = Some(self.moving.map_or(new, |old| old.merge(new))),
            Note::Due(new) => self.due = self.due.merge(new),
            Note::Withdrawn => (self.end, self.moving, self.withdrawn) = (None, None, true),
            Note::Report(report) => self.report = Some(report),
            Note::Push(delivery) => self.pushes.push_back(delivery),
            Note::NoRoom => self.has_no_room = true,
            Note::Tap(ticket) => {
                if !self.taps.iter().any(|waiting| waiting.is_like(&ticket)) {
                    self.taps.push(ticket);
                }
            }
        }
    }

    /// The next note; rules come before an end, which may be timed by them, and what no longer
    /// stands before what does.
    pub(super) fn take(&mut self) -> Option<Note> {
        if let Some(rules) = self.rules.take() {
            return Some(Note::Rules(rules));
        }
        if let Some(moment) = self.expires.take() {
            return Some(Note::Expires(moment));
        }
        if let Some(renewal) = self.renewals.pop_front() {
            return Some(Note::Renew(renewal));
        }
        if let Some(report) = self.report.take() {
            return Some(Note::Report(report));
        }
        if let Some(ticket) = self.taps.pop() {
            return Some(Note::Tap(ticket));
        }
        if std::mem::take(&mut self.withdrawn) {
            return Some(Note::Withdrawn);
        }
        if let Some(delivery) = self.pushes.pop_front() {
            return Some(Note::Push(delivery));
        }
        if std::mem::take(&mut self.has_no_room) {
            return Some(Note::NoRoom);
        }
        if let Some(words) = self.words.take() {
            return Some(Note::Words(words));
        }
        if let Some(end) = self.end.take() {
            return Some(Note::End(end));
        }
        if let Some(order) = self.moving.take() {
            return Some(Note::Move(order));
        }
        let due = std::mem::take(&mut self.due);
        due.is_due().then_some(Note::Due(due))
    }

    /// What came before its session began.
    pub(super) fn adopt(&mut self, mail: ExpectedMail) {
        self.load = Some(mail.load);
        self.pushes.extend(mail.pushes);
        self.has_no_room |= mail.has_no_room;
    }

    /// What is on its way to the client.
    pub(super) fn load(&mut self) -> &Rc<PushLoad> {
        self.load.get_or_insert_default()
    }

    /// Whoever has left its upstream need not leave it any more.
    pub(super) fn forget_move(&mut self) {
        self.moving = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        let has_end = self.end.is_some() || self.words.is_some();
        let has_order = has_end || self.moving.is_some() || self.withdrawn;
        let has_push = !self.pushes.is_empty() || self.has_no_room;
        // The load counts on while messages are on their way.
        let is_loaded = self.load.as_ref().is_some_and(|load| !load.is_idle());
        let has_expiry = self.expires.is_some() || !self.renewals.is_empty();
        let has_terms = self.rules.is_some() || has_expiry;
        let has_asked = self.report.is_some() || self.due.is_due() || !self.taps.is_empty();
        let has_told = has_terms || has_asked;
        !has_order && !has_push && !is_loaded && !has_told
    }
}
