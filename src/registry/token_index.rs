//! Sessions by the token by which their backends know them, from their handshake on: a message that
//! comes before the session has begun waits for it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::delivery::{Delivery, PushLoad};
use super::facts::{Pushable, Selector};
use super::push_order::{PushCount, PushOrder, PushStep};
use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::config::plan::CompressedPush;
use crate::wire::resume::Token;

/// The sessions of a worker that have a token. Without such it is empty.
#[derive(Default)]
pub(super) struct TokenIndex {
    live: HashMap<Token, SessionId>,
    /// The same the other way, by slot.
    tokens: foldhash::HashMap<u32, Token>,
    /// Those that shake hands.
    expected: HashMap<Token, ExpectedMail>,
}

/// What came for a session that has not begun.
pub(super) struct ExpectedMail {
    route: Arc<str>,
    refuses_compressed: bool,
    pub(super) load: Rc<PushLoad>,
    pub(super) pushes: Vec<Delivery>,
    /// More came than may wait, and the route has it end then.
    pub(super) has_no_room: bool,
}

impl ExpectedMail {
    /// Whether nothing came.
    pub(super) fn is_empty(&self) -> bool {
        self.pushes.is_empty() && !self.has_no_room
    }

    /// Whether a session on these terms can be sent what came.
    pub(super) fn is_for(&self, pushable: Pushable) -> bool {
        match pushable {
            Pushable::Plain => true,
            Pushable::Compressed => !self.refuses_compressed,
            Pushable::No => false,
        }
    }
}

impl TokenIndex {
    /// A session of this route with this token shakes hands.
    pub(super) fn announce(&mut self, token: Token, route: Arc<str>) {
        let (load, pushes) = (Rc::default(), Vec::new());
        let mail =
            ExpectedMail { route, refuses_compressed: false, load, pushes, has_no_room: false };
        self.expected.insert(token, mail);
    }

    /// It will not begin; what waited for it is gone.
    pub(super) fn forget(&mut self, token: Token) {
        self.expected.remove(&token);
        self.shrink();
    }

    /// It has begun; what waited for it.
    pub(super) fn begin(&mut self, token: Token, id: SessionId) -> Option<ExpectedMail> {
        self.live.insert(token, id);
        self.tokens.insert(id.slot(), token);
        self.expected.remove(&token)
    }

    /// The token of the session in this slot.
    pub(super) fn of(&self, slot: u32) -> Option<Token> {
        self.tokens.get(&slot).copied()
    }

    /// The session in this slot has ended.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(token) = self.tokens.remove(&slot) {
            self.live.remove(&token);
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.live.is_empty() && self.expected.is_empty() {
            *self = TokenIndex::default();
        }
    }

    /// The selector with ids in the place of tokens.
    pub(super) fn resolved(&self, selector: &Selector) -> Selector {
        match selector.tokens().is_empty() {
            true => selector.clone(),
            false => selector.with_ids(&|token| self.live.get(token).copied()),
        }
    }

    /// The order with ids in the place of tokens.
    pub(super) fn resolved_order(&self, order: &PushOrder) -> PushOrder {
        let selector = self.resolved(&order.selector);
        let except = order.except.as_ref().map(|except| self.resolved(except));
        PushOrder { selector, except, ..order.clone() }
    }

    /// Puts a message by for those of the sessions that it is for which have not begun.
    pub(super) fn push(&mut self, order: &PushOrder, now: Moment) -> PushCount {
        let mut count = PushCount::default();
        let mut tokens = order.selector.tokens();
        tokens.sort_unstable();
        tokens.dedup();
        for token in tokens {
            let Some(mail) = self.expected.get_mut(&token) else { continue };
            let is_except =
                order.except.as_ref().is_some_and(|but| but.expects(token, &mail.route));
            let terms = order.routes.get(&mail.route).filter(|_| !is_except);
            let Some(terms) = terms.filter(|_| order.selector.expects(token, &mail.route)) else {
                continue;
            };
            mail.refuses_compressed = terms.compressed == CompressedPush::Refuse;
            count.matched += 1;
            if order.dry_run {
                continue;
            }
            // What extensions it will have is not known.
            match order.step(terms, Pushable::Plain, &mail.load, now) {
                PushStep::Queue(delivery) => {
                    count.queued += 1;
                    mail.pushes.push(delivery);
                }
                PushStep::Full { ends } => {
                    count.full += 1;
                    mail.has_no_room |= ends;
                }
                PushStep::Refuse => count.refused += 1,
            }
        }
        count
    }
}
