//! What the process that took over asks of this one: each question is answered apart, so that one
//! that takes its time holds up none.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::pieces::{self, QuestionParts};
use super::state::INSTANCE_PATH;
use super::words::{self, Old};
use crate::action::api::INSTANCE_TIMEOUT_MAX;
use crate::admin::{self, OLDER_ANSWER_TIMEOUT, OlderAnswer, OlderQuestion};
use crate::base::link::AsyncLink;
use crate::base::task;
use crate::control::handle::Handle;
use crate::session;

/// Words that wait to be written to the process that took over.
pub(super) const ANSWERS_WAITING_MAX: usize = 64;

/// MiB of questions that are open here at a time; each takes one at least, and so there are no more
/// questions either.
const OPEN_MIB_MAX: usize = 96;

/// Answers questions, until it is dropped.
pub(super) struct InstanceAnswers {
    handle: Handle,
    words: mpsc::Sender<Old>,
    parts: QuestionParts,
    room: Arc<Semaphore>,
}

impl InstanceAnswers {
    /// Its answers are words like others.
    pub(super) fn new(handle: Handle, words: mpsc::Sender<Old>) -> InstanceAnswers {
        let room = Arc::new(Semaphore::new(OPEN_MIB_MAX));
        InstanceAnswers { handle, words, parts: QuestionParts::default(), room }
    }

    /// A question has come, or its first piece.
    pub(super) fn on_ask(&mut self, number: u64, question: OlderQuestion, more: bool) {
        let whole = self.parts.on_ask(number, question, more);
        whole.into_iter().for_each(|question| self.answer(number, question));
    }

    /// A further piece has come.
    pub(super) fn on_more(&mut self, number: u64, piece: &str, more: bool) {
        let whole = self.parts.on_more(number, piece, more, OPEN_MIB_MAX << 20);
        whole.into_iter().for_each(|question| self.answer(number, question));
    }

    fn answer(&self, number: u64, question: OlderQuestion) {
        let mib = u32::try_from(question.body.len() >> 20).unwrap_or(u32::MAX);
        let mib = mib.saturating_add(1).min(OPEN_MIB_MAX as u32);
        let room = Arc::clone(&self.room).try_acquire_many_owned(mib);
        let (handle, words) = (self.handle.clone(), self.words.clone());
        task::spawn("answer", async move {
            let answer = match &room {
                Ok(_) => carry_out(&handle, question).await,
                Err(_) => Some(busy()),
            };
            // Who asked has given it up, or will.
            let Some(answer) = answer else { return };
            let say = async {
                for word in pieces::answer(number, &answer) {
                    // Without a reader there is none who asked.
                    if words.send(word).await.is_err() {
                        return;
                    }
                }
            };
            // A process that does not read: it has given up by then.
            let _ = timeout(OLDER_ANSWER_TIMEOUT, say).await;
        });
    }
}

/// What a question comes to; `None` where a worker is blocked.
async fn carry_out(handle: &Handle, question: OlderQuestion) -> Option<OlderAnswer> {
    if question.path != INSTANCE_PATH {
        let answer = admin::answer_newer(handle, &question);
        return timeout(OLDER_ANSWER_TIMEOUT, answer).await.ok();
    }
    let answer = session::answer_newer(&handle.0.app, &question.body);
    let (status, json) = timeout(INSTANCE_TIMEOUT_MAX, answer).await.ok()?;
    Some(OlderAnswer { status: status.as_u16(), json })
}

fn busy() -> OlderAnswer {
    let why = "too many questions are open here";
    let json = json!({ "why": why, "error": why });
    OlderAnswer { status: StatusCode::SERVICE_UNAVAILABLE.as_u16(), json }
}

/// Writes words to the process that took over, until it ends.
pub(super) async fn write(mut waiting: mpsc::Receiver<Old>, link: AsyncLink) {
    while let Some(word) = waiting.recv().await {
        if link.send(&words::line(&word), &[]).await.is_err() {
            return;
        }
    }
}
