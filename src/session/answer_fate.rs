//! What becomes of an answer on its way to its client: its driver knows, its request's line tells.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::base::label::Label;

/// Why an answer was not sent to its end, other than that its client left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerCut {
    /// Its client takes less than `answer_rate_min`.
    TooSlow,
    /// Its client took nothing of a piece for too long.
    Untaken,
    /// Its backend broke it off, or its file cannot be read.
    Broken,
    /// The process stopped.
    Stopped,
}

impl Label for AnswerCut {
    fn label(&self) -> &'static str {
        match self {
            AnswerCut::TooSlow => "answer_rate_min",
            AnswerCut::Untaken => "answer_untaken",
            AnswerCut::Broken => "answer_broken",
            AnswerCut::Stopped => "stopped",
        }
    }
}

/// What an HTTP driver gives along with a request, to tell why it cuts the answer.
#[derive(Clone, Debug, Default)]
pub struct AnswerFate(Arc<FateCell>);

#[derive(Debug, Default)]
struct FateCell {
    cut: OnceLock<AnswerCut>,
    /// Whether a request's line is still to be written.
    is_followed: AtomicBool,
}

impl AnswerFate {
    /// The answer is cut; whether its request's line will say so. Where that is written already,
    /// its driver has to.
    pub fn cut(&self, why: AnswerCut) -> bool {
        // The first reason is the true one.
        let _ = self.0.cut.set(why);
        self.0.is_followed.load(Relaxed)
    }

    /// Why it was cut.
    pub(super) fn get(&self) -> Option<AnswerCut> {
        self.0.cut.get().copied()
    }

    /// A line is to be written, or has been.
    pub(super) fn set_followed(&self, is_followed: bool) {
        self.0.is_followed.store(is_followed, Relaxed);
    }
}
