//! What a right to pass rests on. A session keeps it for its life, to be judged again.

use std::fmt;
use std::sync::Arc;

use crate::base::clock::Moment;

/// One of the things that a right to pass rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessProof {
    /// The name of the rule that took it.
    pub rule: Arc<str>,
    /// When the right that it gives ends; `NEVER` where it has no such end.
    pub expires: Moment,
    /// What can be judged again of it.
    pub kind: ProofKind,
}

/// What can be judged again while a session lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProofKind {
    /// Nothing: only its time counts.
    Time,
    /// What its token is called, and whom it is for.
    Token(Box<[Box<str>]>),
    /// The question to the rule's server, which can be asked once more.
    Question(StoredQuestion),
}

impl AccessProof {
    /// Whether there is something to be judged again.
    pub fn is_judged_again(&self) -> bool {
        match &self.kind {
            ProofKind::Time => false,
            ProofKind::Token(names) => !names.is_empty(),
            ProofKind::Question(_) => true,
        }
    }
}

/// A question to an auth server, stored. It has what the client showed, so no log may see it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredQuestion(pub(super) Box<[u8]>);

impl StoredQuestion {
    /// Bytes that a session keeps of a question at most.
    pub(super) const BYTES_MAX: usize = 8 << 10;
}

impl fmt::Debug for StoredQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredQuestion({} bytes)", self.0.len())
    }
}
