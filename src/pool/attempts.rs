//! One request's attempts: one backend after another while nothing was promised to the client.

use std::net::IpAddr;
use std::sync::Arc;

use super::Pool;
use super::ask::{Ask, NoBackend};
use super::health::Evidence;
use super::key::{Key, network};
use super::lease::{Kind, Lease};
use super::upstream_error::UpstreamError;
use crate::base::clock;
use crate::base::network::ClientNetwork;

/// The attempts of one request or handshake.
#[derive(Debug)]
pub struct Attempts<'a> {
    pool: &'a Arc<Pool>,
    kind: Kind,
    key: Option<Key>,
    /// The number of the client it is for.
    client: Option<u64>,
    /// Whose share of the backends is taken.
    sharer: ClientNetwork,
    /// Whether they are for a session that lives.
    continues: bool,
    /// Addresses of backends that are not worth asking.
    tried: Vec<Arc<str>>,
    /// Whether a session or a handshake waits for it, and the backend that it has lost.
    waits: bool,
    avoided: Option<Arc<str>>,
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
    /// `client` is who they are made for: what one client's attempts come to is not all that is
    /// booked on a backend.
    pub fn new(
        pool: &'a Arc<Pool>,
        kind: Kind,
        key: Option<Key>,
        client: Option<IpAddr>,
    ) -> Attempts<'a> {
        let client = client.map(network);
        let sharer = ClientNetwork::Unshared;
        let (tried, continues, waits, avoided) = (Vec::new(), false, false, None);
        Attempts { pool, kind, key, client, sharer, continues, tried, waits, avoided }
    }

    /// Takes what is shared out among clients from this one's share.
    pub fn sharing(mut self, sharer: ClientNetwork) -> Attempts<'a> {
        self.sharer = sharer;
        self
    }

    /// For a session of this client that lives: it has what room there is, and counts in the
    /// client's share from then on.
    pub fn continuing(mut self, holder: ClientNetwork) -> Attempts<'a> {
        self.sharer = holder;
        self.continues = true;
        self
    }

    /// Whose share of the handshakes is taken from: no client's, where it has a session already.
    pub fn sharer(&self) -> ClientNetwork {
        if self.continues { ClientNetwork::Unshared } else { self.sharer }
    }

    /// The pool.
    pub fn pool(&self) -> &'a Arc<Pool> {
        self.pool
    }

    /// For a session or a handshake that waits: reason enough to try a backend that is ejected, at
    /// the pace of all who wait. The backend that it has `lost` comes last.
    pub fn waiting(mut self, lost: Option<Arc<str>>) -> Attempts<'a> {
        self.waits = true;
        self.avoided = lost;
        self
    }

    /// Never on this backend.
    pub fn without(mut self, backend: Arc<str>) -> Attempts<'a> {
        self.tried.push(backend);
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
                Err(none) => return left(last, none),
            };
            let backend = Arc::clone(lease.backend());
            let Attempt { outcome, evidence, repeat } = attempt(lease).await;
            made += 1;
            let now = clock::now();
            backend.record(evidence, self.client, now);
            let address = Arc::clone(backend.address());
            if repeat == Repeat::Never || !self.pool.may_retry(now, made) {
                return Attempted { backend: Some(address), outcome };
            }
            if repeat == Repeat::Elsewhere {
                self.tried.push(Arc::clone(&address));
            }
            last = Some(Attempted { backend: Some(address), outcome });
        }
    }

    fn next(&self) -> Result<Lease, NoBackend> {
        self.pool.lease(&Ask {
            client: self.sharer,
            continues: self.continues,
            tried: &self.tried,
            waits: self.waits,
            avoided: self.avoided.as_ref(),
            ..Ask::new(clock::now(), self.kind, self.key)
        })
    }
}

/// What came of it when no backend is left: the last one's answer; or, where that could not be
/// reached, that none can.
fn left<T>(last: Option<Attempted<T>>, none: NoBackend) -> Attempted<T> {
    let Some(Attempted { backend, outcome }) = last else {
        return Attempted { backend: None, outcome: Err(UpstreamError::none(none, None)) };
    };
    let outcome = match outcome {
        Err(UpstreamError::Dial(last)) => Err(UpstreamError::none(none, Some(last))),
        other => other,
    };
    Attempted { backend, outcome }
}
