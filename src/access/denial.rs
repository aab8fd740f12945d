//! Why a request may not pass.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::base::label::Label;

/// A rule's no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Why.
    pub reason: DenialReason,
    /// What the client may show to pass: `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub challenge: Option<HeaderValue>,
}

/// Why a rule says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialReason {
    /// The client's address is denied, or not allowed.
    Address,
    /// The request shows no name and password, or none that can be read.
    NoPassword,
    /// Name and password are no user's.
    Password,
    /// Too many passwords are being checked, of all clients or of this one.
    PasswordsBusy,
}

impl DenialReason {
    /// The status of the answer (RFC 9110 §15.5.2, §15.5.4, §15.6.4).
    pub fn status(self) -> StatusCode {
        match self {
            DenialReason::Address => StatusCode::FORBIDDEN,
            DenialReason::NoPassword | DenialReason::Password => StatusCode::UNAUTHORIZED,
            DenialReason::PasswordsBusy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Label for DenialReason {
    fn label(&self) -> &'static str {
        match self {
            DenialReason::Address => "address",
            DenialReason::NoPassword => "no_password",
            DenialReason::Password => "password",
            DenialReason::PasswordsBusy => "passwords_busy",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DenialReason::Address => "clients of this address may not pass",
            DenialReason::NoPassword => "a name and a password are needed here",
            DenialReason::Password => "the name or the password is wrong",
            DenialReason::PasswordsBusy => "too many passwords are being checked, try again",
        })
    }
}
