//! Sockets that a configuration which is not in force yet does not have, and whose addresses it
//! wants otherwise: they make way, and come back if it is not taken.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    Accepting, Endpoint, InheritedSockets, ListenSocket, ListenerState, Listening, Origin, Sockets,
};
use crate::config::plan::{Address, ListenerIdentity};

/// Sockets that made way.
#[derive(Default)]
pub struct ReleasedSockets(Vec<ReleasedSocket>);

struct ReleasedSocket {
    identity: ListenerIdentity,
    endpoint: Arc<Endpoint>,
    bound: Address,
    way: Way,
}

/// How a socket made way.
pub enum Way {
    /// Whoever takes its address takes the socket itself, with the connections in its queue.
    Offered(Arc<Listening>),
    /// It is closed.
    Closed,
}

impl Way {
    /// The socket again; it listens anew where it was closed.
    ///
    /// # Errors
    /// As `open`, which does that.
    pub fn back<E>(self, open: impl FnOnce() -> Result<Listening, E>) -> Result<Arc<Listening>, E> {
        match self {
            Way::Offered(listening) => Ok(listening),
            Way::Closed => open().map(Arc::new),
        }
    }
}

impl ReleasedSockets {
    /// The configuration was taken: the connections that came by them finish their request.
    pub fn close(self) {
        for ReleasedSocket { endpoint, bound, .. } in self.0 {
            tracing::info!(address = %bound, "listener closed");
            endpoint.state.send_replace(ListenerState::Closed);
        }
    }
}

/// Whether a socket bound to this address makes way for the addresses `wanted`.
pub fn is_in_the_way(bound: &Address, wanted: &[Address]) -> bool {
    wanted.iter().any(|address| address.clashes(bound))
}

/// Whether the one that wants this address takes the socket itself. A unix socket's file belongs to
/// its path and has a mode, so that one is made anew.
pub fn is_exchanged(bound: &Address, wanted: &[Address]) -> bool {
    matches!(bound, Address::Inet(_)) && wanted.contains(bound)
}

impl Sockets {
    /// Those among the addresses of these listeners that are not open.
    pub fn missing(&self, listeners: &[ListenerIdentity]) -> Vec<Address> {
        let is_open = |identity: &&ListenerIdentity| self.sockets.contains_key(identity);
        let missing = listeners.iter().filter(|identity| !is_open(identity));
        missing.map(|identity| identity.address().clone()).collect()
    }

    /// Offers the service manager's sockets that none of these listeners has: they can be taken for
    /// another one, or later. Answers which.
    pub fn offer(
        &self,
        listeners: &[ListenerIdentity],
        inherited: &mut InheritedSockets,
    ) -> Vec<Address> {
        let is_offered = |(identity, socket): &(&ListenerIdentity, &Arc<ListenSocket>)| {
            let managed = matches!(socket.origin, Some(Origin::Manager { .. }));
            managed && !listeners.contains(identity)
        };
        let mut offered = Vec::new();
        for (_, socket) in self.sockets.iter().filter(is_offered) {
            match inherited.offer(&socket.listening, socket.origin.as_ref()) {
                Ok(()) => offered.push(socket.listening.bound().clone()),
                Err(error) => tracing::warn!(%error, "a socket cannot be given back"),
            }
        }
        offered
    }

    /// Has the sockets that none of these listeners has make way for the addresses `wanted`, as far
    /// as they are in the way. What is in the queue of one that is closed is accepted first.
    pub async fn release(
        &mut self,
        listeners: &[ListenerIdentity],
        wanted: &[Address],
        inherited: &mut InheritedSockets,
    ) -> ReleasedSockets {
        let is_released = |identity: &ListenerIdentity, socket: &mut Arc<ListenSocket>| {
            // A service manager's is offered, and its address never free.
            let ours = !matches!(socket.origin, Some(Origin::Manager { .. }));
            ours && !listeners.contains(identity) && is_in_the_way(socket.listening.bound(), wanted)
        };
        let released: Vec<_> = self.sockets.extract_if(is_released).collect();
        let mut made_way = ReleasedSockets::default();
        for (identity, socket) in released {
            let bound = socket.listening.bound().clone();
            let offered = is_exchanged(&bound, wanted)
                && inherited.offer(&socket.listening, socket.origin.as_ref()).is_ok();
            let state = if offered { Accepting::Paused } else { Accepting::Closed };
            socket.accepting.send_replace(state);
            socket.accepting.closed().await;
            let endpoint = Arc::clone(&socket.endpoint);
            let listening = Arc::clone(&socket.listening);
            drop(socket);
            let way = if offered { Way::Offered(listening) } else { Way::Closed };
            made_way.0.push(ReleasedSocket { identity, endpoint, bound, way });
        }
        made_way
    }

    /// The configuration is not taken: what made way accepts again.
    pub fn restore(&mut self, released: ReleasedSockets, inherited: &mut InheritedSockets) {
        for ReleasedSocket { identity, endpoint, bound, way } in released.0 {
            inherited.withdraw(&bound);
            let mode = endpoint.listener.load_full().plan.mode;
            let open = || match &bound {
                Address::Unix(path) => Listening::open_unix(path, mode),
                Address::Inet(_) => Listening::open(&bound),
            };
            let listening = match way.back(open) {
                Ok(listening) => listening,
                Err(error) => {
                    tracing::error!(%error, "a listener that made way cannot listen again");
                    endpoint.state.send_replace(ListenerState::Closed);
                    continue;
                }
            };
            let accepting = watch::Sender::new(Accepting::Open);
            let socket = Arc::new(ListenSocket { listening, origin: None, accepting, endpoint });
            self.accept(&socket);
            self.sockets.insert(identity, socket);
        }
    }
}
