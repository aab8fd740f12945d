//! What a request was found to be when its route let it pass.

use super::admit::Asked;
use super::request_values::RequestValues;
use crate::access::{Identity, Pass};
use crate::live::LiveRoute;
use crate::wire::label::{LabelSource, SessionLabels};
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
    /// Of a request with this right to pass.
    pub(super) fn new(pass: Pass, asked: &Asked, route: &LiveRoute) -> Clearance {
        let named = asked.asks_websocket && route.plan.hold.is_some();
        let token = named.then(Token::new);
        let mut clearance = Clearance { pass, labels: SessionLabels::default(), token };
        let mut labels = SessionLabels::default();
        let values = RequestValues { asked, route, clearance: &clearance };
        for (name, template) in &route.plan.labels {
            // One that comes to nothing, or to what no label can be, is not given.
            if let Ok(value) = String::from_utf8(template.fill(&values)) {
                let _ = labels.set(name, &value, LabelSource::Route);
            }
        }
        clearance.labels = labels;
        clearance
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> &Identity {
        &self.pass.identity
    }
}
