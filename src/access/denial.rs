//! Why a request may not pass.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::base::label::Label;

/// A rule's no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Why.
    pub reason: DenialReason,
}

/// Why a rule says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialReason {
    /// The client's address is denied, or not allowed.
    Address,
}

impl DenialReason {
    /// The status of the answer (RFC 9110 §15.5.2, §15.5.4).
    pub fn status(self) -> StatusCode {
        match self {
            DenialReason::Address => StatusCode::FORBIDDEN,
        }
    }
}

impl Label for DenialReason {
    fn label(&self) -> &'static str {
        match self {
            DenialReason::Address => "address",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DenialReason::Address => "clients of this address may not pass",
        })
    }
}
