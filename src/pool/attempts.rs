//! One request's attempts: one backend after another while nothing was promised to the client.

use std::sync::Arc;

use super::backend::{Backend, Kind, Lease};
use super::key::Key;
use super::upstream_error::UpstreamError;
use super::{Ask, Pool};
use crate::base::clock;

/// The attempts of one request or handshake.
#[derive(Debug)]
pub struct Attempts<'a> {
    pool: &'a Arc<Pool>,
    kind: Kind,
    key: Option<Key>,
    /// Addresses of backends that are not worth asking.
    tried: Vec<Arc<str>>,
    /// A place that was taken before, which is asked first.
    reserved: Option<Lease>,
}

/// What came of one attempt.
#[derive(Debug)]
pub struct Attempt<T> {
    /// The backend's answer, or why there is none.
    pub outcome: Result<T, UpstreamError>,
    /// What it tells of the backend's health.
    pub evidence: Evidence,
    /// Whether another may follow.
    pub repeat: Repeat,
}

/// What an attempt tells of its backend's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// It answered for itself.
    Healthy,
    /// It did not.
    Unhealthy,
    /// Nothing.
    Unknown,
}

/// Whether an attempt may be followed by another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// It is the last: the client gets what came of it.
    Never,
    /// On any backend, this one too.
    Anywhere,
    /// On another backend.
    Elsewhere,
}

/// What came of all attempts.
#[derive(Debug)]
pub struct Attempted<T> {
    /// The address of the backend that answered, or was tried last.
    pub backend: Option<Arc<str>>,
    /// Its answer, or why there is none.
    pub outcome: Result<T, UpstreamError>,
}

impl<'a> Attempts<'a> {
    /// Attempts on any backend of the pool; by `key` it finds the backend that its like go to.
    pub fn new(pool: &'a Arc<Pool>, kind: Kind, key: Option<Key>) -> Attempts<'a> {
        Attempts { pool, kind, key, tried: Vec::new(), reserved: None }
    }

    /// The pool.
    pub fn pool(&self) -> &'a Arc<Pool> {
        self.pool
    }

    /// Passes these backends over.
    pub fn without(mut self, addresses: impl IntoIterator<Item = Arc<str>>) -> Attempts<'a> {
        self.tried.extend(addresses);
        self
    }

    /// Begins with a place that was taken before, unless a reload has taken its backend out of the
    /// pool.
    pub fn starting_at(mut self, reserved: Option<Lease>) -> Attempts<'a> {
        let stays = |lease: &Lease| {
            self.pool.backends().iter().any(|one| one.address() == lease.backend().address())
        };
        self.reserved = reserved.filter(stays);
        self
    }

    /// Attempts until one is the last, no backend is left, or the pool's retry budget is spent.
    pub async fn run<T>(
        mut self,
        mut attempt: impl AsyncFnMut(Lease) -> Attempt<T>,
    ) -> Attempted<T> {
        let (mut made, mut last) = (0, None);
        loop {
            let lease = match self.next() {
                Ok(lease) => lease,
                Err(none) => {
                    let (backend, outcome) = last.unwrap_or((None, Err(none)));
                    return Attempted { backend, outcome };
                }
            };
            let backend = Arc::clone(lease.backend());
            let Attempt { outcome, evidence, repeat } = attempt(lease).await;
            made += 1;
            let now = clock::now();
            tell(&backend, evidence);
            let address = Arc::clone(backend.address());
            if repeat == Repeat::Never || !self.pool.may_retry(now, made) {
                return Attempted { backend: Some(address), outcome };
            }
            if repeat == Repeat::Elsewhere {
                self.tried.push(Arc::clone(&address));
            }
            last = Some((Some(address), outcome));
        }
    }

    fn next(&mut self) -> Result<Lease, UpstreamError> {
        if let Some(lease) = self.reserved.take() {
            return Ok(lease);
        }
        let ask = Ask { now: clock::now(), kind: self.kind, tried: &self.tried, key: self.key };
        self.pool.lease(&ask).map_err(UpstreamError::from)
    }
}

fn tell(backend: &Backend, evidence: Evidence) {
    match evidence {
        Evidence::Healthy => backend.succeeded(clock::now()),
        Evidence::Unhealthy => backend.failed(clock::now()),
        Evidence::Unknown => {}
    }
}
