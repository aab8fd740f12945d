//! A backend that was chosen, and by what it is counted meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::backend::Backend;
use crate::base::network::ClientNetwork;
use crate::base::quota::ClientQuota;
use crate::base::share::SharePermit;

/// What a lease is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A WebSocket, for as long as it lives.
    Session,
    /// A plain request, until its answer has ended.
    Request,
}

impl Kind {
    /// Leases of this kind that a backend has out.
    pub(super) fn count(self, backend: &Backend) -> usize {
        match self {
            Kind::Session => backend.sessions(),
            Kind::Request => backend.requests(),
        }
    }
}

/// A backend that was chosen; it counts there until it is dropped.
#[derive(Debug)]
pub struct Lease {
    backend: Arc<Backend>,
    counted: LeaseCount,
}

/// By what a lease is counted.
#[derive(Debug)]
enum LeaseCount {
    /// A session, in its client's part of `sessions_max`.
    Session(Arc<ClientQuota>),
    /// A request. On the heap: sessions have none and live longer.
    Request(#[expect(dead_code, reason = "it is given back by its drop")] Box<SharePermit>),
}

impl Lease {
    /// A lease for this client; `None` when a request finds no place.
    pub(super) fn new(backend: Arc<Backend>, kind: Kind, client: ClientNetwork) -> Option<Lease> {
        let counted = match kind {
            Kind::Session => LeaseCount::Session(backend.session_quota(client)),
            Kind::Request => LeaseCount::Request(Box::new(backend.request_share(client)?)),
        };
        match &counted {
            LeaseCount::Session(quota) => quota.take_anyway(1),
            LeaseCount::Request(_) => drop(backend.request_count().fetch_add(1, Relaxed)),
        }
        Some(Lease { backend, counted })
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match &self.counted {
            LeaseCount::Session(quota) => quota.give_back(1),
            LeaseCount::Request(_) => drop(self.backend.request_count().fetch_sub(1, Relaxed)),
        }
    }
}
