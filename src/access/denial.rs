//! Why a request may not pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::base::label::Label;

/// A rule's no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Why.
    pub reason: DenialReason,
    /// The status of the answer.
    pub status: StatusCode,
    /// What the client may show to pass: `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub challenge: Option<HeaderValue>,
    /// When it is worth to come again (`Retry-After`, RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
    /// The answer itself, where another server has made it.
    pub page: Option<Box<AuthPage>>,
    /// What is behind it, for the log.
    pub detail: Option<String>,
}

/// The server's own answer to a client that may not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthPage {
    /// The status.
    pub status: StatusCode,
    /// The fields, as they go to the client.
    pub headers: HeaderMap,
    /// The page.
    pub body: Bytes,
}

/// Why a rule says no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialReason {
    /// There is no rule that could let it pass.
    NoRule,
    /// The client's address is denied, or not allowed.
    Address,
    /// The request shows no name and password, or none that can be read.
    NoPassword,
    /// Name and password are no user's.
    Password,
    /// Too many passwords are being checked, of all clients or of this one.
    PasswordsBusy,
    /// The request shows no token.
    NoToken,
    /// It shows two in one place, or one that is no text.
    TokenRequest,
    /// What it shows is no token.
    TokenMalformed,
    /// There are no keys that tokens could be verified with: none was fetched, or not of late.
    NoTokenKeys,
    /// No key has the name that the token tells.
    TokenKey,
    /// The token's algorithm is not that of the key.
    TokenAlgorithm,
    /// No key has signed it.
    TokenSignature,
    /// It has expired, or does not say when it will.
    TokenExpired,
    /// It is not valid yet.
    TokenEarly,
    /// Somebody else has issued it.
    TokenIssuer,
    /// It is for somebody else.
    TokenAudience,
    /// It does not claim what is needed.
    TokenClaims,
    /// The client has shown no certificate.
    NoCertificate,
    /// Its certificate is none of those that may pass.
    Certificate,
    /// It was taken back.
    TokenRevoked,
    /// The server that was asked says no.
    AuthDenied,
    /// The server that was asked says nothing.
    AuthFailed,
    /// The request has more fields than a session may keep that is asked about again.
    AuthQuestionTooLarge,
}

impl DenialReason {
    /// The status of the answer, where nothing else says it (RFC 9110 §15.5.2, §15.5.4, §15.6.4).
    pub fn status(self) -> StatusCode {
        match self {
            DenialReason::NoRule
            | DenialReason::Address
            | DenialReason::NoCertificate
            | DenialReason::Certificate => StatusCode::FORBIDDEN,
            DenialReason::NoPassword | DenialReason::Password => StatusCode::UNAUTHORIZED,
            DenialReason::PasswordsBusy | DenialReason::NoTokenKeys | DenialReason::AuthFailed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // RFC 6585 §5.
            DenialReason::AuthQuestionTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 6750 §3.1.
            DenialReason::TokenRequest => StatusCode::BAD_REQUEST,
            DenialReason::TokenClaims => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Whether other keys than those that are known could make it good.
    pub(super) fn is_of_keys(self) -> bool {
        matches!(self, DenialReason::TokenKey | DenialReason::TokenSignature)
    }

    /// The code that tells a client what is wrong with its token (RFC 6750 §3.1); none where it
    /// showed nothing.
    pub(super) fn token_error(self) -> Option<&'static str> {
        match self {
            DenialReason::TokenRequest => Some("invalid_request"),
            DenialReason::TokenClaims => Some("insufficient_scope"),
            DenialReason::TokenMalformed
            | DenialReason::TokenKey
            | DenialReason::TokenAlgorithm
            | DenialReason::TokenSignature
            | DenialReason::TokenExpired
            | DenialReason::TokenEarly
            | DenialReason::TokenIssuer
            | DenialReason::TokenAudience
            | DenialReason::TokenRevoked => Some("invalid_token"),
            _ => None,
        }
    }
}

impl Label for DenialReason {
    fn label(&self) -> &'static str {
        match self {
            DenialReason::NoRule => "no_rule",
            DenialReason::Address => "address",
            DenialReason::NoPassword => "no_password",
            DenialReason::Password => "password",
            DenialReason::PasswordsBusy => "passwords_busy",
            DenialReason::NoToken => "no_token",
            DenialReason::TokenRequest => "token_request",
            DenialReason::TokenMalformed => "token_malformed",
            DenialReason::NoTokenKeys => "no_token_keys",
            DenialReason::TokenKey => "token_key",
            DenialReason::TokenAlgorithm => "token_algorithm",
            DenialReason::TokenSignature => "token_signature",
            DenialReason::TokenExpired => "token_expired",
            DenialReason::TokenEarly => "token_early",
            DenialReason::TokenIssuer => "token_issuer",
            DenialReason::TokenAudience => "token_audience",
            DenialReason::TokenClaims => "token_claims",
            DenialReason::NoCertificate => "no_certificate",
            DenialReason::Certificate => "certificate",
            DenialReason::TokenRevoked => "token_revoked",
            DenialReason::AuthDenied => "auth_denied",
            DenialReason::AuthFailed => "auth_failed",
            DenialReason::AuthQuestionTooLarge => "auth_question_too_large",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DenialReason::NoRule => "nobody may pass here",
            DenialReason::Address => "clients of this address may not pass",
            DenialReason::NoPassword => "a name and a password are needed here",
            DenialReason::Password => "the name or the password is wrong",
            DenialReason::PasswordsBusy => "too many passwords are being checked, try again",
            DenialReason::NoToken => "a token is needed here",
            DenialReason::NoTokenKeys => "tokens cannot be verified at the moment, try again",
            DenialReason::TokenRequest => "the request must show one token",
            DenialReason::TokenExpired => "the token has expired",
            DenialReason::TokenEarly => "the token is not valid yet",
            DenialReason::TokenRevoked => "the token was taken back",
            DenialReason::TokenClaims => "the token does not allow this",
            DenialReason::NoCertificate => "a certificate is needed here",
            DenialReason::Certificate => "clients with this certificate may not pass",
            DenialReason::AuthDenied => "who may pass here has to log in first",
            DenialReason::AuthFailed => "it cannot be found out who may pass, try again",
            DenialReason::AuthQuestionTooLarge => {
                "the fields of a WebSocket's handshake are too long here"
            }
            _ => "the token is not valid here",
        })
    }
}
