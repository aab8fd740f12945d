//! The worker's HTTP clients, one per pool: they keep connections to backends between requests.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::backend_stream::BackendStream;
use super::shared_body::SharedBody;
use crate::base::task::Tracked;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX};
use crate::pool::{DialError, Pool, UpstreamError};
use crate::wire::proxy::ProxyEnds;

pub(super) type Client = legacy::Client<Dial, SharedBody>;

thread_local! {
    /// By the pool's address, which is not used anew while the `Weak` beside it is held.
    static CLIENTS: RefCell<HashMap<*const Pool, (Weak<Pool>, Client)>> = RefCell::default();
}

/// The client for a pool on this worker. Those of pools that are gone are dropped, idle
/// connections and all, when one for a new pool is made: after a reload.
pub(super) fn client(pool: &Arc<Pool>) -> Client {
    CLIENTS.with_borrow_mut(|clients| {
        if let Some((_, client)) = clients.get(&Arc::as_ptr(pool)) {
            return client.clone();
        }
        clients.retain(|_, (pool, _)| pool.strong_count() > 0);
        let client = build(pool);
        clients.insert(Arc::as_ptr(pool), (Arc::downgrade(pool), client.clone()));
        client
    })
}

/// Closes this worker's idle connections to backends; a request under way keeps its own.
pub fn close_idle() {
    CLIENTS.with_borrow_mut(HashMap::clear);
}

fn build(pool: &Arc<Pool>) -> Client {
    let plan = pool.plan();
    legacy::Client::builder(Tracked)
        // A connection that has told of a client is that client's.
        .pool_max_idle_per_host(match plan.proxy_protocol {
            Some(_) => 0,
            None => plan.keep_alive_max,
        })
        .pool_idle_timeout(plan.keep_alive_timeout)
        .pool_timer(TokioTimer::new())
        // A proxy removes them (RFC 9112 §5.1).
        .http1_allow_spaces_after_header_name_in_responses(true)
        // Names count in any case (RFC 9110 §5.1), but not every small peer knows.
        .http1_title_case_headers(true)
        .http1_max_headers(ANSWER_HEADERS_MAX)
        .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX)
        // The client's Host passes, or the route's.
        .set_host(false)
        .build(Dial { pool: Arc::downgrade(pool) })
}

/// A target as [`Dial`] understands it: the backend's place in its pool stands for the authority,
/// and behind it, in hexadecimal digits, what it is told of the client's connection.
pub(super) fn target(backend: usize, ends: Option<ProxyEnds>, path: &PathAndQuery) -> Uri {
    let mut authority = backend.to_string();
    if let Some(ends) = ends {
        authority.push('-');
        for byte in ends.to_string().bytes() {
            authority.push_str(&format!("{byte:02x}"));
        }
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Authority::try_from(authority).ok();
    parts.path_and_query = Some(path.clone());
    // cannot fail: digits and letters are an authority, and all three parts are there.
    Uri::from_parts(parts).expect("digits are an authority")
}

/// What [`target`] made an authority of.
fn dialled(authority: &str) -> Option<(usize, Option<ProxyEnds>)> {
    let (number, digits) = authority.split_once('-').unwrap_or((authority, ""));
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2));
    let text = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<Vec<u8>>>()?;
    let ends = std::str::from_utf8(&text).ok()?.parse().ok();
    Some((number.parse().ok()?, ends))
}

/// Dials the pool's backend of that number.
#[derive(Clone)]
pub(super) struct Dial {
    /// Weak, or an idle connection would keep a pool that a reload has removed.
    pool: Weak<Pool>,
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<BackendStream>;
    type Error = DialFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialFailure>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DialFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let pool = self.pool.clone();
        Box::pin(async move {
            let pool = pool.upgrade().ok_or(DialFailure::Gone)?;
            let (number, ends) = target.host().and_then(dialled).ok_or(DialFailure::Gone)?;
            let backend = pool.backends().get(number).ok_or(DialFailure::Gone)?;
            let dialled = pool.dial(backend, ends).await;
            let stream = dialled.map(|transport| TokioIo::new(BackendStream::new(transport)));
            stream.map_err(|error| DialFailure::Dial(Arc::new(error)))
        })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialFailure {
    /// A reload has removed the pool meanwhile.
    Gone,
    /// The backend could not be reached. Shared, for who wraps it does not give it back.
    Dial(Arc<DialError>),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFailure::Gone => f.write_str("the pool was removed"),
            DialFailure::Dial(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DialFailure {}

/// Why the client of `hyper_util` has no answer.
pub(super) fn why(error: legacy::Error) -> UpstreamError {
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(DialFailure::Dial(dial)) = inner.downcast_ref() {
            return UpstreamError::Dial(Arc::clone(dial));
        }
        match inner.downcast_ref::<hyper::Error>() {
            Some(inner) if inner.is_parse_too_large() => return UpstreamError::HeadTooLarge,
            Some(inner) if inner.is_parse() => return UpstreamError::Garbled(error.into()),
            _ => source = inner.source(),
        }
    }
    UpstreamError::Closed(error.into())
}
