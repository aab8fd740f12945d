//! Whether the upstream has answered what the client said last, as far as counting tells.
//!
//! Many servers say nothing more once they have read a Close, not even the answer to a message
//! before it: the task that would send it finds its connection closed (Python's `websockets`,
//! `uvicorn`). So a session that moves leaves its upstream when each message of the client's was
//! followed by one of the upstream's, or [`ANSWER_TIME`] after the client's last.

use std::time::Duration;

use crate::base::clock::Moment;

/// How long an upstream that a session is about to leave has for its last answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(250);

/// Messages of both sides since the upstream came.
#[derive(Debug, Default)]
pub(super) struct OwedAnswers {
    /// The client's, less the upstream's. Below zero it speaks unasked, and none of its messages is
    /// known to be an answer.
    balance: i32,
    /// When the client's last went; the clock's start where as many came back.
    asked: Moment,
}

impl OwedAnswers {
    /// Messages of the client's went to the upstream.
    pub(super) fn on_asked(&mut self, messages: u32, now: Moment) {
        self.balance = self.balance.saturating_add_unsigned(messages);
        self.asked = now;
    }

    /// Messages that the client sent before went to the upstream once more: of their answers it is
    /// not known how many will come.
    pub(super) fn on_replayed(&mut self, now: Moment) {
        self.asked = now;
    }

    /// Messages of the upstream's came.
    pub(super) fn on_answered(&mut self, messages: u32) {
        self.balance = self.balance.saturating_sub_unsigned(messages);
        if self.balance == 0 {
            self.asked = Moment::default();
        }
    }

    /// Until when an answer is waited for that takes so long at most; the clock's start where none
    /// is owed.
    pub(super) fn until(&self, most: Duration) -> Moment {
        match self.asked == Moment::default() {
            true => self.asked,
            false => self.asked.after(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_millis(1_000_000);

    #[test]
    fn an_answer_is_owed_until_as_many_came_as_were_asked_for() {
        let mut answers = OwedAnswers::default();
        let (owed, none) = (START.after(ANSWER_TIME), Moment::default());
        assert_eq!(answers.until(ANSWER_TIME), none);
        answers.on_asked(3, START);
        answers.on_answered(2);
        assert_eq!(answers.until(ANSWER_TIME), owed);
        answers.on_answered(1);
        assert_eq!(answers.until(ANSWER_TIME), none);
        answers.on_replayed(START);
        assert_eq!(answers.until(ANSWER_TIME), owed);
    }

    #[test]
    fn only_time_tells_of_an_upstream_that_speaks_unasked() {
        let mut answers = OwedAnswers::default();
        answers.on_answered(2);
        for _ in 0..4 {
            // What comes behind it may be the answer or not.
            answers.on_asked(1, START);
            answers.on_answered(1);
            assert_eq!(answers.until(ANSWER_TIME), START.after(ANSWER_TIME));
        }
    }
}
