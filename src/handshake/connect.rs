//! A backend for a handshake: one after another while nothing was promised to the client.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};

use super::candidate::{Ahead, Candidate, Upstream};
use super::failure::Failure;
use super::request::WsRequest;
use crate::base::body::Body;
use crate::base::clock;
use crate::pool::{Key, Lease, Pool};

/// What came of a handshake, and who was asked last.
pub struct Connected {
    /// The address of the backend that answered, or was tried last.
    pub backend: Option<Arc<str>>,
    /// Its answer, or why there is none.
    pub answer: Result<Answered, Failure>,
}

/// A backend's answer.
pub enum Answered {
    /// It opened a WebSocket.
    Upstream(Box<Upstream>),
    /// It answered something else, which is for the client to see.
    Http(Response<Body>),
}

/// Where a handshake may go.
pub struct Picking<'a> {
    /// The pool.
    pub pool: &'a Arc<Pool>,
    /// By this it finds the backend that its like go to.
    pub key: Option<Key>,
    /// Backends that are not worth asking.
    pub tried: Vec<Arc<str>>,
    /// A place that was taken before, which is asked first.
    pub reserved: Option<Lease>,
}

impl<'a> Picking<'a> {
    /// Anywhere in the pool.
    pub fn any(pool: &'a Arc<Pool>, key: Option<Key>) -> Picking<'a> {
        Picking { pool, key, tried: Vec::new(), reserved: None }
    }

    fn next(&mut self) -> Result<Candidate<'a>, Failure> {
        // A reload may have taken its backend out of the pool.
        let stays = |lease: &Lease| {
            self.pool.backends().iter().any(|one| one.address() == lease.backend().address())
        };
        match self.reserved.take().filter(stays) {
            Some(lease) => Ok(Candidate::at(self.pool, lease)),
            None => Candidate::pick(self.pool, &self.tried, self.key),
        }
    }
}

/// Connects a handshake whose fields are already those that go upstream, but for its own.
///
/// A backend that cannot be reached, closes before it answers, or answers 502, 503 or 504 is passed
/// over for another, within the pool's retry budget: the client has been promised nothing. The last
/// such answer is what the client gets.
pub async fn connect(mut picking: Picking<'_>, asked: &mut WsRequest, head: &Parts) -> Connected {
    let pool = picking.pool;
    let mut last = None;
    loop {
        let candidate = match picking.next() {
            Ok(candidate) => candidate,
            Err(none) => {
                let answer = last.unwrap_or(Err(none));
                return Connected { backend: picking.tried.pop(), answer };
            }
        };
        let backend = Arc::clone(candidate.backend());
        let ahead = asked.ahead(head);
        let answer = attempt(candidate, asked, ahead).await;
        let now = clock::now();
        match verdict(&answer) {
            Verdict::Well => backend.succeeded(now),
            Verdict::Ill => backend.failed(now),
            Verdict::Unknown => {}
        }
        let address = Arc::clone(backend.address());
        if !may_repeat(&answer) || !pool.may_retry(now, picking.tried.len() + 1) {
            return Connected { backend: Some(address), answer };
        }
        picking.tried.push(address);
        last = Some(answer);
    }
}

async fn attempt(
    candidate: Candidate<'_>,
    asked: &WsRequest,
    head: Ahead,
) -> Result<Answered, Failure> {
    let heard = candidate.hear(head).await?;
    if heard.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upstream = heard.verified(asked).await?;
        return Ok(Answered::Upstream(Box::new(upstream)));
    }
    heard.passed_on().map(Answered::Http)
}

/// What an attempt says of its backend's health.
enum Verdict {
    Well,
    Ill,
    Unknown,
}

fn verdict(answer: &Result<Answered, Failure>) -> Verdict {
    match answer {
        Ok(Answered::Http(answer)) if is_gateway_error(answer.status()) => Verdict::Ill,
        Ok(_) => Verdict::Well,
        Err(failure) if failure.is_backends_fault() => Verdict::Ill,
        Err(_) => Verdict::Unknown,
    }
}

fn may_repeat(answer: &Result<Answered, Failure>) -> bool {
    match answer {
        Ok(Answered::Upstream(_)) => false,
        Ok(Answered::Http(answer)) => is_gateway_error(answer.status()),
        Err(failure) => failure.is_retryable(),
    }
}

/// 502, 503, 504: it, or what stands behind it, is not there.
fn is_gateway_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}
