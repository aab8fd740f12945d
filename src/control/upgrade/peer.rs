//! An older process, as all threads of this one ask it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::words::New;
use crate::admin::{NoAnswer, OLDER_ANSWER_BYTES_MAX, OlderAnswer, OlderQuestion};

/// Words that wait to be written to an older process.
pub(super) const WORDS_WAITING_MAX: usize = 32;

/// Room among them that questions leave to a stop.
const STOPS_WAITING_MAX: usize = 2;

/// An older process that can be asked.
pub(in crate::control) struct Peer {
    /// Whether it takes commands.
    commands: bool,
    words: mpsc::Sender<New>,
    questions: Mutex<Questions>,
}

#[derive(Default)]
struct Questions {
    asked: u64,
    open: BTreeMap<u64, OpenQuestion>,
}

/// A question that is not answered yet.
struct OpenQuestion {
    /// What has come of its answer.
    text: String,
    answer: oneshot::Sender<Result<OlderAnswer, NoAnswer>>,
}

/// Waits for the answer to one question; its drop forgets the question.
pub(in crate::control) struct Answering {
    peer: Arc<Peer>,
    number: u64,
    answer: oneshot::Receiver<Result<OlderAnswer, NoAnswer>>,
}

impl Peer {
    /// One that takes `commands` or does not, and the words that are to be written to it.
    pub(super) fn new(commands: bool) -> (Arc<Peer>, mpsc::Receiver<New>) {
        let (words, written) = mpsc::channel(WORDS_WAITING_MAX);
        (Arc::new(Peer { commands, words, questions: Mutex::default() }), written)
    }

    /// Whether it takes commands.
    pub(super) fn takes_commands(&self) -> bool {
        self.commands
    }

    /// Tells it to stop; its drain shall begin after this time, and may take so long.
    pub(super) fn stop(&self, after: Duration, within: Duration) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (after_ms, within_ms) = (millis(after), Some(millis(within)));
        // One that is gone has stopped; one that reads nothing cannot be told.
        let _ = self.words.try_send(New::Stop { after_ms, within_ms });
    }

    /// Whether all words to it were given to the system, or it has ended.
    pub(super) fn is_told(&self) -> bool {
        self.words.is_closed() || self.words.capacity() == WORDS_WAITING_MAX
    }

    /// Asks it.
    pub(in crate::control) fn ask(
        self: &Arc<Peer>,
        question: &OlderQuestion,
    ) -> Result<Answering, NoAnswer> {
        if !self.commands {
            return Err(NoAnswer::Version);
        }
        if self.words.capacity() <= STOPS_WAITING_MAX {
            return Err(NoAnswer::Busy);
        }
        let (sender, answer) = oneshot::channel();
        let number = {
            let mut questions = self.questions();
            questions.asked += 1;
            let number = questions.asked;
            questions.open.insert(number, OpenQuestion { text: String::new(), answer: sender });
            number
        };
        let answering = Answering { peer: Arc::clone(self), number, answer };
        let word = New::Ask { number, question: question.clone() };
        self.words.try_send(word).map_err(|_| NoAnswer::Ended)?;
        Ok(answering)
    }

    /// A piece of an answer has come; with the last one comes the status.
    pub(super) fn on_answer(&self, number: u64, piece: &str, status: Option<u16>) {
        let mut questions = self.questions();
        // One that nobody waits for any more.
        let Some(question) = questions.open.get_mut(&number) else { return };
        let is_too_long = question.text.len() + piece.len() > OLDER_ANSWER_BYTES_MAX;
        if !is_too_long {
            question.text.push_str(piece);
            if status.is_none() {
                return;
            }
        }
        let Some(OpenQuestion { text, answer }) = questions.open.remove(&number) else { return };
        drop(questions);
        let json = serde_json::from_str(&text).ok().filter(|_| !is_too_long);
        let read = status.zip(json).map(|(status, json)| OlderAnswer { status, json });
        // Who asked may be gone.
        let _ = answer.send(read.ok_or(NoAnswer::Unreadable));
    }

    /// It has ended: what is asked of it has no answer.
    pub(super) fn on_end(&self) {
        self.questions().open.clear();
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        // Whole whoever panicked: each change is made at once.
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering {
    /// Its answer, which must come before it is too `late`.
    pub(in crate::control) async fn answer(
        mut self,
        late: Pin<&mut Sleep>,
    ) -> Result<OlderAnswer, NoAnswer> {
        tokio::select! {
            biased;
            answer = &mut self.answer => answer.unwrap_or(Err(NoAnswer::Ended)),
            () = late => Err(NoAnswer::Late),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.peer.questions().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::OLDER_ANSWER_TIMEOUT;

    fn question() -> OlderQuestion {
        OlderQuestion { path: "/status".into(), body: String::new(), drain: None }
    }

    async fn answer(asked: Answering) -> Result<OlderAnswer, NoAnswer> {
        asked.answer(std::pin::pin!(tokio::time::sleep(OLDER_ANSWER_TIMEOUT))).await
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_and_questions_do_not_mix() {
        let (peer, _words) = Peer::new(true);
        let [one, two] = [(); 2].map(|()| peer.ask(&question()).unwrap());
        peer.on_answer(2, "[2]", Some(200));
        peer.on_answer(1, "{\"a\":", None);
        peer.on_answer(1, "1}", Some(404));
        peer.on_answer(7, "x", Some(200));
        let one = answer(one).await.unwrap();
        assert_eq!((one.status, &one.json["a"]), (404, &1.into()));
        assert_eq!(answer(two).await.unwrap().json, serde_json::json!([2]));
        assert!(peer.questions().open.is_empty());
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_given_up_and_forgotten() {
        let (peer, words) = Peer::new(true);
        let silent = peer.ask(&question()).unwrap();
        let late = std::pin::pin!(tokio::time::sleep(Duration::from_millis(1)));
        assert_eq!(silent.answer(late).await, Err(NoAnswer::Late));
        let broken = peer.ask(&question()).unwrap();
        peer.on_answer(2, "{", Some(200));
        assert_eq!(answer(broken).await, Err(NoAnswer::Unreadable));
        let long = peer.ask(&question()).unwrap();
        peer.on_answer(3, &"x".repeat(OLDER_ANSWER_BYTES_MAX + 1), None);
        assert_eq!(answer(long).await, Err(NoAnswer::Unreadable));
        let ends = peer.ask(&question()).unwrap();
        peer.on_end();
        assert_eq!(answer(ends).await, Err(NoAnswer::Ended));
        assert!(peer.questions().open.is_empty());
        drop(words);
        assert_eq!(peer.ask(&question()).err(), Some(NoAnswer::Ended));
        let (earlier, _words) = Peer::new(false);
        assert_eq!(earlier.ask(&question()).err(), Some(NoAnswer::Version));
    }

    #[tokio::test]
    async fn questions_leave_room_for_a_stop() {
        let (peer, mut words) = Peer::new(true);
        let asked: Vec<_> = std::iter::repeat_with(|| peer.ask(&question()))
            .take_while(Result::is_ok)
            .take(2 * WORDS_WAITING_MAX)
            .collect();
        assert_eq!(asked.len(), WORDS_WAITING_MAX - STOPS_WAITING_MAX);
        assert_eq!(peer.ask(&question()).err(), Some(NoAnswer::Busy));
        peer.stop(Duration::from_secs(5), Duration::from_secs(20));
        words.close();
        let mut last = None;
        while let Some(word) = words.recv().await {
            last = Some(word);
        }
        assert_eq!(last, Some(New::Stop { after_ms: 5_000, within_ms: Some(20_000) }));
    }
}
