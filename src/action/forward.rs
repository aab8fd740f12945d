//! A plain request to a pool: bodies stream both ways, nothing is gathered.

use std::pin::pin;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Error;

use super::clients::{self, Client};
use super::failure::Failure;
use super::loan::Loan;
use crate::base::body::{Accompanied, Body, Companion};
use crate::base::clock;
use crate::pool::{Ask, Key, Kind, Lease, Pool};
use crate::wire::framing::settle_answer;

/// What came of a request, and who was asked last.
pub struct Forwarded {
    /// The address of the backend that answered, or was tried last.
    pub backend: Option<Arc<str>>,
    /// Its answer, which streams; or why there is none.
    pub answer: Result<Response<Body>, Failure>,
}

/// Sends a request whose head is already the one that goes upstream, target included; by `key` it
/// finds the backend that its like go to.
///
/// Another backend is tried while nothing was sent: a failed dial always, a connection that breaks
/// before the answer only for a method that may be repeated (RFC 9110 §9.2.2); a body only while
/// nobody has begun to read it; all within the pool's retry budget.
pub async fn forward(pool: &Arc<Pool>, mut head: Parts, body: Body, key: Option<Key>) -> Forwarded {
    // hyper would think of a GET without a length that it has no body.
    if !body.is_end_stream() && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let client = clients::client(pool);
    let loan = Loan::new(body, clock::now());
    let mut attempts = Attempts { pool, client, loan, head, key, tried: Vec::new(), asked: None };
    let answer = attempts.run().await;
    Forwarded { backend: attempts.asked, answer }
}

struct Attempts<'a> {
    pool: &'a Arc<Pool>,
    client: Client,
    loan: Loan,
    head: Parts,
    key: Option<Key>,
    /// Those that could not be reached.
    tried: Vec<Arc<str>>,
    /// The one asked last.
    asked: Option<Arc<str>>,
}

impl Attempts<'_> {
    async fn run(&mut self) -> Result<Response<Body>, Failure> {
        let mut last = None;
        let mut attempts = 0;
        loop {
            let lease = match self.lease() {
                Ok(lease) => lease,
                Err(none) => return Err(last.unwrap_or(none)),
            };
            self.asked = Some(Arc::clone(lease.backend().address()));
            let failure = match self.attempt(&lease).await {
                Ok(answer) => return accept(answer, lease),
                Err(failure) => failure,
            };
            attempts += 1;
            let now = clock::now();
            if failure.is_backends_fault() {
                lease.backend().failed(now);
            }
            if !self.may_repeat(&failure) || !self.pool.may_retry(now, attempts) {
                return Err(failure);
            }
            // A kept connection may break though its backend is well; one that cannot be dialled
            // is not.
            if matches!(failure, Failure::Dial(_)) {
                self.tried.push(Arc::clone(lease.backend().address()));
            }
            last = Some(failure);
        }
    }

    fn lease(&self) -> Result<Lease, Failure> {
        let (now, tried) = (clock::now(), &self.tried);
        let ask = Ask { now, kind: Kind::Request, tried, key: self.key };
        self.pool.lease(&ask).map_err(|none| Failure::NoBackend { retry_after: none.retry_after })
    }

    async fn attempt(&self, lease: &Lease) -> Result<Response<Incoming>, Failure> {
        let limit = self.pool.plan().response_timeout;
        let started = clock::now();
        let mut request = Request::from_parts(self.head.clone(), self.loan.clone());
        let mut backends = self.pool.backends().iter();
        let number = backends.position(|one| Arc::ptr_eq(one, lease.backend()));
        *request.uri_mut() = clients::target(number.unwrap_or(usize::MAX), &self.head.uri);
        *request.version_mut() = Version::HTTP_11;
        let mut answer = pin!(self.client.request(request));
        loop {
            let due = self.loan.moved().max(started).after(limit);
            match tokio::time::timeout(due.since(clock::now()), &mut answer).await {
                Ok(Err(_)) if self.loan.is_spoilt() => return Err(Failure::Spoilt),
                Ok(answer) => return answer.map_err(why),
                // The body has moved on meanwhile.
                Err(_) if clock::now() < self.loan.moved().after(limit) => {}
                Err(_) if self.loan.is_client_awaited() => return Err(Failure::Stalled),
                Err(_) => return Err(Failure::Silent),
            }
        }
    }

    fn may_repeat(&self, failure: &Failure) -> bool {
        let was_sent = !matches!(failure, Failure::Dial(_));
        let may = !was_sent || self.head.method.is_idempotent();
        may && failure.is_worth_another() && !self.loan.is_begun()
    }
}

fn why(error: Error) -> Failure {
    if error.is_connect() { Failure::Dial(error) } else { Failure::Broken(error) }
}

fn accept(mut answer: Response<Incoming>, lease: Lease) -> Result<Response<Body>, Failure> {
    let now = clock::now();
    if let Err(error) = settle_answer(answer.headers_mut()) {
        lease.backend().failed(now);
        return Err(Failure::Framing(error));
    }
    // The version is each hop's own (RFC 9110 §6.2): an old backend makes no client an old one.
    *answer.version_mut() = Version::HTTP_11;
    match answer.status().as_u16() {
        101 => {
            lease.backend().failed(now);
            return Err(Failure::Unasked);
        }
        // It, or what stands behind it, is not there; or not for this one path only.
        502..=504 => {}
        _ => lease.backend().succeeded(now),
    }
    Ok(answer.map(|body| Accompanied::new(body, Leased { _lease: lease }).boxed_unsync()))
}

/// A lease, kept until the answer's body has ended.
struct Leased {
    _lease: Lease,
}

impl Companion for Leased {}
