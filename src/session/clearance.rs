//! What a request was found to be when its route let it pass.

use crate::access::{Identity, Pass};
use crate::wire::label::SessionLabels;
use crate::wire::resume::Token;

/// What the route's rules know of a request, and what its session will be called.
pub(super) struct Clearance {
    pub(super) pass: Pass,
    /// Those that the route gives.
    pub(super) labels: SessionLabels,
    /// What its backends call the session to come, where they are told.
    pub(super) token: Option<Token>,
}

impl Clearance {
    /// Of a request with this right to pass, which has no labels yet.
    pub(super) fn new(pass: Pass, token: Option<Token>) -> Clearance {
        Clearance { pass, labels: SessionLabels::default(), token }
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.pass.identity
    }
}
