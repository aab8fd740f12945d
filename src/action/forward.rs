//! A plain request to a pool: bodies stream both ways, nothing is gathered.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::backend_stream::CutOnDrop;
use super::clients::{self, Client};
use super::shared_body::{BodyFailure, SharedBody};
use crate::base::body::{Body, BoxError, Observed, Observer};
use crate::base::clock;
use crate::pool::{Attempt, Attempted, Attempts, Evidence, Lease, Pool, Repeat, UpstreamError};
use crate::rewrite::{self, Informational, Outbound};
use crate::wire::framing::settle_answer;

/// How long a backend is waited for that may never say 100: then it is sent the body all the same
/// (RFC 9110 §10.1.1).
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a request. The answer streams; informational answers before it are passed on.
///
/// A client that waits to be told to send its body waits for the backend's word (RFC 9110
/// §10.1.1); it is told to go on as soon as the body is read.
///
/// Another backend is tried while nothing was sent: a failed dial always, a connection that breaks
/// before the answer only for a method that may be repeated (RFC 9110 §9.2.2); a body only while
/// it was not begun to be read; all within the pool's retry budget.
pub async fn forward(
    attempts: Attempts<'_>,
    outbound: &Outbound,
    body: Body,
    informational: Option<Informational>,
) -> Attempted<Response<Body>> {
    let mut headers = outbound.headers();
    // hyper would think of a GET without a length that it has no body.
    if !body.is_end_stream() && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let pool = attempts.pool();
    // A method that gives a body a meaning says when there is none (RFC 9110 §8.6).
    let has_meaning = matches!(*outbound.method(), Method::POST | Method::PUT | Method::PATCH);
    if body.is_end_stream() && has_meaning && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let http = clients::client(pool);
    let body = SharedBody::new(body, outbound.trailers(), clock::now());
    if outbound.expects_continue() && !body.is_end_stream() {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        body.hold_back(CONTINUE_TIMEOUT.min(pool.plan().response_timeout / 2));
    }
    let forward = Forward { pool, http, body, outbound, headers, informational };
    let attempt = async |lease| forward.attempt(lease).await;
    attempts.run(attempt).await
}

/// A request, as each backend is sent it.
struct Forward<'a> {
    pool: &'a Pool,
    http: Client,
    body: SharedBody,
    outbound: &'a Outbound,
    headers: HeaderMap,
    informational: Option<Informational>,
}

impl Forward<'_> {
    async fn attempt(&self, lease: Lease) -> Attempt<Response<Body>> {
        let outcome = match self.answer(&lease).await {
            Ok((answer, cut)) => accept(answer, lease, cut),
            Err(error) => Err(error),
        };
        Attempt { evidence: evidence(&outcome), repeat: self.repeat(&outcome), outcome }
    }

    async fn answer(
        &self,
        lease: &Lease,
    ) -> Result<(Response<Incoming>, CutOnDrop), UpstreamError> {
        let limit = self.pool.plan().response_timeout;
        let mut request = self.request(lease);
        let captured = CutOnDrop::of(&mut request);
        let mut answer = pin!(self.http.request(request));
        // Dropped before the answer's future.
        let cut = captured;
        let started = clock::now();
        loop {
            let due = self.body.moved().max(started).after(limit);
            match tokio::time::timeout(due.since(clock::now()), &mut answer).await {
                Ok(Err(error)) => {
                    return Err(match self.body.failure() {
                        Some(BodyFailure::TooSlow) => UpstreamError::BodyStalled,
                        Some(BodyFailure::TooLong) => UpstreamError::BodyTooLarge,
                        Some(BodyFailure::Broken) => UpstreamError::BodyBroken,
                        None => clients::why(error),
                    });
                }
                Ok(Ok(answer)) => return Ok((answer, cut)),
                // The body has moved on meanwhile.
                Err(_) if self.is_moving(limit) => {}
                Err(_) if self.body.is_client_awaited() => return Err(UpstreamError::BodyStalled),
                Err(_) => return Err(UpstreamError::Timeout),
            }
        }
    }

    fn is_moving(&self, limit: Duration) -> bool {
        clock::now() < self.body.moved().after(limit)
    }

    fn request(&self, lease: &Lease) -> Request<SharedBody> {
        let mut request = Request::new(self.body.clone());
        let (body, informational) = (self.body.clone(), self.informational.clone());
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                body.go_on();
            } else if let Some(informational) = &informational {
                informational.pass(answer.status(), answer.headers());
            }
        });
        let mut backends = self.pool.backends().iter();
        let number = backends.position(|one| Arc::ptr_eq(one, lease.backend()));
        *request.method_mut() = self.outbound.method().clone();
        let (number, ends) = (number.unwrap_or(usize::MAX), self.outbound.ends());
        *request.uri_mut() = clients::target(number, ends, self.outbound.target());
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers.clone();
        rewrite::spell_request(&mut request);
        request
    }

    fn repeat(&self, outcome: &Result<Response<Body>, UpstreamError>) -> Repeat {
        let Err(error) = outcome else { return Repeat::Never };
        let is_dial = matches!(error, UpstreamError::Dial(_));
        let may = is_dial || self.outbound.method().is_idempotent();
        match may && error.is_retryable() && !self.body.is_begun() {
            // A kept connection may break though its backend is well; one that cannot be dialled
            // is not.
            true if is_dial => Repeat::Elsewhere,
            true => Repeat::Anywhere,
            false => Repeat::Never,
        }
    }
}

fn evidence(outcome: &Result<Response<Body>, UpstreamError>) -> Evidence {
    match outcome {
        // It, or what stands behind it, is not there; or not for this one path only.
        Ok(answer) if matches!(answer.status().as_u16(), 502..=504) => Evidence::Unknown,
        Ok(_) => Evidence::Healthy,
        Err(error) => error.evidence(),
    }
}

fn accept(
    mut answer: Response<Incoming>,
    lease: Lease,
    cut: CutOnDrop,
) -> Result<Response<Body>, UpstreamError> {
    UpstreamError::check_head(&answer)?;
    settle_answer(answer.status(), answer.headers_mut()).map_err(UpstreamError::Framing)?;
    // The version is each hop's own (RFC 9110 §6.2): an old backend makes no client an old one.
    *answer.version_mut() = Version::HTTP_11;
    if answer.status().as_u16() == 101 {
        return Err(UpstreamError::Unasked);
    }
    lease.backend().metrics().requests[answer.status().into()].inc();
    let follows = AnswerBody { cut, _lease: lease };
    Ok(answer.map(|body| Observed::new(body, follows).boxed_unsync()))
}

/// What goes along with an answer's body: the lease is kept until it has ended.
struct AnswerBody {
    cut: CutOnDrop,
    _lease: Lease,
}

impl Observer for AnswerBody {
    fn on_frame(&mut self, frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {
        // Nothing follows trailers, and not every reader asks again.
        if frame.is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers)) {
            self.cut.disarm();
        }
    }

    fn on_drop(&mut self, is_complete: bool) {
        match is_complete {
            true => self.cut.disarm(),
            false => self.cut.cut(),
        }
    }
}
