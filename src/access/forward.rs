//! Forward authentication: another server is asked whether a request may pass.
//!
//! It is asked with GET, and sees the request's fields, but for those of one hop, of a body and of
//! a condition; the request itself is told of in two families of fields, for servers know one or
//! the other: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, and `X-Original-Method`
//! and `-URL`.

use bytes::Bytes;
use http::header::{self, CONTENT_LENGTH, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::fmt;
use std::sync::Arc;

use super::applicant::{Applicant, AuthRequest, Rechecked};
use super::denial::AuthPage;
use super::pass::Grants;
use crate::base::body::Body;
use crate::base::clock::{self, Moment};
use crate::config::plan::{AuthServer, FieldChanges};
use crate::pool::{Attempted, Attempts, Kind, Pool, UpstreamError};
use crate::rewrite::{self, FieldFilter, Outbound};

/// Bytes of the server's page, for who may not pass, at most.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// What the server says.
pub(super) enum AuthVerdict {
    /// The request may pass; the answer's fields.
    Pass(HeaderMap),
    /// It may not. Without a page the client is answered 401.
    Denied(Option<AuthPage>),
}

/// Why the server says nothing that counts.
#[derive(Debug)]
pub(super) enum AuthError {
    /// There is no answer.
    Upstream(UpstreamError),
    /// It took longer than it may.
    Timeout,
    /// The answer says that the server failed, or is none for a question.
    Status(StatusCode),
    /// The page broke off.
    Page(Box<dyn std::error::Error + Send + Sync>),
    /// What it says of a session's end is no time.
    Expires(HeaderName),
    /// Nobody could ask: only what needs no other server is asked.
    NotAsked,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Upstream(error) => write!(f, "no answer of the auth server: {error}"),
            AuthError::Timeout => f.write_str("no answer of the auth server in time"),
            AuthError::Status(status) => {
                write!(f, "the auth server answers {}", status.as_u16())
            }
            AuthError::Page(error) => write!(f, "the auth server's page broke off: {error}"),
            AuthError::Expires(name) => write!(f, "the auth server's `{name}` is no time"),
            AuthError::NotAsked => f.write_str("the auth server was not asked"),
        }
    }
}

/// Fields of a body and of conditions, which are not those of the question.
const OF_THE_REQUEST_ALONE: [HeaderName; 9] = [
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// The question whether a request may pass.
pub(super) fn question(
    rule: &AuthServer,
    headers: &HeaderMap,
    asking: &AuthRequest<'_>,
) -> Outbound {
    let host = asking.authority.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let url = format!("{}://{host}{}", asking.scheme, asking.target);
    let told = [
        ("x-forwarded-method", asking.method.as_str()),
        ("x-forwarded-proto", asking.scheme),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", asking.target.as_str()),
        ("x-original-method", asking.method.as_str()),
        ("x-original-url", &url),
    ];
    let set = told.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty())?;
        Some((HeaderName::from_static(name), value))
    });
    // What the server says of a client, a client cannot say to the server, but for what it proves
    // itself by.
    let is_said = |name: &&HeaderName| ![header::AUTHORIZATION, header::COOKIE].contains(*name);
    let mut remove: Vec<HeaderName> = rule.copy.iter().filter(is_said).cloned().collect();
    remove.extend(OF_THE_REQUEST_ALONE);
    let changes = FieldChanges { remove, set: set.collect(), add: Vec::new() };
    let filter = FieldFilter {
        hop: asking.hop,
        via: asking.via,
        request_id: asking.request_id,
        is_trusted: asking.is_trusted,
        host: rule.host.as_ref().or(asking.authority),
        // A question has no body, and no handshake's fields.
        is_handshake: true,
        changes: &changes,
        trailers: &Arc::default(),
    };
    Outbound::new(Method::GET, rule.target.clone(), headers.clone(), &filter)
}

/// Asks whether a request may pass, all within the rule's time.
pub(super) async fn ask(
    rule: &AuthServer,
    pool: &Arc<Pool>,
    question: &Outbound,
    applicant: &Applicant<'_>,
    asking: &AuthRequest<'_>,
) -> Result<AuthVerdict, AuthError> {
    let attempts = Attempts::new(pool, Kind::Request, None, applicant.client);
    let attempts = attempts.sharing(applicant.network);
    let judged = async {
        let Attempted { outcome, .. } = asking.subrequest.send(attempts, question).await;
        judge(outcome.map_err(AuthError::Upstream)?, asking).await
    };
    let due = clock::now().after(rule.timeout);
    clock::by(due, judged).await.unwrap_or(Err(AuthError::Timeout))
}

async fn judge(answer: Response<Body>, asking: &AuthRequest<'_>) -> Result<AuthVerdict, AuthError> {
    let status = answer.status();
    if status.is_success() {
        // Its body is nothing to us; the connection goes with it.
        return Ok(AuthVerdict::Pass(answer.into_parts().0.headers));
    }
    match status.as_u16() {
        // There was no condition.
        304 => Err(AuthError::Status(status)),
        // No browser follows a redirect when it opens a WebSocket.
        300..=399 if asking.is_handshake => Ok(AuthVerdict::Denied(None)),
        300..=499 => page(answer, asking).await.map(|page| AuthVerdict::Denied(Some(page))),
        _ => Err(AuthError::Status(status)),
    }
}

/// Asks once more for a session that lives; the fields of an answer that says yes, `None` of one
/// that says no. Whatever else the server answers says nothing about the session.
pub(super) async fn ask_again(
    rule: &AuthServer,
    pool: &Arc<Pool>,
    question: &Outbound,
    who: Rechecked<'_>,
) -> Result<Option<HeaderMap>, AuthError> {
    let attempts = Attempts::new(pool, Kind::Request, None, who.client).sharing(who.network);
    let due = clock::now().after(rule.timeout);
    let Attempted { outcome, .. } =
        clock::by(due, who.subrequest.send(attempts, question)).await.ok_or(AuthError::Timeout)?;
    let answer = outcome.map_err(AuthError::Upstream)?;
    match answer.status().as_u16() {
        200..=299 => Ok(Some(answer.into_parts().0.headers)),
        // A redirect leads to where one logs in.
        301..=303 | 307 | 308 | 401 | 403 => Ok(None),
        _ => Err(AuthError::Status(answer.status())),
    }
}

/// The server's page, without a body where that is too long to be one.
async fn page(answer: Response<Body>, asking: &AuthRequest<'_>) -> Result<AuthPage, AuthError> {
    let (head, body) = answer.into_parts();
    let (status, mut headers) = (head.status, head.headers);
    rewrite::to_client(&mut headers, asking.via, &[], &FieldChanges::default());
    headers.remove(CONTENT_LENGTH);
    let body = match Limited::new(body, PAGE_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_ENCODING);
            Bytes::new()
        }
        Err(error) => return Err(AuthError::Page(error)),
    };
    Ok(AuthPage { status, headers, body })
}

/// What the server gave along.
pub(super) fn grants(rule: &AuthServer, answer: &HeaderMap) -> Grants {
    let fields = rule.copy.iter().flat_map(|name| {
        answer.get_all(name).iter().map(move |value| (name.clone(), value.clone()))
    });
    Grants {
        fields: fields.collect(),
        cookies: answer.get_all(SET_COOKIE).iter().cloned().collect(),
    }
}

/// When a session ends by what the server says.
pub(super) fn expires(rule: &AuthServer, answer: &HeaderMap) -> Result<Moment, AuthError> {
    let Some(name) = &rule.expires else { return Ok(Moment::NEVER) };
    let Some(value) = answer.get(name) else { return Ok(Moment::NEVER) };
    let second = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
    let second = second.ok_or_else(|| AuthError::Expires(name.clone()))?;
    Ok(clock::moment_of(second))
}
