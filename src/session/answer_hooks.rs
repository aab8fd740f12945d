//! What an HTTP driver gives along with a request, for what its answer may come to.

use super::answer_fate::AnswerFate;
use super::conn::PendingUpgrade;
use crate::rewrite::Informational;

/// What goes along with a request.
#[derive(Default)]
pub struct AnswerHooks {
    /// The client's end of the session to come, where the request can become one.
    pub upgrade: Option<PendingUpgrade>,
    /// Where informational answers go, where the client knows such.
    pub informational: Option<Informational>,
    /// What becomes of the answer.
    pub fate: AnswerFate,
}
