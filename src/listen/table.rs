//! The table of listening sockets, kept by their listeners' identities over reloads.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::accept;
use super::permits::Permits;
use super::refusal_log::RefusalLog;
use super::sockets::{Listening, OpenError};
use super::{
    Accepting, Endpoint, Handler, Handover, InheritedSockets, ListenContext, ListenSocket,
    ListenerState, Opened,
};
use crate::base::share::Shares;
use crate::base::worker::Queues;
use crate::config::plan::{Address, Listener, ListenerIdentity};
use crate::live::LiveListener;

/// Every listening socket of the process. Its drop closes them as [`Sockets::close_all`] does.
pub struct Sockets {
    pub(super) sockets: HashMap<ListenerIdentity, Arc<ListenSocket>>,
    /// What the connections of sockets that another process has now listen to.
    handed_over: Vec<watch::Sender<ListenerState>>,
    context: Arc<ListenContext>,
}

/// Sockets opened for a configuration that is not in force yet; dropped, they were never there.
#[derive(Debug, Default)]
pub struct OpenedSockets(Vec<(ListenerIdentity, Opened)>);

impl OpenedSockets {
    /// The addresses opened.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|(identity, _)| identity.address())
    }

    /// The configuration is not put in force: what was inherited can be inherited again.
    pub fn give_back(self, inherited: &mut InheritedSockets) {
        self.0.into_iter().for_each(|(_, taken)| inherited.give_back(taken));
    }
}

impl Sockets {
    /// No sockets yet.
    pub fn new(handler: Arc<dyn Handler>, permits: Arc<Permits>, queues: Queues) -> Sockets {
        let flow = permits.flow();
        let refusals = RefusalLog::default();
        let context = Arc::new(ListenContext { handler, permits, flow, queues, refusals });
        Sockets { sockets: HashMap::new(), handed_over: Vec::new(), context }
    }

    /// Opens what `listeners` has and is not open yet, with what was inherited where that fits:
    /// every one or, on failure, none.
    ///
    /// # Errors
    /// All that could not be opened.
    pub fn open(
        &self,
        listeners: &[Arc<Listener>],
        inherited: &mut InheritedSockets,
    ) -> Result<OpenedSockets, Vec<OpenError>> {
        let mut opened = OpenedSockets::default();
        let mut errors = Vec::new();
        // First those that find theirs by the address: a service manager's goes by its name only
        // where no listener has its address.
        let (at_address, others): (Vec<_>, Vec<_>) =
            listeners.iter().partition(|one| inherited.has(&one.address, &one.name));
        for listener in at_address.into_iter().chain(others) {
            let identity = listener.identity();
            if self.sockets.contains_key(&identity) {
                continue;
            }
            let open = || match &listener.address {
                Address::Unix(path) => Listening::open_unix(path, listener.mode),
                inet => Listening::open(inet),
            };
            match inherited.open_or(&listener.address, Some(&listener.name), open) {
                Ok(taken) => opened.0.push((identity, taken)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok(opened);
        }
        opened.give_back(inherited);
        Err(errors)
    }

    /// Puts a configuration's listeners in force: what stays open faces clients anew, what was
    /// opened begins to accept, what has vanished stops. Nothing here touches a connection of a
    /// listener that stays.
    pub fn take(
        &mut self,
        mut opened: OpenedSockets,
        listeners: impl IntoIterator<Item = Arc<LiveListener>>,
    ) {
        let mut before = std::mem::take(&mut self.sockets);
        for listener in listeners {
            let identity = listener.plan.identity();
            let socket = if let Some(socket) = before.remove(&identity) {
                let most = listener.plan.limits.handshakes_in_flight_max;
                socket.endpoint.handshakes.set_max(most);
                set_mode(&socket.listening, &listener);
                socket.endpoint.listener.store(listener);
                socket
            } else if let Some(at) = opened.0.iter().position(|(other, _)| *other == identity) {
                self.begin(opened.0.swap_remove(at).1, listener)
            } else {
                continue;
            };
            self.sockets.insert(identity, socket);
        }
        before.into_values().for_each(|socket| close(&socket));
    }

    fn begin(&self, taken: Opened, listener: Arc<LiveListener>) -> Arc<ListenSocket> {
        taken.own();
        let Opened { listening, origin } = taken;
        set_mode(&listening, &listener);
        tracing::info!(listener = &*listener.plan.name, address = %listening.bound(), "listening");
        let handshakes = Shares::new(listener.plan.limits.handshakes_in_flight_max);
        let socket = Arc::new(ListenSocket {
            listening: Arc::new(listening),
            origin,
            accepting: watch::Sender::new(Accepting::Open),
            endpoint: Arc::new(Endpoint {
                listener: ArcSwap::new(listener),
                handshakes,
                state: watch::Sender::new(ListenerState::Open),
            }),
        });
        self.accept(&socket);
        socket
    }

    /// Starts the accept loops of a socket.
    pub(super) fn accept(&self, socket: &Arc<ListenSocket>) {
        for worker in 0..self.context.queues.len() {
            let (begun, context) = (Arc::clone(socket), Arc::clone(&self.context));
            // Here, not there: a loop that is on its way is waited for as well.
            let accepting = socket.accepting.subscribe();
            let start = move || {
                if let Err(error) = accept::start(begun, context, accepting) {
                    tracing::error!(%error, worker, "a worker cannot accept");
                }
            };
            // The other workers accept for one that has stopped or is beyond help.
            if self.context.queues.try_run_on(worker, start).is_err() {
                tracing::error!(worker, "a worker is too busy to begin to accept");
            }
        }
    }

    /// What the next process needs to accept in our place.
    pub fn handovers(&self) -> impl Iterator<Item = Handover<'_>> {
        self.sockets.iter().map(|(identity, socket)| Handover {
            listener: identity.name().cloned(),
            ..Handover::of(identity.address(), &socket.listening, socket.origin.as_ref())
        })
    }

    /// Accepts nothing more for now, and waits until that is true. What comes waits in the kernel.
    pub async fn pause(&self) {
        for socket in self.sockets.values() {
            socket.accepting.send_replace(Accepting::Paused);
        }
        for socket in self.sockets.values() {
            socket.accepting.closed().await;
        }
    }

    /// After [`Sockets::pause`], accepts again; without it, nothing changes.
    pub fn resume(&self) {
        for socket in self.sockets.values() {
            if socket.accepting.send_replace(Accepting::Open) == Accepting::Paused {
                self.accept(socket);
            }
        }
    }

    /// After [`Sockets::pause`]: another process accepts at `taken` now. The rest is closed.
    pub fn hand_over(&mut self, taken: &[Address]) {
        for (identity, socket) in std::mem::take(&mut self.sockets) {
            if taken.contains(identity.address()) {
                socket.listening.give_up_file();
                let state = &socket.endpoint.state;
                state.send_replace(ListenerState::HandedOver);
                self.handed_over.push(state.clone());
            } else {
                close(&socket);
                // Once more, for what is queued.
                self.accept(&socket);
            }
        }
    }

    /// Accepts nothing more, anywhere; connections finish the request they are at.
    pub fn close_all(&mut self) {
        self.sockets.drain().for_each(|(_, socket)| close(&socket));
        for state in self.handed_over.drain(..) {
            state.send_replace(ListenerState::Closed);
        }
    }

    /// The listeners in force by name, each with the address it is bound to.
    pub fn bound(&self) -> impl Iterator<Item = (Arc<str>, Address)> {
        self.sockets.values().map(|socket| {
            let listener = socket.endpoint.listener.load_full();
            (Arc::clone(&listener.plan.name), socket.listening.bound().clone())
        })
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.close_all();
    }
}

/// A socket that was open before, here or in the process before, has the mode that it had.
fn set_mode(listening: &Listening, listener: &LiveListener) {
    if let Some(mode) = listener.plan.mode {
        listening.set_mode(mode);
    }
}

fn close(socket: &ListenSocket) {
    tracing::info!(address = %socket.listening.bound(), "listener closed");
    socket.accepting.send_replace(Accepting::Closed);
    socket.endpoint.state.send_replace(ListenerState::Closed);
}
