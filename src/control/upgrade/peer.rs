//! An older process, as all threads of this one ask it.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Sleep, sleep};

use super::words::New;
use crate::admin::{
    NoAnswer, OLDER_ANSWER_BYTES_MAX, OLDER_ANSWER_TIMEOUT, OlderAnswer, OlderQuestion,
};

/// Questions that wait to be written to an older process.
const QUESTIONS_WAITING_MAX: usize = 30;

/// Bytes that they have together; one that is longer waits alone.
const QUESTIONS_BYTES_MAX: usize = 30 << 20;

/// Words that wait to be written to it: questions, and a stop, which they leave room for.
pub(super) const WORDS_WAITING_MAX: usize = QUESTIONS_WAITING_MAX + 2;

/// An older process that can be asked.
pub(in crate::control) struct Peer {
    /// Whether it takes commands.
    commands: bool,
    words: mpsc::Sender<WaitingWord>,
    /// A permit is a byte of questions that wait.
    room: Arc<Semaphore>,
    /// Whether it has said nothing since it was last waited for in vain.
    is_silent: AtomicBool,
    questions: Mutex<Questions>,
}

/// A word that waits to be written, and its place among them.
pub(super) struct WaitingWord {
    pub(super) word: New,
    _room: Option<OwnedSemaphorePermit>,
}

struct Questions {
    /// The number of the last.
    asked: u64,
    open: BTreeMap<u64, OpenQuestion>,
    /// Another process hears the answers.
    is_replaced: bool,
}

/// A question that is not answered yet.
struct OpenQuestion {
    /// What has come of its answer.
    text: String,
    answer: oneshot::Sender<Result<OlderAnswer, NoAnswer>>,
}

/// Waits for the answer to one question; its drop forgets the question.
struct Answering {
    peer: Arc<Peer>,
    number: u64,
    answer: oneshot::Receiver<Result<OlderAnswer, NoAnswer>>,
}

impl Peer {
    /// One that takes `commands` or does not, and the words that are to be written to it. Questions
    /// are numbered after `asked`: another process may have asked it before, and still be answered.
    pub(super) fn new(commands: bool, asked: u64) -> (Arc<Peer>, mpsc::Receiver<WaitingWord>) {
        let (words, written) = mpsc::channel(WORDS_WAITING_MAX);
        let peer = Peer {
            commands,
            words,
            room: Arc::new(Semaphore::new(QUESTIONS_BYTES_MAX)),
            is_silent: AtomicBool::new(false),
            questions: Mutex::new(Questions { asked, open: BTreeMap::new(), is_replaced: false }),
        };
        (Arc::new(peer), written)
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
        let word = New::Stop { after_ms, within_ms };
        let _ = self.words.try_send(WaitingWord { word, _room: None });
    }

    /// Whether all words to it were given to the system, or it has ended.
    pub(super) fn is_told(&self) -> bool {
        self.words.is_closed() || self.words.capacity() == WORDS_WAITING_MAX
    }

    /// Whether it has said nothing since it was last waited for in vain: it says every second what
    /// is left in it.
    pub(in crate::control) fn is_silent(&self) -> bool {
        self.is_silent.load(Relaxed)
    }

    /// It has said something.
    pub(super) fn on_word(&self) {
        self.is_silent.store(false, Relaxed);
    }

    /// Asks it, and waits so long for room and its answer.
    pub(in crate::control) async fn ask(
        self: &Arc<Peer>,
        question: OlderQuestion,
        patience: Duration,
    ) -> Result<OlderAnswer, NoAnswer> {
        let mut late = pin!(sleep(patience));
        let asked = self.put(question, late.as_mut()).await?;
        let answer = asked.answer(late).await;
        if answer == Err(NoAnswer::Late) {
            self.on_late(patience);
        }
        answer
    }

    /// It was waited for in vain; for less than it may take that says nothing.
    fn on_late(&self, patience: Duration) {
        if patience >= OLDER_ANSWER_TIMEOUT {
            self.is_silent.store(true, Relaxed);
        }
    }

    /// Has the question written, once there is room for it.
    async fn put(
        self: &Arc<Peer>,
        question: OlderQuestion,
        late: Pin<&mut Sleep>,
    ) -> Result<Answering, NoAnswer> {
        if !self.commands {
            return Err(NoAnswer::Version);
        }
        let each = QUESTIONS_BYTES_MAX / QUESTIONS_WAITING_MAX;
        let bytes = question.body.len().clamp(each, QUESTIONS_BYTES_MAX) as u32;
        let room = tokio::select! {
            biased;
            room = Arc::clone(&self.room).acquire_many_owned(bytes) => room,
            () = late => return Err(NoAnswer::Busy),
        };
        let (sender, answer) = oneshot::channel();
        let number = {
            let mut questions = self.questions();
            if questions.is_replaced {
                return Err(NoAnswer::Replaced);
            }
            questions.asked += 1;
            let number = questions.asked;
            questions.open.insert(number, OpenQuestion { text: String::new(), answer: sender });
            number
        };
        let answering = Answering { peer: Arc::clone(self), number, answer };
        let word = New::Ask { number, question, more: false };
        // It is never closed.
        let word = WaitingWord { word, _room: room.ok() };
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

    /// Another process hears it from now on: what is asked of it, or will be, has no answer here.
    pub(super) fn on_replaced(&self) {
        let open = {
            let mut questions = self.questions();
            questions.is_replaced = true;
            std::mem::take(&mut questions.open)
        };
        for OpenQuestion { answer, .. } in open.into_values() {
            // Who asked may be gone.
            let _ = answer.send(Err(NoAnswer::Replaced));
        }
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
    async fn answer(mut self, late: Pin<&mut Sleep>) -> Result<OlderAnswer, NoAnswer> {
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
    use super::*;
    use crate::base::join::join_all;

    const SOON: Duration = Duration::from_millis(1);

    fn question() -> OlderQuestion {
        OlderQuestion { path: "/status".into(), body: String::new(), drain: None }
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_and_questions_do_not_mix() {
        let (peer, _words) = Peer::new(true, 10);
        let asked = join_all([(); 2].map(|()| peer.ask(question(), OLDER_ANSWER_TIMEOUT)));
        let answering = async {
            peer.on_answer(12, "[2]", Some(200));
            peer.on_answer(11, "{\"a\":", None);
            peer.on_answer(11, "1}", Some(404));
            peer.on_answer(17, "x", Some(200));
            // Of the process that asked before.
            peer.on_answer(1, "{}", Some(200));
        };
        let (asked, ()) = tokio::join!(asked, answering);
        let [one, two] = &asked[..] else { panic!() };
        let one = one.as_ref().unwrap();
        assert_eq!((one.status, &one.json["a"]), (404, &1.into()));
        assert_eq!(two.as_ref().unwrap().json, serde_json::json!([2]));
        assert!(peer.questions().open.is_empty());
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_given_up_and_forgotten() {
        let (peer, words) = Peer::new(true, 0);
        assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Late));
        let told = async |number, piece: &str, status| {
            let telling = async { peer.on_answer(number, piece, status) };
            tokio::join!(peer.ask(question(), OLDER_ANSWER_TIMEOUT), telling).0
        };
        assert_eq!(told(2, "{", Some(200)).await, Err(NoAnswer::Unreadable));
        let long = "x".repeat(OLDER_ANSWER_BYTES_MAX + 1);
        assert_eq!(told(3, &long, None).await, Err(NoAnswer::Unreadable));
        let ending = async { peer.on_end() };
        let (ended, ()) = tokio::join!(peer.ask(question(), OLDER_ANSWER_TIMEOUT), ending);
        assert_eq!(ended, Err(NoAnswer::Ended));
        assert!(peer.questions().open.is_empty());
        drop(words);
        assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Ended));
        let (earlier, _words) = Peer::new(false, 0);
        assert_eq!(earlier.ask(question(), SOON).await, Err(NoAnswer::Version));
    }

    #[tokio::test]
    async fn one_that_another_process_hears_has_no_answer_here() {
        let (peer, _words) = Peer::new(true, 0);
        let replacing = async { peer.on_replaced() };
        let (before, ()) = tokio::join!(peer.ask(question(), OLDER_ANSWER_TIMEOUT), replacing);
        assert_eq!(before, Err(NoAnswer::Replaced));
        assert_eq!(peer.ask(question(), OLDER_ANSWER_TIMEOUT).await, Err(NoAnswer::Replaced));
    }

    #[tokio::test]
    async fn one_is_silent_from_a_whole_wait_in_vain_until_its_next_word() {
        let (peer, _words) = Peer::new(true, 0);
        assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Late));
        assert!(!peer.is_silent());
        peer.on_late(OLDER_ANSWER_TIMEOUT);
        assert!(peer.is_silent());
        peer.on_word();
        assert!(!peer.is_silent());
    }

    #[tokio::test]
    async fn questions_leave_room_for_a_stop_and_have_so_many_bytes() {
        let (peer, mut words) = Peer::new(true, 0);
        for _ in 0..QUESTIONS_WAITING_MAX {
            assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Late));
        }
        assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Busy));
        peer.stop(Duration::from_secs(5), Duration::from_secs(20));
        // What is written makes room.
        drop(words.recv().await);
        assert_eq!(peer.ask(question(), SOON).await, Err(NoAnswer::Late));
        for _ in 0..QUESTIONS_WAITING_MAX {
            drop(words.recv().await);
        }
        let long = || OlderQuestion { body: "x".repeat(QUESTIONS_BYTES_MAX + 1), ..question() };
        assert_eq!(peer.ask(long(), SOON).await, Err(NoAnswer::Busy));
        words.close();
        let mut last = Vec::new();
        while let Some(WaitingWord { word, .. }) = words.recv().await {
            last.push(matches!(word, New::Stop { .. }));
        }
        assert_eq!(last, [false]);
    }
}
