//! A command in every process: in this one, and in those before it that have not ended.

use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::OperatorRequest;
use crate::admin::older::{NoAnswer, OlderAnswer, OlderQuestion, OlderReport};
use crate::admin::process::Process;

/// Who asks a process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// An operator: the process is the newest.
    Operator {
        /// The number of the drain that begins in older processes too.
        drain: Option<u64>,
    },
    /// The process after it, for an operator.
    Newer {
        /// The number of the drain that begins there too.
        drain: Option<u64>,
    },
}

impl Asker {
    /// The number of the drain that this process is to begin, where it was drawn already.
    pub(super) fn drain(self) -> Option<u64> {
        let (Asker::Operator { drain } | Asker::Newer { drain }) = self;
        drain
    }

    /// Whether it is a newer process.
    pub(super) fn is_newer(self) -> bool {
        matches!(self, Asker::Newer { .. })
    }
}

/// What a command comes to in one process, and in all of them.
pub(super) trait CommandOutcome: Serialize + DeserializeOwned + Default {
    /// Adds what it came to in an older process.
    fn add(&mut self, other: Self);

    /// An older process that has not answered had so many sessions when it last said so.
    fn add_unanswered(&mut self, _sessions: usize) {}

    /// Sessions that it touches or shows.
    fn sessions(&self) -> usize;
}

/// What a command came to in all processes.
#[derive(Debug)]
pub(super) struct Everywhere<O> {
    pub(super) total: O,
    /// What each older process said.
    older: Vec<Value>,
    /// What is to be said beside the data.
    pub(super) remarks: Vec<String>,
}

impl<O: CommandOutcome> Everywhere<O> {
    /// Has the command carried out `here`, and then in the older processes where an operator asks.
    /// A refusal here is everyone's, unless it says that nothing matches.
    pub(super) async fn run<R: OperatorRequest>(
        process: &impl Process,
        asker: Asker,
        request: &R,
        here: impl AsyncFnOnce(Asker) -> Result<O, Reply>,
    ) -> Result<Everywhere<O>, Reply> {
        let asks_older = !asker.is_newer() && process.has_older();
        let asker = match asker {
            Asker::Operator { .. } if asks_older => {
                Asker::Operator { drain: Some(process.drains().draw()) }
            }
            asker => asker,
        };
        let own = here(asker).await;
        let is_final = own.as_ref().is_err_and(|no| no.status != StatusCode::NOT_FOUND);
        if !asks_older || is_final {
            return own.map(|total| Everywhere { total, older: Vec::new(), remarks: Vec::new() });
        }
        let body = request.for_older().to_string();
        let question = OlderQuestion { path: R::PATH.to_owned(), body, drain: asker.drain() };
        combine(own, process.ask_older(question).await)
    }

    /// What each older process said.
    pub(super) fn older(&self) -> &[Value] {
        &self.older
    }

    /// It comes to nothing in any process.
    pub(super) fn refuse(self, status: StatusCode, why: &str) -> Reply {
        refuse_everywhere(Reply::no(status, why), self.older, self.remarks)
    }

    /// The answer, where `text` says it to people.
    pub(super) fn reply(self, text: String) -> Reply {
        let mut json = json!(self.total);
        json["text"] = text.as_str().into();
        self.reply_json(text, json)
    }

    /// The same with JSON that is made already.
    pub(super) fn reply_json(self, text: String, mut json: Value) -> Reply {
        json["older"] = self.older.into();
        json["remarks"] = self.remarks.into();
        Reply::yes(text, json)
    }
}

/// Adds up what the processes say.
fn combine<O: CommandOutcome>(
    own: Result<O, Reply>,
    reports: Vec<OlderReport>,
) -> Result<Everywhere<O>, Reply> {
    let (mut total, refusal) = match own {
        Ok(total) => (Some(total), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let (mut older, mut remarks) = (Vec::new(), Vec::new());
    for OlderReport { pid, sessions: known, answer } in reports {
        let (row, remark) = match read::<O>(answer) {
            Ok(outcome) => {
                let row = json!({ "pid": pid, "answered": true, "here": outcome });
                let count = outcome.sessions();
                total.get_or_insert_default().add(outcome);
                let remark = format!("of them {count} in older process {pid}");
                (row, (count > 0).then_some(remark))
            }
            Err(Silence::Refused { status, why }) => {
                let row = json!({ "pid": pid, "answered": true, "why": why });
                let remark = format!("older process {pid}: {why}");
                (row, (status != StatusCode::NOT_FOUND).then_some(remark))
            }
            Err(Silence::NoAnswer(why)) => {
                let count = known.unwrap_or_default();
                total.iter_mut().for_each(|total| total.add_unanswered(count));
                let row = json!({ "pid": pid, "answered": false, "sessions": known, "why": why });
                (row, Some(left_out(pid.into(), known.map(|count| count as u64), &why)))
            }
        };
        older.push(row);
        remarks.extend(remark);
    }
    match (total, refusal) {
        (Some(total), _) => Ok(Everywhere { total, older, remarks }),
        (None, Some(refusal)) => Err(refuse_everywhere(refusal, older, remarks)),
        // There is one of them: `own` was a result.
        (None, None) => Ok(Everywhere { total: O::default(), older, remarks }),
    }
}

/// That an older process with so many sessions has not answered.
pub(super) fn left_out(pid: u64, sessions: Option<u64>, why: &str) -> String {
    let sessions = sessions
        .map_or("how many sessions is not known".to_owned(), |count| format!("{count} sessions"));
    format!("older process {pid} ({sessions}) is left out: {why}")
}

/// A refusal that is all there is, with what the older processes said.
fn refuse_everywhere(mut refusal: Reply, older: Vec<Value>, remarks: Vec<String>) -> Reply {
    for remark in remarks {
        refusal.text += &format!("\n{remark}");
    }
    refusal.json["why"] = refusal.text.as_str().into();
    refusal.json["older"] = older.into();
    refusal
}

/// Why an older process added nothing.
enum Silence {
    Refused { status: u16, why: String },
    NoAnswer(String),
}

fn read<O: CommandOutcome>(answer: Result<OlderAnswer, NoAnswer>) -> Result<O, Silence> {
    let OlderAnswer { status, json } = answer.map_err(|why| Silence::NoAnswer(why.to_string()))?;
    if status != StatusCode::OK {
        let why = json["why"].as_str().unwrap_or("it says no").to_owned();
        return Err(Silence::Refused { status, why });
    }
    serde_json::from_value(json)
        .map_err(|error| Silence::NoAnswer(format!("its answer is not understood: {error}")))
}
