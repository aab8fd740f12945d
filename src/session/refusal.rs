//! Every answer that is tidegate's own, as a status, its fields and a clear text.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::limit_refusal::LimitRefusal;
use crate::access::Denial;
use crate::action;
use crate::base::body::{self, Body};
use crate::base::label::Label;
use crate::handshake;
use crate::pool::{DialError, UpstreamError};
use crate::wire::framing::FramingError;
use crate::wire::path::PathError;
use crate::wire::upgrade;

/// The methods that are sent on; any other but CONNECT and TRACE is, too.
pub(super) const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why a request is not done as it asks.
#[derive(Debug)]
pub(super) enum Refusal {
    /// CONNECT or TRACE: tidegate is no forward proxy, and echoes nobody's fields.
    Method,
    /// `Host` is missing, doubled, or no host; or the target's authority is none.
    Host,
    /// The path cannot be read, or not by all readers alike.
    Path(PathError),
    /// The connection's certificate is not for the host, and another of the listener's is.
    Misdirected,
    /// The body's transfer coding is not `chunked`, once (RFC 9112 §6.1).
    Framing(FramingError),
    /// The request has been here before: a pool leads back to this process.
    Loop,
    /// No route takes the request.
    NoRoute,
    /// The route takes no WebSockets.
    NoWebSocket,
    /// The route takes WebSockets only.
    OnlyWebSocket,
    /// A rule of the route's `access` says no.
    Access(Denial),
    /// The client has had what a limit of the route gives it.
    Limit(LimitRefusal),
    /// The handshake is wrong.
    Handshake(handshake::HandshakeRefusal),
    /// A backend answered a handshake on a stream with a success that is no WebSocket.
    NotOpened,
    /// No backend gave an answer that can be passed on.
    Upstream(UpstreamError),
    /// The action could not be done.
    Action(action::ActionError),
}

impl Refusal {
    /// The answer's status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Host | Refusal::Path(_) => StatusCode::BAD_REQUEST,
            Refusal::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Framing(FramingError::Coding) => StatusCode::NOT_IMPLEMENTED,
            Refusal::Framing(_) => StatusCode::BAD_REQUEST,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
            Refusal::NoRoute => StatusCode::NOT_FOUND,
            Refusal::NoWebSocket => StatusCode::FORBIDDEN,
            Refusal::OnlyWebSocket => StatusCode::UPGRADE_REQUIRED,
            Refusal::Access(denial) => denial.status,
            Refusal::Limit(refusal) => refusal.status(),
            Refusal::Handshake(refusal) => refusal.status(),
            Refusal::NotOpened => StatusCode::BAD_GATEWAY,
            Refusal::Upstream(error) => status(error),
            Refusal::Action(error) => error.status(),
        }
    }

    /// What is behind it, for the log only: a client is not told where backends are.
    pub(super) fn detail(&self) -> Option<String> {
        if let Refusal::Access(denial) = self {
            return denial.detail.clone();
        }
        let mut source = match self {
            Refusal::Upstream(error) => error.source(),
            Refusal::Action(error) => error.source(),
            _ => None,
        };
        let mut detail = String::new();
        while let Some(error) = source {
            let text = error.to_string();
            // Some errors repeat their source in their own text.
            if !detail.contains(&text) {
                detail = if detail.is_empty() { text } else { format!("{detail}: {text}") };
            }
            source = error.source();
        }
        (!detail.is_empty()).then_some(detail)
    }

    /// The access rule that refuses.
    pub(super) fn rule(&self) -> Option<&Arc<str>> {
        match self {
            Refusal::Access(denial) => Some(&denial.rule),
            _ => None,
        }
    }

    /// Whether it is a WebSocket handshake that is refused.
    pub(super) fn is_of_handshake(&self) -> bool {
        matches!(self, Refusal::NoWebSocket | Refusal::Handshake(_))
    }

    /// Whether another server has made a page for it.
    pub(super) fn has_page(&self) -> bool {
        let Refusal::Access(Denial { page: Some(page), .. }) = self else { return false };
        !page.body.is_empty()
    }

    /// The answer.
    pub(super) fn answer(&self) -> Response<Body> {
        if let Refusal::Access(Denial { page: Some(page), .. }) = self {
            let mut answer = Response::new(body::full(page.body.clone()));
            *answer.status_mut() = page.status;
            *answer.headers_mut() = page.headers.clone();
            return answer;
        }
        let mut answer = Response::new(body::full(format!("{self}\n")));
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.write(headers);
        answer
    }

    fn write(&self, headers: &mut HeaderMap) {
        if self.status() == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110 §15.5.22 and RFC 6455 §4.2.2: what to upgrade to.
            upgrade::insert(headers);
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if matches!(self, Refusal::Framing(_)) {
            // Where the next request begins is anyone's guess.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = match self {
                Refusal::Handshake(_) => "GET",
                Refusal::Action(_) => "GET, HEAD",
                _ => METHODS,
            };
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if let Refusal::Access(Denial { challenge: Some(challenge), .. }) = self {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(wait) = self.retry_after() {
            // Whole seconds, and never "at once": the field has no smaller unit.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
                headers.insert(RETRY_AFTER, seconds);
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Upstream(error) => error.retry_after(),
            Refusal::Access(denial) => denial.retry_after,
            Refusal::Limit(refusal) => refusal.retry_after(),
            _ => None,
        }
    }
}

impl Label for Refusal {
    fn label(&self) -> &'static str {
        match self {
            Refusal::Method => "method",
            Refusal::Host => "host",
            Refusal::Path(_) => "path",
            Refusal::Misdirected => "misdirected",
            Refusal::Framing(_) => "framing",
            Refusal::Loop => "loop",
            Refusal::NoRoute => "no_route",
            Refusal::NoWebSocket => "no_websocket",
            Refusal::OnlyWebSocket => "only_websocket",
            Refusal::Access(denial) => denial.reason.label(),
            Refusal::Limit(refusal) => refusal.label(),
            Refusal::Handshake(refusal) => refusal.label(),
            Refusal::NotOpened => "not_opened",
            Refusal::Upstream(error) => error.label(),
            Refusal::Action(error) => error.label(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Method => "this method is not served here",
            Refusal::Host => "the request needs exactly one valid `Host`",
            Refusal::Path(error) => return error.fmt(f),
            Refusal::Misdirected => "this connection is not for that host",
            Refusal::Framing(_) => "the request's body must be `chunked` once, or have a length",
            Refusal::Loop => "the request came round again: a backend leads back to the proxy",
            Refusal::NoRoute => "nothing is served at this address",
            Refusal::NoWebSocket => "WebSockets are not served here",
            Refusal::OnlyWebSocket => "only WebSockets are served here",
            Refusal::NotOpened => "the backend opened no WebSocket",
            Refusal::Access(denial) => return denial.reason.fmt(f),
            Refusal::Limit(refusal) => return refusal.fmt(f),
            Refusal::Handshake(refusal) => return refusal.fmt(f),
            Refusal::Upstream(error) => return error.fmt(f),
            Refusal::Action(error) => return error.fmt(f),
        })
    }
}

impl From<handshake::HandshakeRefusal> for Refusal {
    fn from(refusal: handshake::HandshakeRefusal) -> Refusal {
        Refusal::Handshake(refusal)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Refusal {
        Refusal::Access(denial)
    }
}

impl From<LimitRefusal> for Refusal {
    fn from(refusal: LimitRefusal) -> Refusal {
        Refusal::Limit(refusal)
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Refusal {
        Refusal::Upstream(error)
    }
}

impl From<action::ActionError> for Refusal {
    fn from(error: action::ActionError) -> Refusal {
        Refusal::Action(error)
    }
}

/// The status for a client that no backend has answered (RFC 9110 §15.6.3 to §15.6.5).
fn status(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::NoBackend { .. } | UpstreamError::Full { .. } | UpstreamError::Busy(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        UpstreamError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Dial(error) => match **error {
            DialError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        UpstreamError::BodyStalled => StatusCode::REQUEST_TIMEOUT,
        UpstreamError::BodyBroken => StatusCode::BAD_REQUEST,
        UpstreamError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_GATEWAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::UPGRADE;

    fn answer(refusal: impl Into<Refusal>) -> Response<Body> {
        refusal.into().answer()
    }

    #[test]
    fn who_finds_no_backend_is_told_when_to_come_again() {
        let retry_after = Duration::from_millis(1500);
        let answer = answer(UpstreamError::NoBackend { retry_after, last: None });
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn a_wrong_version_is_told_the_right_one() {
        let answer = answer(handshake::HandshakeRefusal::Version);
        assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(answer.headers()[SEC_WEBSOCKET_VERSION], "13");
        assert_eq!(answer.headers()[UPGRADE], "websocket");
    }

    #[test]
    fn a_method_that_is_not_served_is_told_which_are() {
        assert_eq!(answer(handshake::HandshakeRefusal::Method).headers()[ALLOW], "GET");
        assert_eq!(answer(action::ActionError::Method).headers()[ALLOW], "GET, HEAD");
        assert!(answer(Refusal::Method).headers().contains_key(ALLOW));
    }

    #[test]
    fn a_refusal_says_nothing_of_who_we_are() {
        let answer = answer(Refusal::NoRoute);
        assert!(!answer.headers().contains_key("server"));
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}
